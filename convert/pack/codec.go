package pack

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// Codec is how an archive is compressed.
type Codec string

// The codecs. What they are called inside squashfs and erofs differs at times:
// gzip is zlib or deflate there, xz LZMA.
const (
	Zstd Codec = "zstd"
	Gzip Codec = "gzip"
	XZ   Codec = "xz"
	LZ4  Codec = "lz4"
	None Codec = "none"
)

// ParseCodec returns the codec called name.
func ParseCodec(name string) (Codec, error) {
	switch c := Codec(name); c {
	case Zstd, Gzip, XZ, LZ4, None:
		return c, nil
	}
	return "", fmt.Errorf("unknown compression %q: one of zstd, gzip, xz, lz4, none", name)
}

// maxWindow is the zstd window that each kernel can be trusted with
// (lib/decompress_unzstd.c); above level 19 it would be larger.
const maxWindow = 8 << 20

// level returns the codec's own default for 0, and checks all others.
func (c Codec) level(level int) (int, error) {
	def, highest := 0, 0
	switch c {
	case Zstd:
		def, highest = 3, 19
	case Gzip:
		def, highest = 6, 9
	case XZ:
		def, highest = 6, 9
	case LZ4:
		def, highest = 1, 9
	case None:
		return 0, nil
	default:
		_, err := ParseCodec(string(c))
		return 0, err
	}
	return c.inRange(level, def, highest)
}

func (c Codec) inRange(level, def, highest int) (int, error) {
	switch {
	case level == 0:
		return def, nil
	case level < 1 || level > highest:
		return 0, fmt.Errorf("compression level %d: %s has 1 to %d", level, c, highest)
	}
	return level, nil
}

// Decoder returns a reader of all frames or members of a packed archive.
func (c Codec) Decoder(r io.Reader) (io.ReadCloser, error) {
	switch c {
	case Zstd: // not libzstd's reader, for which a frame that is cut off just ends
		d, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	case Gzip:
		return gzip.NewReader(r)
	case XZ:
		z, err := xz.NewReader(r)
		if err != nil {
			return nil, err
		}
		return io.NopCloser(z), nil
	case LZ4:
		return lz4Decoder(r)
	default:
		return io.NopCloser(r), nil
	}
}
