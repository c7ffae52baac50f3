package exlist

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func match(pattern, name string) bool {
	g := compile(pattern)
	return g.matches(newSubject(name))
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pattern, name string
		want          bool
	}{
		{"./boot*", "./boot", true},
		{"./boot*", "./boot/vmlinuz", true},
		{"./boot*", "./bootstrap/x", true},
		{"./boot/", "./boot", false},
		{"./usr/*/doc", "./usr/a/b/doc", true},
		{"./usr/?oc", "./usr/doc", true},
		{"./usr?doc", "./usr/doc", true},
		{"./a[0-9]b", "./a5b", true},
		{"./a[!0-9]b", "./a5b", false},
		{"./a[^0-9]b", "./axb", true},
		{"./a[]x]b", "./a]b", true},
		{"./a[x-]b", "./a-b", true},
		{"./a[", "./a[", true},
		{"./a[b", "./a[b", true},
		{"./[[:upper:]]*", "./Makefile", true},
		{"./[[:upper:][:digit:]]", "./7", true},
		{"./[[:upper:]]*", "./makefile", false},
		{`./a\*b`, "./a*b", true},
		{`./a\*b`, "./axb", false},
		{"./?", "./ä", true},
		{"./[ä-ü]", "./ö", true},
		{"*.pyc", "./usr/lib/a.pyc", true},
		{"./.*", "./.hidden", true},
		{"./*", "./.hidden", true},
		{"./a**b*", "./ab", true},
		{"./a", "./ab", false},
		{"", "./a", false},
	} {
		if got := match(tc.pattern, tc.name); got != tc.want {
			t.Errorf("match(%q, %q) = %t", tc.pattern, tc.name, got)
		}
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	top := write("a.exlist", "# comment\n\n  ./usr/share/doc*  # more\n-./boot*\n+./usr/share/doc/keep\n#INCLUDE:sub/b.exlist#\n")
	write("sub/b.exlist", "#INCLUDE:../c.exlist#\n./b*\n")
	write("c.exlist", "./c*\n")
	list, err := Read(top)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"./usr/share/doc*", "./boot*", "./c*", "./b*", "+./usr/share/doc/keep"}, list.Rules()); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	for name, want := range map[string]bool{
		".": false, "boot": true, "usr/share/doc/x": true, "usr/share/doc/keep": false, "usr/share": false, "c/d": true, "etc": false,
	} {
		if got := New(list.Rules()...).Drops(name); got != want {
			t.Errorf("Drops(%q) = %t", name, got)
		}
	}
	for name, tc := range map[string]struct{ text, want string }{
		"cycle":     {"# more\n#INCLUDE:cycle#\n", "cycle:2: the list includes itself: "},
		"missing":   {"./x\n#INCLUDE:none#\n", "missing:2: reading an exclude list"},
		"unclosed":  {"#INCLUDE:none\n", "unclosed:1: an include is written"},
		"empty":     {"+\n", `empty:1: "+" without a pattern`},
		"very long": {strings.Repeat("x", 1<<20), "very long:1: reading an exclude list: bufio.Scanner: token too long"},
	} {
		if _, err := Read(write(name, tc.text)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, tc.want)
		}
	}
	// A file under another name is still the same.
	if err := os.Symlink(".", filepath.Join(dir, "here")); err != nil {
		t.Fatal(err)
	}
	round := write("round", "./x\n#INCLUDE:here/round#\n")
	want := round + ":2: the list includes itself: " + round + " includes " + filepath.Join(dir, "here", "round")
	if _, err := Read(round); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := Read(filepath.Join(dir, "none")); err == nil {
		t.Error("a missing list was read")
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("./a[b-*?", "./abc")
	f.Add("./a*b[é-ü]*c", "./a\xffbéc")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		got := match(pattern, name) // no panic, and it ends
		if !match("*", name) || name != "" && !strings.ContainsAny(name, `*?[\`) && !match(name, name) {
			t.Errorf("%q does not match itself", name)
		}
		both := max(charsOf(pattern), charsOf(name))
		if slow := both.match(pattern, name) || both == utf8Text && rawBytes.match(pattern, name); got != slow {
			t.Errorf("%q matches %q: %t, and compiled %t", pattern, name, slow, got)
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add("./a # b\n+./c\n-./d\n--./e\n-+./f\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "#INCLUDE:") {
			return // it would read the machine's files
		}
		r := reader{list: &List{}}
		if r.read("list", strings.NewReader(text)) != nil {
			return
		}
		rules := r.list.Rules()
		if diff := cmp.Diff(rules, New(rules...).Rules()); diff != "" {
			t.Errorf("rules read again (-want +got):\n%s", diff)
		}
	})
}
