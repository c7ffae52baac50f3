package pack

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/pierrec/lz4/v4"
)

// lz4Encoder writes the frames of lz4(1), or for an initramfs the legacy ones:
// the only ones that the kernel reads (lib/decompress_unlz4.c).
type lz4Encoder struct {
	onHeap
	level  int
	legacy bool
}

func (z lz4Encoder) encode(ctx context.Context, dst, plain []byte, _ kind) ([]byte, error) {
	b := bytes.NewBuffer(dst)
	w, err := z.stream(ctx, b, 1)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	err = w.Close()
	return b.Bytes(), err
}

// stream works on one thread, which is faster than the disk: more of them hold
// many blocks of 8 MiB.
func (z lz4Encoder) stream(_ context.Context, w io.Writer, _ int) (io.WriteCloser, error) {
	level := lz4.Fast
	if z.level > 1 {
		level = 1 << (8 + z.level) // lz4.Level2 and so on
	}
	enc := lz4.NewWriter(pieces{w}) // it writes blocks of megabytes
	if err := enc.Apply(lz4.CompressionLevelOption(level), lz4.LegacyOption(z.legacy), lz4.ConcurrencyOption(1)); err != nil {
		return nil, fmt.Errorf("compressing by lz4: %w", err)
	}
	return enc, nil
}

func lz4Decoder(r io.Reader) (io.ReadCloser, error) {
	return io.NopCloser(lz4.NewReader(r)), nil
}

// pieces writes no more than chunkSize at a time.
type pieces struct{ w io.Writer }

func (p pieces) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		var k int
		k, err = p.w.Write(b[:min(chunkSize, len(b))])
		n += k
		b = b[k:]
	}
	return n, err
}
