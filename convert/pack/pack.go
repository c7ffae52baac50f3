package pack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rootcast/rootcast/convert/cpio"
	"github.com/rootcast/rootcast/convert/ctxio"
	"github.com/rootcast/rootcast/convert/rootfs"
)

// Options says how to pack; the zero value packs without compression on all cores.
type Options struct {
	Codec Codec     // "" is None
	Level int       // 0: the codec's default, zstd 3 and gzip 6
	Jobs  int       // segments at a time; 0: the number of cores
	Epoch time.Time // no file is newer than this; zero: each keeps its time

	// Progress, where it is set, is called from one goroutine at a time with
	// the bytes packed so far and all there are, both before compression.
	Progress func(done, total int64)
}

// Segment is a piece of the archive that can be unpacked by itself.
type Segment struct {
	Offset   int64 `json:"offset"`   // in the packed file
	Size     int64 `json:"size"`     // packed bytes
	Unpacked int64 `json:"unpacked"` // bytes of cpio
}

// Info is what a packed archive turned out to be.
type Info struct {
	Size     int64 // bytes of the packed file
	SHA256   string
	Unpacked int64 // bytes of cpio
	Entries  int
	Segments []Segment
}

const (
	chunkSize = 256 << 10
	// queued is how many chunks a segment may hold before its turn to be
	// written comes: with chunkSize it bounds the memory of one huge file.
	queued = 64
)

// CPIO packs the tree as a newc archive. A file that newc cannot hold is an
// error that wraps [cpio.ErrTooLarge], before anything is written. Extended
// attributes are not carried; see [Attributed].
func CPIO(ctx context.Context, w io.Writer, t *rootfs.Tree, o Options) (Info, error) {
	if o.Codec == "" {
		o.Codec = None
	}
	var err error
	if o.Level, err = o.Codec.level(o.Level); err != nil {
		return Info{}, err
	}
	if o.Jobs <= 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	segments, err := plan(t, o.Epoch)
	if err != nil {
		return Info{}, err
	}
	p := newPacker(segments, o)
	return p.run(ctx, w)
}

// Attributed lists the files with extended attributes, which newc has no place for.
func Attributed(t *rootfs.Tree) []string {
	var names []string
	for name, in := range t.All() {
		if len(in.Xattrs) > 0 {
			names = append(names, name)
		}
	}
	return names
}

// packer runs workers over the segments and writes what they make in order.
type packer struct {
	o        Options
	segments []*segment
	total    int64
}

// segment is one worker's task and the way its bytes come back.
type segment struct {
	items []item
	last  bool
	size  int64       // bytes of cpio
	out   chan []byte // closed when all is made
}

func newPacker(plan [][]item, o Options) *packer {
	p := &packer{o: o}
	for i, items := range plan {
		s := &segment{items: items, last: i == len(plan)-1, out: make(chan []byte, queued)}
		for j := range items {
			s.size += entrySize(&items[j].header)
		}
		if s.last {
			s.size += cpio.TrailerSize
		}
		p.total += s.size
		p.segments = append(p.segments, s)
	}
	return p
}

func (p *packer) run(ctx context.Context, w io.Writer) (Info, error) {
	g, ctx := errgroup.WithContext(ctx)
	jobs := make(chan *segment)
	ahead := make(chan struct{}, 2*p.o.Jobs) // segments begun and not yet written
	g.Go(func() error {
		defer close(jobs)
		for _, s := range p.segments {
			if err := send(ctx, ahead, struct{}{}); err != nil {
				return err
			}
			if err := send(ctx, jobs, s); err != nil {
				return err
			}
		}
		return nil
	})
	for range p.o.Jobs {
		g.Go(func() error {
			buf := make([]byte, chunkSize)
			for s := range jobs {
				if err := s.pack(ctx, p.o, buf); err != nil {
					return err
				}
			}
			return nil
		})
	}
	var info Info
	g.Go(func() (err error) {
		info, err = p.write(ctx, w, ahead)
		return err
	})
	err := g.Wait()
	return info, err
}

