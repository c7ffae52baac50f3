package rootfs_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

const fsLayer = `
	dir     etc 0755
	file    etc/hosts 04755 1:2 mtime=77 "127.0.0.1\n"
	link    etc/hosts.bak etc/hosts
	dir     empty 01777
	dir     usr/lib/x 0755
	file    usr/lib/x/lib.so 0644 size=70000
	symlink lib usr/lib
	symlink abs /etc/hosts
	symlink up ../../../etc/hosts
	symlink dotdot lib/../share
	dir     usr/share 02755
	file    usr/share/doc 0644 doc
	symlink ring1 ring2
	symlink ring2 ring1
	symlink slash etc/hosts/
	symlink dangling nowhere
	char    null 0666 1 3
	block   sda 0660 8 0
	fifo    pipe 0600`

// noLinks leaves out what a walk cannot open.
func TestTreeIsFS(t *testing.T) {
	var lines []string
	for _, line := range strings.Split(fsLayer, "\n") {
		if !strings.Contains(line, "ring") && !strings.Contains(line, "dangling") && !strings.Contains(line, "slash") {
			lines = append(lines, line)
		}
	}
	tree := rootfstest.Tree(t, strings.Join(lines, "\n"))
	err := fstest.TestFS(tree, "etc/hosts", "etc/hosts.bak", "empty", "usr/lib/x/lib.so", "lib", "abs", "up", "dotdot", "null", "sda", "pipe")
	if err != nil {
		t.Error(err)
	}
}

func TestTreeFollowsSymlinks(t *testing.T) {
	tree := rootfstest.Tree(t, fsLayer)
	for name, want := range map[string]string{
		"abs":          "127.0.0.1\n",
		"up":           "127.0.0.1\n",
		"lib/x/lib.so": string(rootfstest.Pattern(70000)),
		"dotdot/doc":   "doc", // lib is usr/lib, so lib/.. is usr
	} {
		got, err := fs.ReadFile(tree, name)
		if err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

func TestTreeErrors(t *testing.T) {
	tree := rootfstest.Tree(t, fsLayer)
	open := func(name string) error { _, err := tree.Open(name); return err }
	readDir := func(name string) error { _, err := tree.ReadDir(name); return err }
	readLink := func(name string) error { _, err := tree.ReadLink(name); return err }
	tests := []struct {
		name string
		err  error
		is   error
		want string
	}{
		{"missing", open("no/such"), fs.ErrNotExist, "open no/such: file does not exist"},
		{"dangling", open("dangling"), fs.ErrNotExist, "open dangling: file does not exist"},
		{"below a file", open("etc/hosts/x"), fs.ErrNotExist, "open etc/hosts/x: file does not exist"},
		{"file with a slash behind it", open("slash"), fs.ErrNotExist, "open slash: file does not exist"},
		{"ring", open("ring1"), nil, "open ring1: too many symlinks"},
		{"absolute", open("/etc"), fs.ErrInvalid, "open /etc: invalid argument"},
		{"up", open("../etc"), fs.ErrInvalid, "open ../etc: invalid argument"},
		{"list of a file", readDir("etc/hosts"), nil, "readdir etc/hosts: not a directory"},
		{"target of a file", readLink("etc/hosts"), fs.ErrInvalid, "readlink etc/hosts: invalid argument"},
		{"target of a missing", readLink("gone"), fs.ErrNotExist, "readlink gone: file does not exist"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.err == nil || tt.err.Error() != tt.want {
				t.Errorf("error %v, want %s", tt.err, tt.want)
			}
			if tt.is != nil && !errors.Is(tt.err, tt.is) {
				t.Errorf("%v is not %v", tt.err, tt.is)
			}
		})
	}
}

func TestTreeModes(t *testing.T) {
	tree := rootfstest.Tree(t, fsLayer)
	got := map[string]string{}
	for _, name := range []string{".", "etc/hosts", "empty", "usr/share", "lib", "null", "sda", "pipe"} {
		info, err := tree.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		got[name] = info.Mode().String()
	}
	want := map[string]string{
		".": "drwxr-xr-x", "etc/hosts": "urwxr-xr-x", "empty": "dtrwxrwxrwx", "usr/share": "dgrwxr-xr-x",
		"lib": "Lrwxrwxrwx", "null": "Dcrw-rw-rw-", "sda": "Drw-rw----", "pipe": "prw-------",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("modes (-want +got):\n%s", d)
	}
	info, err := tree.Stat("abs")
	if err != nil {
		t.Fatal(err)
	}
	in, ok := info.Sys().(*rootfs.Inode)
	if !ok || in.Names() != 2 || in.UID != 1 || in.GID != 2 || !info.ModTime().Equal(time.Unix(77, 0)) || info.Size() != 10 {
		t.Errorf("abs is %+v", info)
	}
}

// Any number of readers may read one file.
func TestTreeConcurrentReads(t *testing.T) {
	tree := rootfstest.Tree(t, fsLayer)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for name, in := range tree.All() {
				if n, err := io.Copy(io.Discard, in.Open()); err != nil || n != in.Size {
					t.Errorf("%s: %d bytes, %v", name, n, err)
				}
			}
			if _, err := fs.ReadFile(tree, "lib/x/lib.so"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// A walk may stop anywhere, and starts anew each time.
func TestAllStops(t *testing.T) {
	tree := rootfstest.Tree(t, fsLayer)
	total := 0
	for range tree.All() {
		total++
	}
	for stop := range total {
		n := 0
		for range tree.All() {
			if n == stop {
				break
			}
			n++
		}
		if n != stop {
			t.Errorf("stopped after %d names instead of %d", n, stop)
		}
	}
}

// A directory with 100,000 names, replaced piece by piece, is merged in linear
// time: anything else would not end within the test's time limit.
func TestManyFilesInOneDirectory(t *testing.T) {
	const n = 100_000
	var lower, upper []rootfstest.Entry
	for i := range n {
		name := fmt.Sprintf("usr/share/many/file-%06d", i)
		lower = append(lower, rootfstest.Entry{Verb: "file", Path: name, Mode: 0o644, ModTime: time.Unix(1, 0)})
		switch i % 3 {
		case 0:
			upper = append(upper, rootfstest.Entry{Verb: "wh", Path: name})
		case 1:
			upper = append(upper, rootfstest.Entry{Verb: "link", Path: name + ".l", Target: name})
		}
	}
	var layers []*rootfs.Index
	for _, entries := range [][]rootfstest.Entry{lower, upper} {
		x, err := rootfstest.Index("L", entries)
		if err != nil {
			t.Fatal(err)
		}
		layers = append(layers, x)
	}
	tree, err := rootfs.Merge(t.Context(), layers...)
	if err != nil {
		t.Fatal(err)
	}
	got := 0
	for range tree.All() {
		got++
	}
	if want := 4 + n - (n+2)/3 + (n+1)/3; got != want {
		t.Errorf("%d names, want %d", got, want)
	}
}
