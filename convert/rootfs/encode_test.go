package rootfs_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// encodable has every kind of entry, and names and numbers at their limits.
const encodable = `
	dir     . 0711 mtime=5
	file    etc/hosts 0644 1:2 mtime=7 "127.0.0.1\n"
	link    a-link etc/hosts
	file    "a b/new\nline" 04755 4294967294:65534 mtime=4294967295 x
	file    "a b/\xff" 02755 xattr:user.k=v xattr:security.capability=\x01\x00 xattr:a=
	symlink sym "to \n there"
	char    null 0666 1 3
	block   sda 0660 0:6 4095 1048575
	fifo    pipe 0622 1:0
	wh      gone
	opq     etc
	file    old 0644 mtime=-5 size=4096`

// TestEncode: a decoded index makes the same tree, contents and identities.
func TestEncode(t *testing.T) {
	blob := rootfstest.Tar(t, encodable)
	layer := rootfs.Layer{Name: "L", Key: "sha256:1", Tar: blob, Size: blob.Size()}
	index, err := rootfs.IndexTar(t.Context(), layer)
	if err != nil {
		t.Fatal(err)
	}
	data := index.Encode()
	again, err := rootfs.DecodeIndex(layer, data)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(describe(t, index), describe(t, again)); d != "" {
		t.Errorf("(-index +decoded):\n%s", d)
	}
	for i, e := range index.Entries {
		if e.Inode == nil {
			continue
		}
		a, offA, okA := e.Inode.ContentID()
		b, offB, okB := again.Entries[i].Inode.ContentID()
		if a != b || offA != offB || okA != okB {
			t.Errorf("%q is %s:%d %v, decoded %s:%d %v", e.Path, a, offA, okA, b, offB, okB)
		}
	}
	for n := range data {
		if _, err := rootfs.DecodeIndex(layer, data[:n]); err == nil {
			t.Errorf("the first %d bytes of %d are taken for an index", n, len(data))
		}
	}
	if _, err := rootfs.DecodeIndex(layer, append(data, 0)); err == nil {
		t.Error("one byte more is taken for an index")
	}
}

func describe(t *testing.T, x *rootfs.Index) []string {
	t.Helper()
	tree, err := rootfs.Merge(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	list, err := rootfstest.List(tree)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range x.Entries {
		if e.Kind == rootfs.Whiteout || e.Kind == rootfs.Opaque {
			list = append(list, e.Path)
		}
	}
	return list
}

// FuzzDecodeIndex: whatever the bytes, an index or an error, and the same bytes again.
func FuzzDecodeIndex(f *testing.F) {
	blob := rootfstest.Tar(f, encodable)
	layer := rootfs.Layer{Name: "L", Tar: blob, Size: blob.Size()}
	index, err := rootfs.IndexTar(f.Context(), layer)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(index.Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := rootfs.DecodeIndex(layer, data)
		if err != nil {
			return
		}
		again, err := rootfs.DecodeIndex(layer, x.Encode())
		if err != nil || len(again.Entries) != len(x.Entries) {
			t.Errorf("%d entries, encoded and decoded again %v, %v", len(x.Entries), again, err)
		}
	})
}
