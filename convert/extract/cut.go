package extract

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/rootcast/rootcast/convert/node"
)

const (
	// inMemory is the largest segment that is unpacked as a whole. convert makes
	// them of 12 MiB at most, but for one with a file that is larger.
	inMemory  = 16 << 20
	chunkSize = 1 << 20   // of what is packed and larger
	readSize  = 256 << 10 // of a stream's reads
)

// piece is a segment of the archive on its way to a worker.
type piece struct {
	index    int64
	offset   int64       // in the packed archive
	unpacked int64       // bytes, -1: not known
	packed   []byte      // of a segment that is unpacked in memory
	chunks   chan []byte // packed bytes of another one as they come; closed behind the last
	// turn is closed when the piece before has left what is done in order, and the
	// worker closes next.
	turn <-chan struct{}
	next chan struct{}
}

// cutter reads the packed archive and cuts it into pieces.
type cutter struct {
	r    *bufio.Reader
	out  chan<- *piece
	free chan []byte // buffers for packed bytes, as many as there may be
	room int64       // of each, bytes, as far as that is known
	n    int64
	turn chan struct{} // the last piece's next
}

func newCutter(r io.Reader, out chan<- *piece, free chan []byte) *cutter {
	turn := make(chan struct{})
	close(turn) // the first piece waits for nobody
	return &cutter{r: bufio.NewReaderSize(r, readSize), out: out, free: free, turn: turn}
}

// piece returns the next piece, without its bytes.
func (c *cutter) piece(offset, unpacked int64) *piece {
	p := &piece{index: c.n, offset: offset, unpacked: unpacked, turn: c.turn, next: make(chan struct{})}
	c.n, c.turn = c.n+1, p.next
	return p
}

func send[T any](ctx context.Context, to chan<- T, v T) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case to <- v:
		return nil
	}
}

// buffer waits for a buffer and returns it empty.
func (c *cutter) buffer(ctx context.Context, size int64) ([]byte, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case b := <-c.free:
		if int64(cap(b)) < size {
			b = make([]byte, 0, max(c.room, (size+chunkSize-1)/chunkSize*chunkSize))
		}
		return b[:0], nil
	}
}

// isWhole tells whether a segment is unpacked in memory.
func isWhole(s node.Segment) bool { return s.Unpacked <= inMemory && s.Size <= 2*inMemory }

// largest returns how large the segments that are unpacked in memory are at most,
// in bytes: a buffer that is made for that at once never has to grow, and memory
// that was not used before costs the kernel more than unpacking into it.
func largest(segments []node.Segment) (packed, plain int64) {
	for _, s := range segments {
		if isWhole(s) {
			packed, plain = max(packed, s.Size), max(plain, s.Unpacked)
		}
	}
	return packed, plain
}

// table cuts by the table of segments, and checks that it leaves nothing out.
func (c *cutter) table(ctx context.Context, segments []node.Segment) error {
	c.room, _ = largest(segments)
	var at int64
	for _, s := range segments {
		if s.Offset != at || s.Size < 0 || s.Unpacked < 0 {
			return fmt.Errorf("the table of segments has one of %d bytes, unpacked %d, at offset %d, where the one before ends at %d", s.Size, s.Unpacked, s.Offset, at)
		}
		if err := c.segment(ctx, s); err != nil {
			return c.reading(s.Offset, err)
		}
		at += s.Size
	}
	rest := source{fill: c.fill}
	if err := rest.onlyZeros(); err != nil {
		return fmt.Errorf("behind the last segment, which ends at offset %d: %w", at, err)
	}
	return nil
}

// reading says where the stream failed.
func (c *cutter) reading(offset int64, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("segment at offset %d: the stream ends within it: %w", offset, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("segment at offset %d: reading it: %w", offset, err)
}

// fill is for what follows the segments.
func (c *cutter) fill() ([]byte, error) {
	if _, err := c.r.Peek(1); err != nil {
		return nil, err
	}
	b, _ := c.r.Peek(c.r.Buffered())
	_, err := c.r.Discard(len(b))
	return b, err
}

func (c *cutter) segment(ctx context.Context, s node.Segment) error {
	p := c.piece(s.Offset, s.Unpacked)
	if isWhole(s) {
		b, err := c.buffer(ctx, s.Size)
		if err != nil {
			return err
		}
		p.packed = b[:s.Size]
		if _, err := io.ReadFull(c.r, p.packed); err != nil {
			return err
		}
		return send(ctx, c.out, p)
	}
	p.chunks = make(chan []byte)
	if err := send(ctx, c.out, p); err != nil {
		return err
	}
	for left := s.Size; left > 0; {
		n := min(left, chunkSize)
		b, err := c.buffer(ctx, n)
		if err != nil {
			return err
		}
		if _, err := io.ReadFull(c.r, b[:n]); err != nil {
			return err
		}
		if err := send(ctx, p.chunks, b[:n]); err != nil {
			return err
		}
		left -= n
	}
	close(p.chunks)
	return nil
}

// frames cuts at the frames of zstd.
func (c *cutter) frames(ctx context.Context) error {
	walk := frames{r: c.r}
	for {
		f, err := walk.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.frame(ctx, &walk, &f); err != nil {
			return err
		}
	}
}

func (c *cutter) frame(ctx context.Context, walk *frames, f *frame) error {
	p := c.piece(f.offset, f.unpacked)
	if f.unpacked >= 0 && f.unpacked <= inMemory {
		b, err := c.buffer(ctx, 0)
		if err != nil {
			return err
		}
		whole := memory{b: b, most: 2 * inMemory}
		if err := walk.copy(f, &whole); err != nil {
			return err
		}
		p.packed = whole.b
		return send(ctx, c.out, p)
	}
	p.chunks = make(chan []byte)
	if err := send(ctx, c.out, p); err != nil {
		return err
	}
	w := &chunker{c: c, to: p.chunks, cancelled: ctx.Done(), why: ctx.Err}
	if err := walk.copy(f, w); err != nil {
		return err
	}
	if err := w.flush(); err != nil {
		return err
	}
	close(p.chunks)
	return nil
}

// memory is a frame in memory.
type memory struct {
	b    []byte
	most int
}

func (m *memory) Write(p []byte) (int, error) {
	if len(m.b)+len(p) > m.most {
		return 0, fmt.Errorf("a frame has more than the %d bytes that it can take for its content", m.most)
	}
	m.b = append(m.b, p...)
	return len(p), nil
}

// chunker hands on what is written, in chunks.
type chunker struct {
	c         *cutter
	to        chan<- []byte
	cancelled <-chan struct{}
	why       func() error
	b         []byte
}

func (w *chunker) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if w.b == nil {
			select {
			case <-w.cancelled:
				return 0, w.why()
			case w.b = <-w.c.free:
			}
			if w.b = w.b[:0]; cap(w.b) < chunkSize {
				w.b = make([]byte, 0, chunkSize)
			}
		}
		k := min(chunkSize-len(w.b), len(p))
		w.b, p = append(w.b, p[:k]...), p[k:]
		if len(w.b) == chunkSize {
			if err := w.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (w *chunker) flush() error {
	if len(w.b) == 0 {
		return nil
	}
	select {
	case <-w.cancelled:
		return w.why()
	case w.to <- w.b:
		w.b = nil
		return nil
	}
}
