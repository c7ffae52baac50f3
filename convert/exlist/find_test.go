package exlist

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// find runs find(1) at dir, as xCAT does but for the locale, and returns the
// names that it prints, each before a NUL.
func find(t *testing.T, dir string, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "find", append([]string{".", "-xdev"}, args...)...)
	cmd.Dir, cmd.Env = dir, []string{"LC_ALL=C.UTF-8", "PATH=" + os.Getenv("PATH")}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("find %q: %v: %s", args, err, errs.Bytes())
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\x00"), "\x00")
}

// plant makes files, and directories of names that end in "/".
func plant(t *testing.T, names []string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if strings.HasSuffix(name, "/") {
			err = os.MkdirAll(file, 0o755)
		} else {
			err = os.WriteFile(file, nil, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestPatternsAgainstFind matches many patterns with many names, by find and here.
func TestPatternsAgainstFind(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(from []string, n int) string {
		var b strings.Builder
		for range r.IntN(n) + 1 {
			b.WriteString(from[r.IntN(len(from))])
		}
		return b.String()
	}
	parts := []string{"a", "b", "c", "B", "0", "-", "]", "[", "!", "^", `\`, "*", "?", ".", ":", "=", "é", "ü", "日", "\xff", "\x80", "\n", " ", "~"}
	seen := map[string]bool{}
	for range 600 {
		name := "x" + pick(parts, 5)
		if r.IntN(3) == 0 {
			name += "/y" + pick(parts, 3)
		}
		for n := name; n != "."; n = path.Dir(n) {
			seen[n] = true
		}
	}
	names := slices.Sorted(maps.Keys(seen))
	dir := plant(t, slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, name+"/") })
	}))
	patterns := append(parts, "*", "[]-a]", "[a-]", "[!a]", "[^a]", "[a-c]", "[c-a]", "[[:alpha:]]", "[[:alpha:]", "[[:nosuch:]]", "[[.a.]]", "[[.a.]-c]",
		"[[.space.]]", "[[=a=]]", "[[=é=]]", "[[:", "[[.", "[[=", "[a", "[", "[]", "[!]", "[!", "[]]", "[!]]", `[\]]`, `[\a-\c]`, `[a\-c]`, `[\\]`, "[é-ü]", "[\x80-\xff]",
		"[--0]", "[a-c-e]", "[[:upper:][:digit:]]", "[!-~]", "[[:punct:]]", "[[:space:]]", "[[:print:]]", "[[:alnum:]_]", "[[:cntrl:]]", "[[:graph:]]",
		"[[:lower:]]", "[[:blank:]]", "[[:xdigit:]]", "[[:digit:]-z]", "**", "?*", "*?", "/", "*/", "/y", "[/]", "[!/]", "*a", "*b*")
	for batch := range 40 {
		var args, tried []string
		want, got := map[string][]string{}, map[string][]string{}
		for i := range 60 {
			pattern := "./x" + pick(patterns, 4)
			switch r.IntN(8) {
			case 0:
				pattern = "*" + pick(patterns, 3)
			case 1:
				pattern = "./" + names[r.IntN(len(names))] // most have special characters
			case 2:
				pattern = pick(patterns, 5)
			}
			tried = append(tried, pattern)
			if i > 0 {
				args = append(args, ",")
			}
			args = append(args, "-path", pattern, "-printf", fmt.Sprintf(`%d:%%p\0`, i))
		}
		for _, line := range find(t, dir, args...) {
			if line == "" {
				continue
			}
			i, name, _ := strings.Cut(line, ":")
			var n int
			if _, err := fmt.Sscan(i, &n); err != nil {
				t.Fatalf("find printed %q", line)
			}
			want[tried[n]] = append(want[tried[n]], name)
		}
		for _, pattern := range tried {
			p := compile(pattern)
			for _, name := range append(names, "") {
				full := path.Join(".", name)
				if full != "." {
					full = "./" + name
				}
				if p.matches(newSubject(full)) {
					got[pattern] = append(got[pattern], full)
				}
			}
		}
		for _, pattern := range tried {
			slices.Sort(want[pattern])
			slices.Sort(got[pattern])
			w, g := slices.Compact(want[pattern]), slices.Compact(got[pattern])
			if !slices.Equal(w, g) {
				t.Errorf("batch %d: pattern %q (-find +got):\n%s", batch, pattern, cmp.Diff(quoted(w), quoted(g)))
			}
		}
	}
}

func quoted(names []string) []string {
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = fmt.Sprintf("%q", n)
	}
	return list
}
