package pack_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs"
)

// benchTree is a root of n files whose sizes and compressibility are like those
// of a distribution: many small, few large, about a third of the size packed.
func benchTree(b *testing.B, n int) (*rootfs.Tree, int64) {
	b.Helper()
	rnd := rand.New(rand.NewPCG(1, 1))
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	var total int64
	for i := range n {
		size := 200 << rnd.IntN(12)
		body := make([]byte, size)
		for at := 0; at < size; {
			// A run of noise, then the same again twice.
			run := body[at:min(at+16+rnd.IntN(48), size)]
			for j := range run {
				run[j] = byte(rnd.Uint32())
			}
			at += len(run)
			for range 2 {
				at += copy(body[at:], run)
			}
		}
		if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("usr/%02d/%05d", i%100, i), Mode: 0o644, Size: int64(size)}); err != nil {
			b.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			b.Fatal(err)
		}
		total += int64(size)
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	index, err := rootfs.IndexTar(b.Context(), rootfs.Layer{Name: "bench", Tar: bytes.NewReader(layer.Bytes()), Size: int64(layer.Len())})
	if err != nil {
		b.Fatal(err)
	}
	tree, err := rootfs.Merge(b.Context(), index)
	if err != nil {
		b.Fatal(err)
	}
	return tree, total
}

func BenchmarkCPIO(b *testing.B) {
	tree, size := benchTree(b, 2000)
	for _, codec := range []pack.Codec{pack.None, pack.Zstd, pack.Gzip} {
		for _, jobs := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/jobs=%d", codec, jobs), func(b *testing.B) {
				b.SetBytes(size)
				for b.Loop() {
					if _, err := pack.Archive(b.Context(), io.Discard, tree, pack.Options{Codec: codec, Jobs: jobs}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
