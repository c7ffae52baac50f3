package media

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// write makes files below dir; a text that begins with "-> " is a link's target,
// and a name that ends in a slash a directory.
func write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		full := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(full), 0o755))
		target, isLink := strings.CutPrefix(text, "-> ")
		switch {
		case strings.HasSuffix(name, "/"):
			must(t, os.MkdirAll(full, 0o755))
		case isLink:
			must(t, os.Symlink(target, full))
		default:
			must(t, os.WriteFile(full, []byte(text), 0o644))
			when := time.Unix(1700000000, 0)
			must(t, os.Chtimes(full, when, when))
		}
	}
}

func copyDir(t *testing.T, from, to string, o CopyOptions) (CopyResult, error) {
	t.Helper()
	return Copy(t.Context(), openTest(t, from), to, o)
}

// left tells what lies beside a destination that should not.
func left(t *testing.T, dest string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(dest))
	must(t, err)
	var names []string
	for _, e := range entries {
		if e.Name() != filepath.Base(dest) {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestCopy(t *testing.T) {
	dir := t.TempDir()
	one, two, dest := filepath.Join(dir, "one"), filepath.Join(dir, "two"), filepath.Join(dir, "install", "rocky9.4", "x86_64")
	write(t, one, map[string]string{".discinfo": "disc 1", "Packages/a.rpm": "a", "Packages/old": "old", "empty/": "", "link": "-> Packages/a.rpm"})
	write(t, two, map[string]string{".discinfo": "disc two", "Packages/b.rpm": "b", "Packages/old": "newer", "more/c": "c", "link": "-> Packages"})
	must(t, os.Chmod(filepath.Join(one, "Packages/a.rpm"), 0o4777))

	r, err := copyDir(t, one, dest, CopyOptions{})
	must(t, err)
	if diff := cmp.Diff(CopyResult{Copied: 4, Bytes: 10}, r); diff != "" {
		t.Errorf("first (-want +got):\n%s", diff)
	}
	info, err := os.Stat(filepath.Join(dest, "Packages/a.rpm"))
	must(t, err)
	if info.Mode() != 0o755 {
		t.Errorf("the mode of a.rpm is %v", info.Mode())
	}
	r, err = copyDir(t, one, dest, CopyOptions{})
	must(t, err)
	if diff := cmp.Diff(CopyResult{Same: 4}, r); diff != "" {
		t.Errorf("again (-want +got):\n%s", diff)
	}
	r, err = copyDir(t, two, dest, CopyOptions{KeepFiles: true})
	must(t, err)
	if diff := cmp.Diff(CopyResult{Copied: 2, Kept: 3, Bytes: 2}, r); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	r, err = copyDir(t, two, dest, CopyOptions{})
	must(t, err)
	if diff := cmp.Diff(CopyResult{Copied: 3, Same: 2, Bytes: 13}, r); diff != "" {
		t.Errorf("merged (-want +got):\n%s", diff)
	}
	want := map[string]string{
		".discinfo": "disc two", "Packages/": "", "Packages/a.rpm": "a", "Packages/b.rpm": "b", "Packages/old": "newer",
		"empty/": "", "more/": "", "more/c": "c", "link": "-> Packages",
	}
	if diff := cmp.Diff(want, contents(t, dest)); diff != "" {
		t.Errorf("the tree (-want +got):\n%s", diff)
	}
	prints, err := os.ReadFile(filepath.Join(dest, fingerprintFile))
	must(t, err)
	if n := strings.Count(string(prints), "\n"); n != 2 {
		t.Errorf("%d fingerprints: %s", n, prints)
	}
	if names := left(t, dest); names != nil {
		t.Errorf("left behind: %v", names)
	}
	r, err = copyDir(t, dest, dest, CopyOptions{})
	if err != nil || !r.InPlace {
		t.Errorf("in place: %+v, %v", r, err)
	}
}

// contents is a directory as write makes it.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	must(t, filepath.WalkDir(dir, func(full string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, full)
		switch {
		case err != nil || name == "." || name == fingerprintFile:
		case d.IsDir():
			files[name+"/"] = ""
		case d.Type() == fs.ModeSymlink:
			var target string
			target, err = os.Readlink(full)
			files[name] = "-> " + target
		default:
			var text []byte
			text, err = os.ReadFile(full)
			files[name] = string(text)
		}
		return err
	}))
	return files
}