// write puts the segments down in their order.
func (p *packer) write(ctx context.Context, w io.Writer, ahead <-chan struct{}) (Info, error) {
	var info Info
	sum := sha256.New()
	w = io.MultiWriter(w, sum)
	for _, s := range p.segments {
		seg := Segment{Offset: info.Size, Unpacked: s.size}
		for open := true; open; {
			select {
			case <-ctx.Done():
				return info, ctx.Err()
			case chunk, ok := <-s.out:
				if open = ok; !ok {
					break
				}
				if _, err := w.Write(chunk); err != nil {
					return info, fmt.Errorf("writing the archive: %w", err)
				}
				seg.Size += int64(len(chunk))
			}
		}
		<-ahead
		info.Size += seg.Size
		info.Unpacked += seg.Unpacked
		info.Entries += len(s.items)
		info.Segments = append(info.Segments, seg)
		if p.o.Progress != nil {
			p.o.Progress(info.Unpacked, p.total)
		}
	}
	info.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return info, nil
}

// pack makes the bytes of one segment.
func (s *segment) pack(ctx context.Context, o Options, buf []byte) error {
	defer close(s.out)
	out := &chunker{ctx: ctx, out: s.out}
	enc, err := o.Codec.encoder(out, o.Level)
	if err != nil {
		return err
	}
	closed := false
	closeEncoder := func() error {
		if closed {
			return nil
		}
		closed = true
		return enc.Close()
	}
	defer closeEncoder() //nolint:errcheck // after an error it only gives libzstd's memory back
	// The codec sees blocks of one size, whatever the sizes of the files.
	in := &blockWriter{w: enc, buf: make([]byte, 0, chunkSize)}
	archive := cpio.NewWriter(in)
	for i := range s.items {
		if err := writeItem(ctx, archive, &s.items[i], buf); err != nil {
			return err
		}
	}
	end := archive.Flush
	if s.last {
		end = archive.Close
	}
	for _, step := range []func() error{end, in.flush, closeEncoder, out.flush} {
		if err := step(); err != nil {
			return fmt.Errorf("compressing: %w", err)
		}
	}
	return nil
}

func writeItem(ctx context.Context, w *cpio.Writer, it *item, buf []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.WriteHeader(&it.header); err != nil {
		return err
	}
	if it.header.Size == 0 {
		return nil
	}
	body := it.inode.Open()
	if it.inode.Type() == rootfs.TypeSymlink {
		body = strings.NewReader(it.inode.Target)
	}
	// A file of zeros gives a compressor gigabytes to read before it has a chunk to write.
	_, err := io.CopyBuffer(struct{ io.Writer }{w}, ctxio.NewReader(ctx, body, nil), buf)
	switch {
	case err != nil && ctx.Err() != nil: // whatever the file, it is not to blame
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("packing %q: %w", "/"+it.header.Name, err)
	}
	return nil
}

// blockWriter hands on full blocks of its buffer's capacity.
type blockWriter struct {
	w   io.Writer
	buf []byte
}

func (b *blockWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		k := min(len(p), cap(b.buf)-len(b.buf))
		b.buf = append(b.buf, p[:k]...)
		p = p[k:]
		if len(b.buf) == cap(b.buf) {
			if err := b.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (b *blockWriter) flush() error {
	_, err := b.w.Write(b.buf)
	b.buf = b.buf[:0]
	return err
}

// chunker collects what a codec writes into chunks and waits where the reader is slow.
type chunker struct {
	ctx context.Context //nolint:containedctx // io.Writer has no place for it
	out chan<- []byte
	buf []byte
}

func (c *chunker) Write(p []byte) (int, error) {
	if len(c.buf)+len(p) > chunkSize {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	c.buf = append(c.buf, p...)
	return len(p), nil
}

func (c *chunker) flush() error {
	if len(c.buf) == 0 {
		return nil
	}
	chunk := c.buf
	c.buf = nil
	return send(c.ctx, c.out, chunk)
}

func send[T any](ctx context.Context, to chan<- T, v T) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case to <- v:
		return nil
	}
}
