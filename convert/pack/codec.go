package pack

import (
	"fmt"
	"io"

	"github.com/DataDog/zstd"
	"github.com/klauspost/compress/gzip"
)

// Codec is how an archive is compressed.
type Codec string

// The codecs of a cpio archive.
const (
	Zstd Codec = "zstd"
	Gzip Codec = "gzip"
	None Codec = "none"
)

// ParseCodec returns the codec called name.
func ParseCodec(name string) (Codec, error) {
	switch c := Codec(name); c {
	case Zstd, Gzip, None:
		return c, nil
	}
	return "", fmt.Errorf("unknown compression %q: one of zstd, gzip, none", name)
}

// Suffix is what file names of this codec end with.
func (c Codec) Suffix() string {
	switch c {
	case Zstd:
		return ".zst"
	case Gzip:
		return ".gz"
	default:
		return ""
	}
}

// level returns the codec's own default for 0, and checks all others. Above
// zstd's 19 the window outgrows the 8 MiB that each kernel can be trusted with
// (lib/decompress_unzstd.c).
func (c Codec) level(level int) (int, error) {
	def, highest := 0, 0
	switch c {
	case Zstd:
		def, highest = 3, 19
	case Gzip:
		def, highest = 6, 9
	case None:
		return 0, nil
	}
	switch {
	case level == 0:
		return def, nil
	case level < 1 || level > highest:
		return 0, fmt.Errorf("compression level %d: %s has 1 to %d", level, c, highest)
	}
	return level, nil
}

// CheckLevel refuses a level that the codec does not have; 0 is its default.
func (c Codec) CheckLevel(level int) error {
	_, err := c.level(level)
	return err
}

// encoder returns a writer that compresses to w; its Close ends one frame or member.
func (c Codec) encoder(w io.Writer, level int) (io.WriteCloser, error) {
	switch c {
	case Zstd:
		return zstd.NewWriterLevel(w, level), nil
	case Gzip: // the header carries no name, time or extra field: the kernel's gunzip knows none
		return gzip.NewWriterLevel(w, level)
	default:
		return nopCloser{w}, nil
	}
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// Decoder returns a reader of all frames or members of a packed archive.
func (c Codec) Decoder(r io.Reader) (io.ReadCloser, error) {
	switch c {
	case Zstd:
		return zstd.NewReader(r), nil
	case Gzip:
		return gzip.NewReader(r)
	default:
		return io.NopCloser(r), nil
	}
}
