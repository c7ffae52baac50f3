package rootfs_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

func TestLayers(t *testing.T) {
	tree := rootfstest.Tree(t, `
		file a 0644 size=10
		file b 0644 size=20
		file c 0644 size=30
		file d/e 0644 size=40
		link d/f d/e
		file empty 0644
		symlink s a`, `
		wh   empty
		file a 0644 size=11
		wh   b
		link c2 c
		wh   d/e
		file twice 0644 size=1
		file twice 0644 size=2`, `
		wh   c
		opq  d
		file d/g 0644 size=5`)
	want := []rootfs.LayerUse{
		{Name: "1", Files: 5, Size: 100, Hidden: []rootfs.HiddenFile{{Path: "a", Size: 10}, {Path: "b", Size: 20}, {Path: "d/e", Size: 40}}},
		{Name: "2", Files: 3, Size: 14, Hidden: []rootfs.HiddenFile{{Path: "twice", Size: 1}}},
		{Name: "3", Files: 1, Size: 5},
	}
	if diff := cmp.Diff(want, tree.Layers); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if err := tree.Put("init", rootfs.NewSymlink("a")); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for name, in := range tree.All() {
		got[name] = in.Layer()
	}
	layers := map[string]int{".": -1, "a": 1, "c2": 0, "d": -1, "d/g": 2, "s": 0, "twice": 1, "init": -1}
	if diff := cmp.Diff(layers, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
