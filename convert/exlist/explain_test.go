package exlist

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/rootfs"
)

// newTree makes a tree of names, each with as many bytes as it has letters;
// names that end in "/" are directories, and "new=old" is another name of old.
func newTree(tb testing.TB, names ...string) *rootfs.Tree {
	tb.Helper()
	tree, err := rootfs.Merge(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	inodes := map[string]*rootfs.Inode{}
	for _, name := range names {
		name, old, isLink := strings.Cut(name, "=")
		in := rootfs.NewFile(0o644, strings.NewReader(name), 0, int64(len(name)))
		if isLink {
			in = inodes[old]
		} else if strings.HasSuffix(name, "/") {
			in = &rootfs.Inode{Mode: rootfs.TypeDir | 0o755}
		}
		inodes[name] = in
		if err := tree.Put(name, in); err != nil {
			tb.Fatal(err)
		}
	}
	return tree
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		files string
		rules string
		want  []string // rule: names matched, files and bytes dropped or kept
	}{
		{"in order", "usr/doc/a usr/doc/b usr/x", "./usr/doc/a ./usr/doc* ./usr/doc/b ./none*", []string{
			"./usr/doc/a: 1 1 9", "./usr/doc*: 3 2 9", "./usr/doc/b: 1 0 0", "./none*: 0 0 0", "3 18",
		}},
		{"what is kept", "etc/a etc/b etc/c", "./etc* +./etc/b +./etc/[bc] +./etc/d", []string{
			"./etc*: 4 1 5", "+./etc/b: 1 1 5", "+./etc/[bc]: 2 1 5", "+./etc/d: 0 0 0", "1 5",
		}},
		{"kept anyway", "etc/a usr/b", "./etc/a +./usr*", []string{"./etc/a: 1 1 5", "+./usr*: 2 0 0", "1 5"}},
		{"a directory goes with the last of it", "d/a d/b", "./d ./d/a ./d/b", []string{
			"./d: 1 0 0", "./d/a: 1 1 3", "./d/b: 1 2 3", "3 6",
		}},
		{"a directory that nothing drops", "d/a", "./d/a", []string{"./d/a: 1 1 3", "1 3"}},
		{"one name of two", "a b=a", "./a", []string{"./a: 1 1 0", "1 0"}},
		{"both names", "aa b=aa", "./b ./aa", []string{"./b: 1 1 0", "./aa: 1 1 2", "2 2"}},
		{"both names at once", "aa b=aa", "./*", []string{"./*: 2 2 2", "2 2"}},
		{"one of both names kept", "aa b=aa", "./* +./b", []string{"./*: 2 1 0", "+./b: 1 1 2", "1 0"}},
		{"the root", "a", "* +./a", []string{"*: 1 0 0", "+./a: 1 1 1", "0 0"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := New(strings.Fields(tc.rules)...).Explain(newTree(t, strings.Fields(tc.files)...).All())
			var got []string
			for _, e := range r.Effects {
				got = append(got, fmt.Sprintf("%s: %d %d %d", e.Rule, e.Matched, e.Files, e.Bytes))
			}
			got = append(got, fmt.Sprint(r.Files, r.Bytes))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// randomTree returns names for newTree; the files of a directory are named when
// it is, and some have another name.
func randomTree(r *rand.Rand, letters []string) []string {
	var names []string
	dirs := []string{""}
	seen := map[string]bool{}
	for range 40 {
		name := dirs[r.IntN(len(dirs))]
		for range 1 + r.IntN(2) {
			name += letters[r.IntN(len(letters))]
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		switch r.IntN(3) {
		case 0:
			names = append(names, name+"/")
			dirs = append(dirs, name+"/")
		case 1:
			if old := names; len(old) > 0 && !strings.ContainsAny(old[len(old)-1], "/=") {
				names = append(names, name+"="+old[len(old)-1])
				continue
			}
			fallthrough
		default:
			names = append(names, name)
		}
	}
	return names
}

// TestListsAgainstFind has find choose the files of random trees by random lists
// as xCAT does, and prunes the same trees here: what is left is the same but for
// the directories above what is kept. What each rule saved is what a list without
// the rules behind it leaves more.
func TestListsAgainstFind(t *testing.T) {
	t.Parallel()
	letters := []string{"a", "b", "c", "é", "\xff", "\n", " ", ".x", "[", "]", "*", "?", `\`}
	patterns := append(slices.Clone(letters), "*", "*", "*", "?", "[ab]", "[!a]", "[[:alpha:]]", "/", "/*", `\*`, `\[`, "b/")
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(7, seed))
		names := randomTree(r, letters)
		var rules []string
		for range 1 + r.IntN(6) {
			rule := "./"
			for range 1 + r.IntN(4) {
				rule += patterns[r.IntN(len(patterns))]
			}
			rules = append(rules, rule)
			if r.IntN(4) == 0 {
				rules = append(rules, "+"+strings.Replace(rule, "*", letters[r.IntN(len(letters))], 1))
			}
		}
		var plain []string
		for _, name := range names {
			name, _, _ = strings.Cut(name, "=")
			plain = append(plain, name)
		}
		list := New(rules...)
		want := findKept(t, plant(t, plain), list)
		tree := newTree(t, names...)
		before := newTree(t, names...)
		tree.Prune(list.Drops)
		if diff := cmp.Diff(quoted(want), quoted(namesOf(tree))); diff != "" {
			t.Fatalf("seed %d: rules %q (-find +got):\n%s", seed, rules, diff)
		}
		files, bytes := len(namesOf(before)), contentOf(before)
		report := list.Explain(before.All())
		if got := len(namesOf(before)) - report.Files; got != len(want) {
			t.Errorf("seed %d: rules %q: the report leaves %d files of %d", seed, rules, got, len(want))
		}
		for i := range list.drop {
			some := newTree(t, names...)
			some.Prune((&List{drop: list.drop[:i+1], keep: list.keep}).Drops)
			e := report.Effects[i]
			if got, want := e.Files, files-len(namesOf(some)); got != want {
				t.Errorf("seed %d: rules %q: %s drops %d files, want %d", seed, rules, e.Rule, got, want)
			}
			if got, want := e.Bytes, bytes-contentOf(some); got != want {
				t.Errorf("seed %d: rules %q: %s saves %d bytes, want %d", seed, rules, e.Rule, got, want)
			}
			files, bytes = len(namesOf(some)), contentOf(some)
		}
	}
}

// findKept is what xCAT would pack, with the directories above it.
func findKept(t *testing.T, dir string, list *List) []string {
	t.Helper()
	kept := map[string]bool{".": true}
	note := func(names []string) {
		for _, name := range names {
			for n := path.Clean(name); n != "."; n = path.Dir(n) {
				kept[n] = true
			}
		}
	}
	var args []string
	for i, r := range list.drop {
		if i > 0 {
			args = append(args, "-a")
		}
		args = append(args, "!", "-path", r.Pattern)
	}
	note(find(t, dir, append(args, "-print0")...))
	args = []string{"("}
	for i, r := range list.keep {
		if i > 0 {
			args = append(args, "-o")
		}
		args = append(args, "-path", r.Pattern)
	}
	if len(list.keep) > 0 {
		note(find(t, dir, append(args, ")", "-print0")...))
	}
	var names []string
	for name := range kept {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func namesOf(tree *rootfs.Tree) []string {
	var names []string
	for name := range tree.All() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func contentOf(tree *rootfs.Tree) (n int64) {
	seen := map[*rootfs.Inode]bool{}
	for _, in := range tree.All() {
		if !seen[in] {
			seen[in] = true
			n += in.Size
		}
	}
	return n
}

// bigTree has names like those of a distribution: 28,000 files.
func bigTree() iter.Seq2[string, *rootfs.Inode] {
	var names []string
	for i := range 280 {
		for j := range 100 {
			names = append(names, fmt.Sprintf("usr/%s/package%d/part%d/file-%d.%s",
				[]string{"share/doc", "lib/modules/6.1.0-37-amd64/kernel/drivers", "share/locale", "lib/python3/dist-packages"}[i%4], i, j%5, j,
				[]string{"gz", "ko", "mo", "py", "so.1"}[j%5]))
		}
	}
	slices.Sort(names)
	in := rootfs.NewFile(0o644, strings.NewReader("x"), 0, 1)
	return func(yield func(string, *rootfs.Inode) bool) {
		for _, name := range names {
			if !yield(name, in) {
				return
			}
		}
	}
}

// bigList has 100 rules of every kind.
func bigList() *List {
	var rules []string
	for i := range 50 {
		rules = append(rules, fmt.Sprintf("./usr/share/doc/package%d*", i), fmt.Sprintf("./usr/lib/modules/*/kernel/drivers/package%d/*", i))
	}
	return New(append(rules[:90], "*.pyc", "./usr/share/locale/*", "*/part[3-9]/*.ko", "./boot*", "*~", "./usr/*/tmp/*", "+./usr/share/locale/package2/*", "+*.so.?", "./var/cache/*", "./tmp*")...)
}

// TestLargeLists is far above what the work takes where nothing else runs.
func TestLargeLists(t *testing.T) {
	tree, list := bigTree(), bigList()
	began := time.Now()
	r := list.Explain(tree)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("100 rules and 28,000 files took %v", took)
	}
	if r.Files < 10_000 {
		t.Errorf("%d files stay out", r.Files)
	}
}

func BenchmarkExplain(b *testing.B) {
	tree, list := bigTree(), bigList()
	for b.Loop() {
		list.Explain(tree)
	}
}

func BenchmarkDrops(b *testing.B) {
	tree, list := bigTree(), bigList()
	for b.Loop() {
		for name := range tree {
			list.Drops(name)
		}
	}
}
