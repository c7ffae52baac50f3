package kmod

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Packed is the ending of the name of a file that a [Compressor] made.
const Packed = ".zst"

// Compressor compresses modules by zstd. Several goroutines may use it.
type Compressor struct {
	enc *zstd.Encoder
	out sync.Pool // of *[]byte, each as large as the largest so far
}

// window is how far zstd looks back, in bytes. Hardly a module is larger.
const window = 1 << 20

// NewCompressor returns a compressor for so many modules at a time.
func NewCompressor(jobs int) (*Compressor, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(jobs), zstd.WithWindowSize(window))
	if err != nil {
		return nil, fmt.Errorf("compressing modules: %w", err)
	}
	return &Compressor{enc: enc, out: sync.Pool{New: func() any { return new([]byte) }}}, nil
}

// Compress returns one frame, of the same bytes each time, that [Decompress] and
// kernels with CONFIG_MODULE_COMPRESS_ZSTD know.
func (c *Compressor) Compress(module []byte) []byte {
	out, _ := c.out.Get().(*[]byte)
	defer c.out.Put(out)
	*out = c.enc.EncodeAll(module, (*out)[:0])
	return bytes.Clone(*out)
}
