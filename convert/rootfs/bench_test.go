package rootfs_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"testing"

	"github.com/rootcast/rootcast/convert/rootfs"
)

// BenchmarkMerge indexes and merges two layers of 20,000 files each, of which
// half replace each other.
func BenchmarkMerge(b *testing.B) {
	var layers [2]bytes.Buffer
	for i := range layers {
		w := tar.NewWriter(&layers[i])
		for j := range 20_000 {
			name := fmt.Sprintf("usr/lib/%03d/%05d", j%200, j+i*10_000)
			if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: 100}); err != nil {
				b.Fatal(err)
			}
			if _, err := w.Write(make([]byte, 100)); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		var indexes []*rootfs.Index
		for i := range layers {
			index, err := rootfs.IndexTar(b.Context(), rootfs.Layer{Name: "bench", Tar: bytes.NewReader(layers[i].Bytes()), Size: int64(layers[i].Len())})
			if err != nil {
				b.Fatal(err)
			}
			indexes = append(indexes, index)
		}
		if _, err := rootfs.Merge(b.Context(), indexes...); err != nil {
			b.Fatal(err)
		}
	}
}
