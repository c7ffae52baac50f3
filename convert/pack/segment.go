package pack

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/rootcast/rootcast/convert/cache"
	"github.com/rootcast/rootcast/convert/ctxio"
	"github.com/rootcast/rootcast/convert/pagebuf"
)

const (
	blockSize = 256 << 10 // of what codecs are given of large files
	chunkSize = 1 << 20   // of what they make of them
	// readAtOnce is what is read of a piece of a large file before a look whether anybody waits for it.
	readAtOnce = 4 << 20
	// queued is how many chunks a large segment may hold before its turn to be
	// written comes: with chunkSize it bounds the memory of one huge file.
	queued = 8
	// inMemory is the largest segment that is compressed as a whole. That of a
	// file beyond maxSegment costs less so than as a stream.
	inMemory = 32 << 20
	// maxThreads pack one large segment: each has a job of megabytes in memory.
	maxThreads = 4
)

// segment is one worker's task and the way its bytes come back. That of one large
// file may be a piece of a segment: some of its bytes.
type segment struct {
	items  []item
	last   bool
	whole  int64       // bytes of the archive that the segment has
	from   int64       // where in them the task begins ...
	size   int64       // ... and how many they are: all, but of a piece
	reused bool        // it came from the cache; known once out is closed
	out    chan []byte // of packed bytes; closed when all is made
}

// kind is what a segment mostly holds, for codecs that make a difference.
type kind int

const (
	anything kind = iota
	kernelModules
)

// isPiece tells whether the task is not all of the segment.
func (s *segment) isPiece() bool { return s.size < s.whole }

// ends tells whether the task is the last of its segment, or all of it.
func (s *segment) ends() bool { return s.from+s.size == s.whole }

func (s *segment) kind() kind {
	var modules int64
	for _, it := range s.items {
		if strings.HasSuffix(it.name, ".ko") {
			modules += it.size
		}
	}
	if modules > s.size/2 {
		return kernelModules
	}
	return anything
}

// worker packs one segment after another.
type worker struct {
	p       *packer
	encoder encoder
	plain   pagebuf.Buffer // for the segment before compression
	packed  pagebuf.Buffer // and after it, were it ever so incompressible
}

// expansion is more than any codec adds to what it cannot compress: a share and a few bytes.
func expansion(n int) int { return n + n/64 + 64<<10 }

func newWorker(p *packer) (*worker, error) {
	plain, err := pagebuf.New(inMemory)
	if err != nil {
		return nil, err
	}
	packed, err := pagebuf.New(expansion(inMemory))
	if err != nil {
		plain.Free()
		return nil, err
	}
	e, err := p.codec.encoder()
	if err != nil {
		plain.Free()
		packed.Free()
		return nil, err
	}
	return &worker{p: p, encoder: e, plain: plain, packed: packed}, nil
}

func (wk *worker) free() {
	wk.encoder.free()
	wk.plain.Free()
	wk.packed.Free()
}

// shrink gives back the memory of a segment that was larger than most.
func (wk *worker) shrink(used int) {
	if used > maxSegment {
		wk.plain.Release(maxSegment)
		wk.packed.Release(maxSegment)
	}
}

func (wk *worker) pack(ctx context.Context, s *segment) error {
	defer close(s.out)
	store := wk.p.o.Cache
	key, keyed, err := s.key(wk.p)
	if err != nil {
		return err
	}
	if !keyed {
		store = nil
	}
	if s.size > inMemory {
		return wk.large(ctx, s, store, key)
	}
	var packed []byte
	if packed, s.reused = store.Get(cache.Segments, key, wk.p.free.get); s.reused {
		return send(ctx, s.out, packed)
	}
	made, err := wk.packWhole(ctx, s)
	if err != nil {
		return err
	}
	store.Put(cache.Segments, key, made)
	return send(ctx, s.out, made)
}

// packWhole packs a segment, or a piece of one, that fits into memory.
func (wk *worker) packWhole(ctx context.Context, s *segment) ([]byte, error) {
	plain, err := wk.assemble(ctx, s)
	if err != nil {
		return nil, err
	}
	made, err := wk.compress(ctx, s, plain)
	if err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	wk.shrink(len(plain))
	return made, nil
}

// compress makes the bytes of a segment that is in memory. The codec wants room
// for the worst.
func (wk *worker) compress(ctx context.Context, s *segment, plain []byte) ([]byte, error) {
	room := expansion(len(plain))
	if s.isPiece() {
		return wk.encoder.piece(wk.p.free.get(room), plain, s.from, s.whole)
	}
	if len(plain) <= maxSegment {
		return wk.encoder.encode(ctx, wk.p.free.get(room), plain, s.kind())
	}
	made, err := wk.encoder.encode(ctx, wk.packed[:0], plain, s.kind())
	if err != nil {
		return nil, err
	}
	// A copy takes no more memory than it has bytes.
	return append(wk.p.free.get(len(made)), made...), nil
}

