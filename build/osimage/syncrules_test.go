package osimage_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/build/osimage"
)

func writeList(t testing.TB, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestReadSynclists(t *testing.T) {
	name := writeList(t, `# what nodes get
/etc/hosts -> /etc/hosts

 /a	/b.d/*  ->   /site/
$DIR/x -> (node1, node[2-3],grp) ${DIR}/y
EXECUTE:
/a.post
EXECUTEALWAYS:
# really
/b.post
APPEND:
/lines -> /etc/limits
MERGE:
/users /more -> /etc/passwd`+"\r\n")
	second := writeList(t, "/c -> /d\n")
	got, err := osimage.ReadSynclists([]string{name, second}, map[string]string{"DIR": "/dir"})
	if err != nil {
		t.Fatal(err)
	}
	want := []osimage.SyncRule{
		{osimage.SyncCopy, []string{"/etc/hosts"}, "/etc/hosts", "", name, 2},
		{osimage.SyncCopy, []string{"/a", "/b.d/*"}, "/site/", "", name, 4},
		{osimage.SyncCopy, []string{"/dir/x"}, "/dir/y", "node1,node[2-3],grp", name, 5},
		{osimage.SyncExecute, []string{"/a.post"}, "", "", name, 7},
		{osimage.SyncExecuteAlways, []string{"/b.post"}, "", "", name, 10},
		{osimage.SyncAppend, []string{"/lines"}, "/etc/limits", "", name, 12},
		{osimage.SyncMerge, []string{"/users", "/more"}, "/etc/passwd", "", name, 14},
		{osimage.SyncCopy, []string{"/c"}, "/d", "", second, 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestReadSynclistsProblems(t *testing.T) {
	for _, test := range []struct{ line, want string }{
		{" # x", "a comment begins in the first column"},
		{"/a", `"/a" is not SOURCE... -> DEST, with blanks around the arrow`},
		{"/a->/b", `"/a->/b" is not SOURCE... -> DEST, with blanks around the arrow`},
		{"-> /b", `"-> /b" has no source before the arrow`},
		{"/a ->", `"/a ->": behind the arrow stands one path`},
		{"/a -> /b -> /c", `"/a -> /b -> /c" has more than one arrow`},
		{"/a -> /b /c", `"/a -> /b /c": behind the arrow stands one path`},
		{"/a -> (n1 /b", `"/a -> (n1 /b": nodes are written -> (node1,node2) DEST`},
		{"/a -> () /b", `"/a -> () /b": nodes are written -> (node1,node2) DEST`},
		{"/a -> (n1)", `"/a -> (n1)": behind the arrow stands one path`},
		{"a -> /b", `"a" is no absolute path`},
		{"/a -> b", `"b" is no absolute path`},
		{"/a -> /b/../c", "/b/../c: a path of the image without .. is wanted"},
		{"/a[ -> /b", "/a[ is no pattern: a [ without its ]"},
		{"/a -> $B/$C/$B", "environvar has no B, C"},
		{"MERGE: /a -> /b", "MERGE: stands on a line of its own, before those that it is for"},
		{"MERGE:\n/a -> /etc/hosts", "MERGE: is for /etc/passwd, /etc/shadow, /etc/group, not for /etc/hosts; write the line below APPEND: or above all clauses"},
		{"APPEND:\n/a -> /etc/", "APPEND: /etc/ is a directory"},
		{"EXECUTE:\n/a b", `"/a b": below EXECUTE: stands one script a line`},
		{"EXECUTEALWAYS:\nb", `"b" is no absolute path`},
	} {
		name := writeList(t, "/ok -> /ok\n"+test.line+"\n\x00\n")
		rules, err := osimage.ReadSynclists([]string{name}, nil)
		var problems osimage.Problems
		if !errors.As(err, &problems) || len(problems) != 2 || problems[0].Text != test.want || problems[0].Line != 2+strings.Count(test.line, "\n") {
			t.Errorf("%s: got  %v\nwant %s", test.line, err, test.want)
		}
		if len(rules) != 1 {
			t.Errorf("%s: %+v", test.line, rules)
		}
	}
	_, err := osimage.ReadSynclists([]string{"/no/such", t.TempDir()}, nil)
	if err == nil || !strings.Contains(err.Error(), "/no/such: open /no/such: no such file") || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("%v", err)
	}
}

func TestSynclistsAreChecked(t *testing.T) {
	d := site(t, "x")
	name := writeList(t, "/a\n")
	if err := d.Set("synclists", name, "/"); err != nil {
		t.Fatal(err)
	}
	if err := d.Check(); err == nil || !strings.Contains(err.Error(), name+`:1: "/a" is not SOURCE`) {
		t.Errorf("%v", err)
	}
}

// What synclists take into the image is in the digest, wherever it lies.
func TestDigestOfSources(t *testing.T) {
	dir := t.TempDir()
	sources := filepath.Join(dir, "files")
	write := func(name, text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(sources, 0o755), os.WriteFile(filepath.Join(sources, name), []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write("a", "1")
	d := (&osimage.Definition{}).Clone("x")
	if err := d.Set("synclists", writeList(t, sources+" -> /x\n/no/such -> /y\n"), "/"); err != nil {
		t.Fatal(err)
	}
	digest := func() string {
		t.Helper()
		sum, err := d.Digest()
		if err != nil {
			t.Fatal(err)
		}
		return string(sum)
	}
	first := digest()
	if digest() != first {
		t.Error("it changes")
	}
	write("a", "2")
	second := digest()
	write("b", "")
	if third := digest(); first == second || second == third || first == third {
		t.Errorf("it stays the same: %s %s %s", first, second, third)
	}
	if err := os.Symlink("..", filepath.Join(sources, "loop")); err != nil {
		t.Fatal(err)
	}
	digest()
}

func TestMatchSource(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b", ".h", "[x]", "d/.e/f"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755), os.WriteFile(filepath.Join(dir, name), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for source, want := range map[string]string{
		"a": "a", "no": "", "*": "[x] a b d", ".*": ".h", "[!a]": "b d", "[ab]": "a b", "[x]": "[x]", "d/*": "", "d/.*/f": "d/.e/f", "d/": "d/", "?/": "d/", "*/": "d/",
	} {
		var got []string
		for _, path := range osimage.MatchSource(dir + "/" + source) {
			got = append(got, strings.TrimPrefix(path, dir+"/"))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %q, want %q", source, got, want)
		}
	}
}

func FuzzReadSynclists(f *testing.F) {
	f.Add("# x\n/a /b* -> (n[1-2]) /c/\nAPPEND:\n/a -> $A\nMERGE:\n/a -> /etc/group\nEXECUTE:\n/x\n")
	f.Fuzz(func(t *testing.T, text string) {
		name := writeList(t, text)
		rules, err := osimage.ReadSynclists([]string{name}, map[string]string{"A": "/a"})
		var problems osimage.Problems
		if err != nil && !errors.As(err, &problems) {
			t.Errorf("an error of type %T", err)
		}
		for _, r := range rules {
			script := r.Kind == osimage.SyncExecute || r.Kind == osimage.SyncExecuteAlways
			if len(r.Sources) == 0 || script != (r.Dest == "") || r.Line < 1 || r.File != name {
				t.Errorf("%+v", r)
			}
			for _, path := range r.Sources {
				if !filepath.IsAbs(path) {
					t.Errorf("%+v", r)
				}
			}
		}
	})
}