func TestCopyRefuses(t *testing.T) {
	tests := []struct {
		name         string
		medium, dest map[string]string
		to           string // below the directory of both
		err          string
	}{
		{name: "a link out of the medium", medium: map[string]string{"a/b": "-> ../../etc"}, err: `a/b: the symbolic link to "../../etc" leads out of the medium`},
		{name: "an absolute link", medium: map[string]string{"b": "-> /etc/passwd"}, err: "leads out of the medium"},
		{name: "a link out by another link", medium: map[string]string{"d/here": "-> .", "d/out": "-> here/../../x"}, err: "d/out: the symbolic link"},
		{name: "a directory over a file", medium: map[string]string{"a/b": "x"}, dest: map[string]string{"a": "x"}, err: "a is a directory on the medium and a file at the destination"},
		{name: "a directory over a link", medium: map[string]string{"a/b": "x"}, dest: map[string]string{"a": "-> ../../.."}, err: "a symbolic link at the destination"},
		{name: "a file over a directory", medium: map[string]string{"a": "x"}, dest: map[string]string{"a/b": "x"}, err: "a is a file on the medium and a directory"},
		{name: "into itself", medium: map[string]string{"a": "x"}, to: "medium/inside", err: "one lies in the other"},
		{name: "out of itself", medium: map[string]string{"a": "x"}, to: ".", err: "one lies in the other"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			medium, dest := filepath.Join(dir, "medium"), filepath.Join(dir, "install", "dest")
			write(t, medium, tt.medium)
			must(t, os.MkdirAll(filepath.Dir(dest), 0o755))
			write(t, dest, tt.dest)
			if tt.to != "" {
				dest = filepath.Join(dir, tt.to)
			}
			_, err := copyDir(t, medium, dest, CopyOptions{})
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if tt.to != "" {
				return
			}
			if len(tt.dest) > 0 {
				got := contents(t, dest)
				for name, text := range tt.dest {
					if got[name] != text {
						t.Errorf("%s was changed: %q", name, got[name])
					}
				}
			}
			if names := left(t, dest); names != nil {
				t.Errorf("left behind: %v", names)
			}
		})
	}
}

// A copy that is broken off leaves what was there.
func TestCopyInterrupted(t *testing.T) {
	for _, there := range []bool{false, true} {
		dir := t.TempDir()
		medium, dest := filepath.Join(dir, "medium"), filepath.Join(dir, "install", "dest")
		write(t, medium, map[string]string{"a": "new a", "b": "new b", "c/d": "new d"})
		want := map[string]string{"a": "old a"}
		if there {
			write(t, dest, want)
		}
		ctx, cancel := context.WithCancel(t.Context())
		_, err := Copy(ctx, openTest(t, medium), dest, CopyOptions{Progress: func(done, _ int64) {
			if done > 5 {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		if there {
			if diff := cmp.Diff(want, contents(t, dest)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		} else if _, err := os.Stat(dest); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("there is a half tree: %v", err)
		}
		if names := left(t, dest); names != nil {
			t.Errorf("left behind: %v", names)
		}
	}
}

// Two that copy to one place come one after the other.
func TestCopyTogether(t *testing.T) {
	dir := t.TempDir()
	dest := filepath.Join(dir, "install", "dest")
	results := make(chan error)
	for _, name := range []string{"one", "two", "three"} {
		write(t, filepath.Join(dir, name), map[string]string{name: name, "both": name})
		m := openTest(t, filepath.Join(dir, name))
		go func() {
			_, err := Copy(t.Context(), m, dest, CopyOptions{})
			results <- err
		}()
	}
	for range 3 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if got := contents(t, dest); len(got) != 4 {
		t.Errorf("there is %v", got)
	}
}

func TestCopyNoSpace(t *testing.T) {
	dir := t.TempDir()
	huge := &tree{size: 1 << 20, root: &node{name: ".", mode: fs.ModeDir | 0o755}}
	huge.root.children = []*node{{name: "huge", mode: 0o644, size: maxFile, extents: []extent{{length: maxFile, zeros: true}}}}
	m, err := newMedium(huge, UDF, "")
	must(t, err)
	_, err = Copy(t.Context(), m, filepath.Join(dir, "dest"), CopyOptions{})
	if err == nil || !strings.Contains(err.Error(), "MiB are needed in "+dir) {
		t.Errorf("error %v", err)
	}
	if names := left(t, filepath.Join(dir, "dest")); names != nil {
		t.Errorf("left behind: %v", names)
	}
}
