package kmod

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// Packed is the ending of the name of a file that a [Compressor] made.
const Packed = ".zst"

// Compressor compresses modules by zstd. Several goroutines may use it.
type Compressor struct{ enc *zstd.Encoder }

// NewCompressor returns a compressor for so many modules at a time.
func NewCompressor(jobs int) (*Compressor, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(jobs))
	if err != nil {
		return nil, fmt.Errorf("compressing modules: %w", err)
	}
	return &Compressor{enc}, nil
}

// Compress returns one frame, of the same bytes each time, that [Decompress] and
// kernels with CONFIG_MODULE_COMPRESS_ZSTD know.
func (c *Compressor) Compress(module []byte) []byte {
	return c.enc.EncodeAll(module, make([]byte, 0, len(module)/2))
}
