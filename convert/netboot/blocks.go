package netboot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/convert/pagebuf"
)

const (
	blockSize = 2 << 20 // of what is written at a time: a huge page, which a disk takes as one piece
	queued    = 4       // blocks that one file has in memory
	alignment = 4096    // in memory and in the file, of what passes the page cache by: no disk wants more
)

// blockFile is what blocks are written to and read back from.
type blockFile interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
	// direct has reads and writes pass the page cache by, or not. It fails where
	// the file system knows no such thing.
	direct(on bool) error
	// start has the disk begin with what was written there through the page cache.
	start(off int64, n int)
}

// block is some bytes of a file and where in it they lie.
type block struct {
	data []byte
	off  int64
}

// blocks writes a file and reads back what the disk has made of it, while more
// is on its way. Where file system and disk are up to it, nothing goes through
// the page cache: to fill that takes a processor longer than all else on the way
// to the disk, and what is read back comes from the disk itself.
type blocks struct {
	f       blockFile
	size    int64  // bytes of the file that were handed on
	current []byte // the block that is being filled
	room    pagebuf.Buffer
	free    chan []byte // room for blocks
	toWrite chan block
	toCheck chan block

	g      *errgroup.Group
	ctx    context.Context //nolint:containedctx // ends with the first error of those who write and check
	cancel context.CancelCauseFunc
	ended  bool

	direct atomic.Bool
	spent  atomic.Int64 // nanoseconds of the disk ...
	moved  atomic.Int64 // ... for so many bytes
}

func newBlocks(f blockFile) (*blocks, error) {
	room, err := pagebuf.New((queued + 1) * blockSize)
	if err != nil {
		return nil, err
	}
	b := &blocks{f: f, room: room, free: make(chan []byte, queued), toWrite: make(chan block, queued), toCheck: make(chan block, queued)}
	for i := range queued {
		b.free <- b.roomAt(i)
	}
	b.direct.Store(f.direct(true) == nil)
	parent, cancel := context.WithCancelCause(context.Background())
	b.cancel = cancel
	b.g, b.ctx = errgroup.WithContext(parent)
	b.g.Go(b.writeAll)
	b.g.Go(b.checkAll)
	return b, nil
}

// roomAt is that of one block; the last one's is for what is read back.
func (b *blocks) roomAt(i int) []byte { return b.room[i*blockSize:][:blockSize:blockSize] }

// Write implements io.Writer. An error may be of what an earlier call was given.
func (b *blocks) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if err := b.begin(); err != nil {
			return len(p) - len(rest), err
		}
		n := copy(b.current[len(b.current):blockSize], rest)
		b.current, rest = b.current[:len(b.current)+n], rest[n:]
		if len(b.current) < blockSize {
			continue
		}
		if err := b.handOn(b.toWrite); err != nil {
			return len(p) - len(rest), err
		}
	}
	return len(p), nil
}

// readFrom takes what is in the file already, from its start, in place of Write;
// seen is called with it.
func (b *blocks) readFrom(r io.Reader, seen func([]byte)) error {
	for {
		if err := b.begin(); err != nil {
			return err
		}
		n, err := io.ReadFull(r, b.current[:blockSize])
		end := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !end {
			return err
		}
		b.current = b.current[:n]
		seen(b.current)
		if err := b.handOn(b.toCheck); err != nil || end {
			return err
		}
	}
}

// begin makes sure that there is a block to be filled.
func (b *blocks) begin() error {
	if b.current != nil {
		return nil
	}
	if b.ctx.Err() != nil { // also where there is a free one: its room may be gone
		return context.Cause(b.ctx)
	}
	select {
	case <-b.ctx.Done():
		return context.Cause(b.ctx)
	case room := <-b.free:
		b.current = room[:0]
		return nil
	}
}

// handOn gives the current block to those who write, or to those who check.
func (b *blocks) handOn(to chan<- block) error {
	next := block{b.current, b.size}
	b.size += int64(len(b.current))
	b.current = nil
	return b.send(to, next)
}

