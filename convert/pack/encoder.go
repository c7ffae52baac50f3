package pack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/rootcast/rootcast/convert/pack/libzstd"
)

// encoder compresses segments, each as one frame or member of its own. One
// goroutine uses it at a time.
type encoder interface {
	// encode returns plain, compressed, in dst, which is empty, where that has the room.
	encode(ctx context.Context, dst, plain []byte, k kind) ([]byte, error)
	// stream compresses to w what is too large for memory, on so many threads,
	// which change nothing in the result. Close ends the frame or member.
	stream(ctx context.Context, w io.Writer, threads int) (io.WriteCloser, error)
	// piece returns a piece of a frame of whole bytes, which begins at from: pieces, each
	// packed by itself, are one frame behind each other. Only an encoder of a codec with
	// pieces is asked for it.
	piece(dst, plain []byte, from, whole int64) ([]byte, error)
	free() // gives back what the garbage collector does not know of
}

// onHeap is of encoders that the garbage collector looks after, and that make no pieces.
type onHeap struct{}

func (onHeap) free() {}

func (onHeap) piece(_, _ []byte, _, _ int64) ([]byte, error) { return nil, errors.ErrUnsupported }

// codec is a codec that is ready for use.
type codec struct {
	identity string // its name with the library or program whose bytes it makes
	pieces   bool   // its encoders make them
	encoder  func() (encoder, error)
}

// The versions of go.mod: another one may make other bytes.
const (
	zstdVersion = "v1.5.7"
	gzipVersion = "v1.20.3"
	lz4Version  = "v4.1.33"
)

// zstdRules changes with the parameters of newZstdEncoder and with libzstd's finder.
const zstdRules = ", finder 2"

// open finds what the codec needs.
func (c Codec) open(ctx context.Context, o Options) (codec, error) {
	switch c {
	case Zstd:
		return codec{"zstd: libzstd " + zstdVersion + zstdRules, o.Level == fastLevel, func() (encoder, error) { return newZstdEncoder(o.Level) }}, nil
	case Gzip:
		return codec{"gzip: klauspost/compress " + gzipVersion, false, func() (encoder, error) { return gzipEncoder{level: o.Level}, nil }}, nil
	case XZ:
		return openXZ(ctx, o.Level)
	case LZ4:
		legacy := o.Method == CPIO || o.Method == ""
		return codec{fmt.Sprintf("lz4: pierrec/lz4 %s, legacy %t", lz4Version, legacy), false, func() (encoder, error) { return lz4Encoder{level: o.Level, legacy: legacy}, nil }}, nil
	default:
		return codec{string(c), false, func() (encoder, error) { return noEncoder{}, nil }}, nil
	}
}

// fastLevel is the level, and the default, at which the search for matches is our own.
const fastLevel = 3

type zstdEncoder struct {
	encoders map[kind]*libzstd.Encoder // of whole segments
	large    *libzstd.Encoder
}

// newZstdEncoder: level 3 is the default, and by it most of the time of a conversion
// is spent. Segments are compressed with a search for matches of our own, but for
// kernel modules, which libzstd compresses by level 2, with matches of 7 bytes or
// more up to 4 MiB back, in a quarter less time for 2 % more size. The stream of a
// file that cannot be read in pieces takes libzstd's level 3, with tables that stay
// in a core's cache and no search for the best ends of blocks: a fifth less time for
// 2 % more size.
func newZstdEncoder(level int) (_ encoder, err error) {
	z := &zstdEncoder{encoders: map[kind]*libzstd.Encoder{}}
	defer func() {
		if err != nil {
			z.free()
		}
	}()
	if level != fastLevel {
		if z.large, err = libzstd.New(libzstd.Level(level)); err != nil {
			return nil, err
		}
		z.encoders[anything], z.encoders[kernelModules] = z.large, z.large
		return z, nil
	}
	if z.large, err = libzstd.New(libzstd.Level(fastLevel), libzstd.HashLog(17), libzstd.ChainLog(14), libzstd.BlockSplitter(1)); err != nil {
		return nil, err
	}
	if z.encoders[anything], err = libzstd.NewFast(); err != nil {
		return nil, err
	}
	if z.encoders[kernelModules], err = libzstd.New(libzstd.Level(2), libzstd.WindowLog(22), libzstd.MinMatch(7)); err != nil {
		return nil, err
	}
	return z, nil
}

func (z *zstdEncoder) encode(_ context.Context, dst, plain []byte, k kind) ([]byte, error) {
	return z.encoders[k].Encode(dst, plain)
}

func (z *zstdEncoder) piece(dst, plain []byte, from, whole int64) ([]byte, error) {
	return z.encoders[anything].EncodePiece(dst, plain, from, whole)
}

func (z *zstdEncoder) free() {
	for _, e := range append(slices.Collect(maps.Values(z.encoders)), z.large) {
		e.Close()
	}
}

func (z *zstdEncoder) stream(_ context.Context, w io.Writer, threads int) (io.WriteCloser, error) {
	return z.large.Stream(w, threads)
}

type gzipEncoder struct {
	onHeap
	level int
}

func (g gzipEncoder) encode(ctx context.Context, dst, plain []byte, _ kind) ([]byte, error) {
	b := bytes.NewBuffer(dst)
	z, err := g.stream(ctx, b, 1)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(plain); err != nil {
		return nil, err
	}
	err = z.Close()
	return b.Bytes(), err
}

// stream: the header carries no name, time or extra field, of which the kernel's gunzip knows none.
func (g gzipEncoder) stream(_ context.Context, w io.Writer, _ int) (io.WriteCloser, error) {
	z, err := gzip.NewWriterLevel(w, g.level)
	if err != nil {
		return nil, err
	}
	z.ModTime = time.Unix(0, 0) // "no time"; the zero Time would write its own seconds
	return z, nil
}

type noEncoder struct{ onHeap }

func (noEncoder) encode(_ context.Context, dst, plain []byte, _ kind) ([]byte, error) {
	return append(dst, plain...), nil
}

func (noEncoder) stream(_ context.Context, w io.Writer, _ int) (io.WriteCloser, error) {
	return nopCloser{w}, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
