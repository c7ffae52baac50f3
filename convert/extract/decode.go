package extract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
)

// maxWindow is the largest zstd window that the kernel takes (lib/decompress_unzstd.c).
const maxWindow = 128 << 20

// maxThreads decompress one stream: zstd's reader has no work for more.
const maxThreads = 4

// decoder decompresses one segment after another.
type decoder struct {
	codec   string
	threads int           // for a stream
	block   *zstd.Decoder // for whole segments
	stream  *zstd.Decoder // for those that come in chunks
	gzip    *gzip.Reader
	lz4     *lz4.Reader
}

func (d *decoder) close() {
	if d.block != nil {
		d.block.Close()
	}
	if d.stream != nil {
		d.stream.Close()
	}
}

// all unpacks a segment into dst, which has the room that the segment is to take.
func (d *decoder) all(ctx context.Context, dst, packed []byte) ([]byte, error) {
	want := cap(dst)
	var err error
	switch d.codec {
	case codecNone:
		dst = packed
	case codecZstd:
		dst, err = d.allZstd(dst, packed)
	default:
		var r io.Reader
		if r, err = d.open(bytes.NewReader(packed)); err == nil {
			dst, err = readAll(ctx, dst, r)
		}
	}
	switch {
	case errors.Is(err, errMore) || err == nil && len(dst) > want:
		return nil, fmt.Errorf("it unpacks to more than the %d bytes that it should", want)
	case err != nil:
		return nil, fmt.Errorf("decompressing it: %w", err)
	case len(dst) < want:
		return nil, fmt.Errorf("it unpacks to %d bytes and should to %d", len(dst), want)
	}
	return dst, nil
}

// errMore is a segment that is longer than the table says.
var errMore = errors.New("more bytes than there should be")

func (d *decoder) allZstd(dst, packed []byte) (_ []byte, err error) {
	if d.block == nil {
		if d.block, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxWindow(maxWindow)); err != nil {
			return nil, err
		}
	}
	dst, err = d.block.DecodeAll(packed, dst)
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		err = errMore
	}
	return dst, err
}

// readAll reads to the end, some at a time because of ctx.
func readAll(ctx context.Context, dst []byte, r io.Reader) ([]byte, error) {
	for len(dst) < cap(dst) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := r.Read(dst[len(dst):min(cap(dst), len(dst)+chunkSize)])
		dst = dst[:len(dst)+n]
		if errors.Is(err, io.EOF) {
			return dst, nil
		}
		if err != nil {
			return nil, err
		}
	}
	n, err := io.ReadFull(r, make([]byte, 1)) // which checks the sum, too
	if n > 0 {
		return nil, errMore
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return dst, err
}

// open returns a reader of all frames or members in r. The one before is done with.
func (d *decoder) open(r io.Reader) (_ io.Reader, err error) {
	switch d.codec {
	case codecZstd:
		if d.stream == nil {
			d.stream, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(d.threads), zstd.WithDecoderMaxWindow(maxWindow))
		} else {
			err = d.stream.Reset(r)
		}
		return d.stream, err
	case codecGzip:
		if d.gzip == nil {
			d.gzip, err = gzip.NewReader(r)
		} else {
			err = d.gzip.Reset(r)
		}
		return d.gzip, err
	case codecXZ:
		return xz.NewReader(r)
	case codecLZ4:
		if d.lz4 == nil {
			d.lz4 = lz4.NewReader(r)
		} else {
			d.lz4.Reset(r)
		}
		return d.lz4, nil
	default:
		return r, nil
	}
}

// unpacked is the bytes of a stream, checked against the table.
type unpacked struct {
	r    io.Reader
	buf  []byte
	n    int64
	want int64 // -1: not known
}

// fill is for a source.
func (u *unpacked) fill() ([]byte, error) {
	for {
		n, err := u.r.Read(u.buf)
		u.n += int64(n)
		switch {
		case u.want >= 0 && u.n > u.want:
			return nil, fmt.Errorf("it unpacks to more than the %d bytes that it should", u.want)
		case n > 0:
			return u.buf[:n], nil // an error comes again
		case errors.Is(err, io.EOF) && u.n < u.want:
			return nil, fmt.Errorf("it unpacks to %d bytes and should to %d", u.n, u.want)
		case errors.Is(err, io.EOF):
			return nil, io.EOF
		case err != nil:
			return nil, fmt.Errorf("decompressing it: %w", err)
		}
	}
}
