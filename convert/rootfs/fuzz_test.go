package rootfs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// program turns bytes into layers: few names, so that all kinds of entries meet.
func program(data []byte) [][]rootfstest.Entry {
	names := []string{"a", "b", "c"}
	layers := [][]rootfstest.Entry{nil}
	next := func() int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b)
	}
	name := func() string {
		var parts []string
		for b := next(); len(parts) < 3; b >>= 3 {
			parts = append(parts, names[b%3])
			if b&4 == 0 {
				break
			}
		}
		return strings.Join(parts, "/")
	}
	for serial := 1; len(data) > 0 && serial < 100; serial++ {
		verb := next()
		e := rootfstest.Entry{Path: name(), ModTime: time.Unix(0, 0)}
		switch verb % 12 {
		case 0, 1, 2:
			e.Verb, e.Mode, e.UID = "dir", int64(0o700+serial), serial
			if verb >= 240 {
				e.Xattrs = map[string]string{"trusted.overlay.opaque": "y"}
			}
		case 3, 4:
			e.Verb, e.Mode, e.Content = "file", 0o644, fmt.Sprint("content ", serial)
		case 5:
			targets := []string{name(), "../" + name(), "/" + name(), "./" + name() + "/..", "..", "/"}
			e.Verb, e.Target, e.Mode = "symlink", targets[next()%len(targets)], 0
		case 6, 7:
			e.Verb, e.Target = "link", name()
		case 8:
			e.Verb, e.Mode, e.Major, e.Minor = "char", 0o600, int64(verb/128), int64(serial)
			if verb < 128 { // a whiteout as overlayfs has them
				e.Minor = 0
			}
		case 9:
			e.Verb = "wh"
		case 10:
			e.Verb = "opq"
			if next()%8 == 0 {
				e.Path = "."
			}
		case 11:
			layers = append(layers, nil)
			continue
		}
		last := len(layers) - 1
		layers[last] = append(layers[last], e)
	}
	return layers
}

// FuzzMerge holds Merge to the naive model: the same tree, or both refuse.
func FuzzMerge(f *testing.F) {
	f.Add([]byte("0"))
	seed := uint32(1)
	for range 300 { // these run in every test
		var b []byte
		for range 40 {
			seed = seed*1664525 + 1013904223
			b = append(b, byte(seed>>24))
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		layers := program(data)
		want, wantErr := rootfstest.Merge(layers...)
		got, err := mergeAll(layers)
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("tree: %v; naive: %v; of\n%s", err, wantErr, text(layers))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-naive +tree):\n%s\nof\n%s", d, text(layers))
		}
	})
}

func mergeAll(layers [][]rootfstest.Entry) ([]string, error) {
	var list []*rootfs.Index
	for i, entries := range layers {
		x, err := rootfstest.Index(fmt.Sprint(i+1), entries)
		if err != nil {
			return nil, err
		}
		list = append(list, x)
	}
	tree, err := rootfs.Merge(context.Background(), list...)
	if err != nil {
		return nil, err
	}
	return rootfstest.List(tree)
}

func text(layers [][]rootfstest.Entry) string {
	var b strings.Builder
	for i, entries := range layers {
		fmt.Fprintf(&b, "layer %d\n", i+1)
		for _, e := range entries {
			fmt.Fprintf(&b, "\t%s\n", e)
		}
	}
	return b.String()
}

// FuzzIndexTar feeds damaged tars: no panic, no endless loop, no memory beyond
// some multiple of the input, and whatever is indexed is inside the root and
// its content as long as it says.
func FuzzIndexTar(f *testing.F) {
	for _, tt := range mergeCases {
		for _, entries := range parse(f, tt.layers...) {
			var b bytes.Buffer
			if err := rootfstest.WriteTar(&b, entries); err != nil {
				f.Fatal(err)
			}
			f.Add(b.Bytes())
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		x, err := rootfs.IndexTar(context.Background(), rootfs.Layer{Name: "L", Tar: bytes.NewReader(data), Size: int64(len(data))})
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20+1000*uint64(len(data)) {
			t.Errorf("%d bytes of memory for %d of tar", used, len(data))
		}
		if err != nil {
			return
		}
		for _, e := range x.Entries {
			if e.Path != path.Clean(e.Path) || strings.HasPrefix(e.Path+"/", "../") || path.IsAbs(e.Path) || strings.ContainsRune(e.Path, 0) {
				t.Errorf("path %q", e.Path)
			}
			if e.Kind != rootfs.Add || e.Inode.Size > 1<<24 {
				continue
			}
			n, err := io.Copy(io.Discard, e.Inode.Open())
			if err == nil && n != e.Inode.Size {
				t.Errorf("%q: read %d of %d bytes", e.Path, n, e.Inode.Size)
			}
		}
		tree, err := rootfs.Merge(context.Background(), x)
		if err == nil {
			_, err = rootfstest.List(tree)
		}
		if err != nil && errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