// assemble reads a segment that fits into memory.
func (wk *worker) assemble(ctx context.Context, s *segment) ([]byte, error) {
	if s.isPiece() {
		return wk.assemblePiece(ctx, s)
	}
	b := []byte(wk.plain[:0])
	for i := range s.items {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		it := &s.items[i]
		var err error
		if b, err = wk.p.format.appendHead(b, it); err != nil {
			return nil, err
		}
		if it.size == 0 {
			continue
		}
		at := len(b)
		b = b[:at+int(it.size)]
		if err := it.inode.ReadRange(b[at:], 0); err != nil {
			return nil, packError(ctx, it, err)
		}
		b = pad(b, it.size, wk.p.format.align())
	}
	if s.last {
		b = wk.p.format.appendTrailer(b)
	}
	return b, nil
}

// assemblePiece reads some of the bytes of one file's entry.
func (wk *worker) assemblePiece(ctx context.Context, s *segment) ([]byte, error) {
	it := &s.items[0]
	head, err := wk.p.format.appendHead(nil, it)
	if err != nil {
		return nil, err
	}
	tail := pad(nil, it.size, wk.p.format.align())
	if s.last {
		tail = wk.p.format.appendTrailer(tail)
	}
	b := append([]byte(wk.plain[:0]), within(head, 0, s)...)
	start := int64(len(head)) // of the content
	for from, to := max(s.from-start, 0), min(s.from+s.size-start, it.size); from < to; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		at, n := len(b), min(to-from, readAtOnce)
		b = b[:at+int(n)]
		if err := it.inode.ReadRange(b[at:], from); err != nil {
			return nil, packError(ctx, it, err)
		}
		from += n
	}
	return append(b, within(tail, start+it.size, s)...), nil
}

// within is what the piece s has of bytes that are at the given place of its segment.
func within(b []byte, at int64, s *segment) []byte {
	from := min(max(s.from-at, 0), int64(len(b)))
	to := min(max(s.from+s.size-at, 0), int64(len(b)))
	return b[from:to]
}

// large is pack for the segment of one large file, a piece at a time.
func (wk *worker) large(ctx context.Context, s *segment, store *cache.Store, key cache.Key) error {
	out := &chunker{ctx: ctx, p: wk.p, out: s.out}
	if r := store.Reader(cache.Segments, key); r != nil {
		defer r.Close()
		s.reused = true
		if _, err := io.CopyBuffer(out, struct{ io.Reader }{r}, make([]byte, blockSize)); err != nil {
			return fmt.Errorf("reading a packed segment: %w", err)
		}
		return out.flush()
	}
	keep := store.Create(cache.Segments, key)
	err := wk.packLarge(ctx, s, out, keep)
	keep.Close(err == nil)
	return err
}

func (wk *worker) packLarge(ctx context.Context, s *segment, out *chunker, keep io.Writer) error {
	enc, err := wk.encoder.stream(ctx, io.MultiWriter(out, keep), min(wk.p.o.Jobs, maxThreads))
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
	defer closeEncoder() //nolint:errcheck // after an error it only gives the codec's memory back
	// The codec sees blocks of one size, whatever the sizes of the files.
	in := &blockWriter{w: enc, buf: make([]byte, 0, blockSize)}
	if err := wk.copyItems(ctx, in, s); err != nil {
		return err
	}
	for _, step := range []func() error{in.flush, closeEncoder, out.flush} {
		if err := step(); err != nil {
			return fmt.Errorf("compressing: %w", err)
		}
	}
	return nil
}

func (wk *worker) copyItems(ctx context.Context, w io.Writer, s *segment) error {
	buf := make([]byte, blockSize)
	var head []byte
	for i := range s.items {
		it := &s.items[i]
		var err error
		if head, err = wk.p.format.appendHead(head[:0], it); err != nil {
			return err
		}
		if _, err := w.Write(head); err != nil {
			return fmt.Errorf("compressing: %w", err)
		}
		// A file of zeros gives a compressor gigabytes to read before it has a chunk to write.
		if _, err := io.CopyBuffer(w, ctxio.NewReader(ctx, io.LimitReader(it.inode.Open(), it.size), nil), buf); err != nil {
			return packError(ctx, it, err)
		}
		if _, err := w.Write(pad(nil, it.size, wk.p.format.align())); err != nil {
			return fmt.Errorf("compressing: %w", err)
		}
	}
	if s.last {
		if _, err := w.Write(wk.p.format.appendTrailer(nil)); err != nil {
			return fmt.Errorf("compressing: %w", err)
		}
	}
	return nil
}

func packError(ctx context.Context, it *item, err error) error {
	if ctx.Err() != nil { // whatever the file, it is not to blame
		return ctx.Err()
	}
	return fmt.Errorf("packing %q: %w", "/"+it.name, err)
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
	p   *packer
	out chan<- []byte
	buf []byte
}

func (c *chunker) Write(p []byte) (int, error) {
	if len(c.buf) > 0 && len(c.buf)+len(p) > chunkSize {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	if c.buf == nil {
		c.buf = c.p.free.get(chunkSize)
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