func (b *blocks) send(to chan<- block, next block) error {
	select {
	case <-b.ctx.Done():
		return context.Cause(b.ctx)
	case to <- next:
		return nil
	}
}

// finish ends the file: all of it is on the disk then and was read back.
func (b *blocks) finish(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { b.cancel(ctx.Err()) })()
	if len(b.current) > 0 {
		_ = b.handOn(b.toWrite) // its error is that of those whom end waits for
	}
	return errors.Join(b.end(), ctx.Err())
}

var errDropped = errors.New("it is not wanted any more")

// drop ends the writing of a file that nobody wants; after finish it does nothing.
func (b *blocks) drop() {
	b.cancel(errDropped)
	_ = b.end()
}

func (b *blocks) end() error {
	if b.ended {
		return nil
	}
	b.ended = true
	close(b.toWrite)
	err := b.g.Wait()
	b.cancel(errDropped) // for who goes on to write
	b.current = nil
	b.room.Free()
	return err
}

// writeAll writes what it is handed, and then waits for the disk.
func (b *blocks) writeAll() error {
	defer close(b.toCheck)
	for next := range b.toWrite {
		if len(next.data)%alignment != 0 { // the end of the file
			b.useCache()
		}
		n, err := b.try(func() (int, error) { return b.f.WriteAt(next.data, next.off) })
		if err != nil {
			return err
		}
		if !b.direct.Load() {
			b.f.start(next.off, n)
		}
		if err := b.send(b.toCheck, next); err != nil {
			return err
		}
	}
	if b.ctx.Err() != nil {
		return context.Cause(b.ctx)
	}
	return b.f.Sync()
}

// checkAll reads back what was written.
func (b *blocks) checkAll() error {
	room := b.roomAt(queued)
	for next := range b.toCheck {
		if b.ctx.Err() != nil {
			return context.Cause(b.ctx)
		}
		// Whoever passes the cache by asks for whole units, at the end of a file too.
		whole := (len(next.data) + alignment - 1) / alignment * alignment
		n, err := b.try(func() (int, error) { return b.f.ReadAt(room[:whole], next.off) })
		if n < len(next.data) {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("reading it back: %w", err)
		}
		if !bytes.Equal(room[:len(next.data)], next.data) {
			return fmt.Errorf("its bytes from %d on, read back, are not those that were written", next.off)
		}
		b.free <- next.data
	}
	return nil
}

// A disk that turns, or is far away, does better by the page cache: it need not
// get to each block again before the next one. It is known by taking more time than
// at so many bytes a second, and some for a hiccup.
const (
	slowDisk = 100 << 20
	hiccup   = 250 * time.Millisecond
)

// try reads or writes, and has all that follows go through the page cache where
// the disk is slow, or wants other units than ours.
func (b *blocks) try(op func() (int, error)) (int, error) {
	start := time.Now()
	n, err := op()
	if errors.Is(err, unix.EINVAL) && b.direct.Load() {
		b.useCache()
		n, err = op()
	}
	spent := time.Duration(b.spent.Add(int64(time.Since(start))))
	moved := time.Duration(b.moved.Add(int64(n)))
	if spent > hiccup+moved*time.Second/slowDisk {
		b.useCache()
	}
	return n, err
}

func (b *blocks) useCache() {
	if b.direct.CompareAndSwap(true, false) {
		_ = b.f.direct(false) // at worst the next write fails and tells
	}
}

// osFile is a file of the operating system.
type osFile struct{ *os.File }

func (f osFile) direct(on bool) error {
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err != nil {
		return err
	}
	flags &^= unix.O_DIRECT
	if on {
		flags |= unix.O_DIRECT
	}
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETFL, flags)
	return err
}

func (f osFile) start(off int64, n int) {
	_ = unix.SyncFileRange(int(f.Fd()), off, int64(n), unix.SYNC_FILE_RANGE_WRITE)
}
