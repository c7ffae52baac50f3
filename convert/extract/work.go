package extract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// extraction is one run over an archive.
type extraction struct {
	o      Options
	t      *tree
	pieces chan *piece
	free   chan []byte // of the cutter
	bytes  atomic.Int64

	// feed is what the one worker that goes by the order reads: its next bytes, and
	// an empty slice to learn that it is done with those before. Who has the turn
	// sends.
	feed chan []byte
	// serial says that the archive is written by that worker from here on. It
	// belongs to who has the turn.
	serial bool
	// ordered says that pieces have to wait for their turn: nobody has told that
	// their entries are whole.
	ordered bool
}

// afterAll is the segment that the worker in order writes, as entries are counted.
const afterAll = 1 << 30

func newExtraction(o Options, t *tree) *extraction {
	x := &extraction{o: o, t: t, pieces: make(chan *piece), free: make(chan []byte, o.Jobs+1), feed: make(chan []byte)}
	for range o.Jobs + 1 {
		x.free <- nil
	}
	x.serial = o.Method != methodCPIO
	x.ordered = x.serial || o.Segments == nil
	return x
}

func (x *extraction) stats() Stats {
	s := x.t.stats
	s.Bytes, s.XattrFiles = x.bytes.Load(), x.t.without.Files
	if w := x.t.without.Warning(); w != "" {
		s.Warnings = append(s.Warnings, w)
	}
	return s
}

func (x *extraction) run(ctx context.Context, r io.Reader) error {
	g, ctx := errgroup.WithContext(ctx)
	if x.o.Segments == nil && x.o.Compress != codecZstd {
		x.serial = true
		x.o.Log("unpacking a %s of %s in one piece", x.o.Method, x.o.Compress)
		g.Go(func() error { return orLeave(ctx, func() error { return x.decode(ctx, r) }) })
	} else {
		x.o.Log("unpacking a %s of %s by %d workers, %d segments known", x.o.Method, x.o.Compress, x.o.Jobs, len(x.o.Segments))
		g.Go(func() error { return orLeave(ctx, func() error { return x.cut(ctx, r) }) })
		g.Go(func() error { return x.workers(ctx) })
	}
	if x.ordered {
		g.Go(func() error { return x.inOrder(ctx) })
	}
	return g.Wait()
}

// orLeave returns what f does, or leaves it to itself where ctx has ended: it may
// be waiting for the network.
func orLeave(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// decode decompresses the whole stream ahead of the worker that writes it.
func (x *extraction) decode(ctx context.Context, r io.Reader) error {
	d := decoder{codec: x.o.Compress, threads: x.o.Jobs}
	defer d.close()
	plain, err := d.open(r)
	if err != nil {
		return fmt.Errorf("decompressing it: %w", err)
	}
	bufs := [2][]byte{make([]byte, readSize), make([]byte, readSize)}
	for i := 0; ; i ^= 1 {
		n, err := io.ReadFull(plain, bufs[i])
		if n > 0 {
			x.bytes.Add(int64(n))
			if err := send(ctx, x.feed, bufs[i][:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) && ended(plain) {
			close(x.feed)
			return nil
		}
		if err != nil {
			return fmt.Errorf("decompressing it: %w", err)
		}
	}
}

// ended tells the end of a stream from a cut in it: io.ReadFull has one error for both.
func ended(r io.Reader) bool {
	_, err := r.Read(make([]byte, 1))
	return errors.Is(err, io.EOF)
}

func (x *extraction) cut(ctx context.Context, r io.Reader) error {
	c := newCutter(r, x.pieces, x.free)
	var err error
	if x.o.Segments != nil {
		err = c.table(ctx, x.o.Segments)
	} else {
		err = c.frames(ctx)
	}
	if err == nil {
		close(x.pieces)
	}
	return err
}

// workers returns when all pieces are written, or handed to the one in order.
func (x *extraction) workers(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for range x.o.Jobs {
		g.Go(func() error { return x.work(ctx) })
	}
	err := g.Wait()
	if err == nil {
		close(x.feed) // else its reader would take it for the archive's end
	}
	return err
}

// worker unpacks pieces.
type worker struct {
	*extraction
	d     decoder
	w     *writer
	room  int64 // of plain, bytes, as far as that is known
	plain []byte
}

func (x *extraction) work(ctx context.Context) error {
	_, room := largest(x.o.Segments)
	wk := worker{extraction: x, room: room, d: decoder{codec: x.o.Compress, threads: min(x.o.Jobs, maxThreads)}, w: newWriter(x.t, x.o.Jobs > 1)}
	defer wk.w.close()
	defer wk.d.close()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case p, ok := <-x.pieces:
			if !ok {
				return nil
			}
			if err := wk.piece(ctx, p); err != nil {
				return fmt.Errorf("segment at offset %d: %w", p.offset, err)
			}
		}
	}
}

func (wk *worker) piece(ctx context.Context, p *piece) error {
	if p.chunks != nil {
		return wk.stream(ctx, p)
	}
	if int64(cap(wk.plain)) < p.unpacked {
		wk.plain = make([]byte, 0, max(wk.room, (p.unpacked+chunkSize-1)/chunkSize*chunkSize))
	}
	plain, err := wk.d.all(ctx, wk.plain[:0:p.unpacked], p.packed)
	if err != nil {
		return err
	}
	wk.bytes.Add(int64(len(plain)))
	if wk.o.Compress == codecNone {
		defer func() { wk.free <- p.packed }()
	} else {
		wk.free <- p.packed
	}
	if wk.ordered {
		if taken, err := wk.handOn(ctx, p, plain); err != nil || taken {
			return err
		}
	}
	return wk.parse(ctx, wk.w, &source{buf: plain}, p.index)
}

// handOn waits for the piece's turn, and gives it to the worker in order where
// the archive is written by that one: from the first piece on that is not whole entries.
func (wk *worker) handOn(ctx context.Context, p *piece, plain []byte) (taken bool, err error) {
	if err := wait(ctx, p.turn); err != nil {
		return false, err
	}
	defer close(p.next)
	if !wk.serial && aligned(plain) {
		return false, nil
	}
	wk.serial = true
	if err := send(ctx, wk.feed, plain); err != nil {
		return false, err
	}
	return true, send(ctx, wk.feed, nil)
}

func wait(ctx context.Context, turn <-chan struct{}) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-turn:
		return nil
	}
}

