package rootfstest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/rootfs"
)

// Tar returns a layer's plain tar.
func Tar(t testing.TB, layer string) *bytes.Reader {
	t.Helper()
	entries, err := Parse(layer)
	if err != nil {
		t.Fatal(err)
	}
	b, err := tarOf(entries)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b)
}

// Index indexes the tar of entries; the layer is called name.
func Index(name string, entries []Entry) (*rootfs.Index, error) {
	b, err := tarOf(entries)
	if err != nil {
		return nil, err
	}
	key := fmt.Sprintf("sha256:%x", sha256.Sum256(b))
	return rootfs.IndexTar(context.Background(), rootfs.Layer{Name: name, Key: key, Tar: bytes.NewReader(b), Size: int64(len(b))})
}

// Indexes indexes layers called "1", "2" and so on.
func Indexes(t testing.TB, layers ...string) []*rootfs.Index {
	t.Helper()
	var list []*rootfs.Index
	for i, layer := range layers {
		entries, err := Parse(layer)
		if err != nil {
			t.Fatal(err)
		}
		x, err := Index(fmt.Sprint(i+1), entries)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, x)
	}
	return list
}

// Tree merges layers, the lowest first.
func Tree(t testing.TB, layers ...string) *rootfs.Tree {
	t.Helper()
	tree, err := rootfs.Merge(context.Background(), Indexes(t, layers...)...)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// List describes the tree in its own order, a line a name: the first name of a
// hard-linked file as what it is, all others as a link to that.
func List(tree *rootfs.Tree) ([]string, error) {
	var lines []string
	first := map[*rootfs.Inode]string{}
	names := map[*rootfs.Inode]int{}
	for name, in := range tree.All() {
		names[in]++
		if target, ok := first[in]; ok {
			lines = append(lines, Entry{Verb: "link", Path: name, Target: target}.String())
			continue
		}
		first[in] = name
		e, err := describe(name, in)
		if err != nil {
			return nil, fmt.Errorf("reading %q: %w", name, err)
		}
		lines = append(lines, e.String())
	}
	for in, n := range names {
		if in.Names() != n {
			return nil, fmt.Errorf("%q says that it has %d names, and has %d", first[in], in.Names(), n)
		}
	}
	return lines, nil
}

func describe(name string, in *rootfs.Inode) (Entry, error) {
	verbs := map[uint32]string{
		rootfs.TypeDir: "dir", rootfs.TypeRegular: "file", rootfs.TypeSymlink: "symlink",
		rootfs.TypeChar: "char", rootfs.TypeBlock: "block", rootfs.TypeFIFO: "fifo",
	}
	content, err := io.ReadAll(in.Open())
	if err == nil && int64(len(content)) != in.Size {
		err = fmt.Errorf("%d bytes of %d", len(content), in.Size)
	}
	return Entry{
		Verb: verbs[in.Type()], Path: name, Target: in.Target, Mode: int64(in.Mode & 0o7777),
		UID: int(in.UID), GID: int(in.GID), Major: int64(in.Major), Minor: int64(in.Minor),
		ModTime: in.ModTime, Content: string(content), Xattrs: in.Xattrs,
	}, err
}

// Diff fails the test where the tree is not what want lists.
func Diff(t testing.TB, tree *rootfs.Tree, want string) {
	t.Helper()
	got, err := List(tree)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := Parse(want)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range entries {
		lines = append(lines, e.String())
	}
	if d := cmp.Diff(strings.Join(lines, "\n"), strings.Join(got, "\n")); d != "" {
		t.Errorf("tree (-want +got):\n%s", d)
	}
}