// stream is piece for one that is too large for memory.
func (wk *worker) stream(ctx context.Context, p *piece) error {
	if wk.ordered {
		if err := wait(ctx, p.turn); err != nil {
			return err
		}
		defer close(p.next)
		wk.serial = true
	}
	r, err := wk.d.open(&chunks{done: ctx.Done(), why: ctx.Err, in: p.chunks, free: wk.free})
	if err != nil {
		return fmt.Errorf("decompressing it: %w", err)
	}
	u := &unpacked{r: r, buf: make([]byte, readSize), want: p.unpacked}
	defer func() { wk.bytes.Add(u.n) }()
	if !wk.ordered {
		return wk.parse(ctx, wk.w, &source{fill: u.fill}, p.index)
	}
	for {
		b, err := u.fill()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := send(ctx, wk.feed, b); err != nil {
			return err
		}
		if err := send(ctx, wk.feed, nil); err != nil {
			return err
		}
	}
}

// chunks reads the chunks of a piece.
type chunks struct {
	done <-chan struct{}
	why  func() error
	in   <-chan []byte
	free chan<- []byte
	b    []byte // the chunk at hand
	rest []byte // of it
}

func (c *chunks) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		if c.b != nil {
			c.free <- c.b // which has room for all there are
			c.b = nil
		}
		select {
		case <-c.done:
			return 0, c.why()
		case b, ok := <-c.in:
			if !ok {
				return 0, io.EOF
			}
			c.b, c.rest = b, b
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// inOrder writes what is fed to it.
func (x *extraction) inOrder(ctx context.Context) error {
	s := &source{fill: func() ([]byte, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case b, ok := <-x.feed:
			if !ok {
				return nil, io.EOF
			}
			return b, nil
		}
	}}
	if err := s.more(); errors.Is(err, io.EOF) {
		return nil // all was written by others
	} else if err != nil {
		return err
	}
	w := newWriter(x.t, x.o.Jobs > 1 && x.o.Method == methodCPIO && x.o.Compress == codecZstd)
	defer w.close()
	return x.parse(ctx, w, s, afterAll)
}

// parse writes the entries of a segment.
func (x *extraction) parse(ctx context.Context, w *writer, s *source, segment int64) error {
	var a archiveReader = &newc{s: s}
	if x.o.Method == methodTar {
		a = newTarball(s)
	}
	clear(w.made)
	n := 0
	for ; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := a.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading entry %d: %w", n, err)
		}
		e.order = segment<<32 + int64(n)
		if err := w.put(ctx, e, a.body()); err != nil {
			return err
		}
	}
	x.t.done(segment, n, a.complete())
	return nil
}

// archiveReader is a format.
type archiveReader interface {
	// next returns io.EOF at the end of the archive or segment.
	next() (*entry, error)
	body() content
	// complete says whether next saw the archive's end.
	complete() bool
}
