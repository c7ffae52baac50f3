package netboot

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/convert/pagebuf"
)

const (
	blockSize = 2 << 20 // of what is written at a time: a huge page, which a disk takes as one piece
	alignment = 4096    // in memory and in the file, of what passes the page cache by: few disks want more
	// atOnce is how many blocks are on their way to the disk or back, so that it always has something to do.
	atOnce = 2
	// inMemory are those, the one that is being filled, and one that waits.
	inMemory = atOnce + 2
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
	data    []byte
	off     int64
	written bool
}

// blocks writes a file and reads back what the disk has made of it, while more
// is on its way. Where file system and disk are up to it, nothing goes through
// the page cache: to fill that takes a processor longer than all else on the way
// to the disk, and what is read back comes from the disk itself. Only the last bytes
// of a file, which are no whole unit, take the other way.
type blocks struct {
	f       blockFile
	room    pagebuf.Buffer
	size    int64       // bytes of the file that were handed on
	current []byte      // the block that is being filled
	free    chan []byte // room for blocks
	next    chan block

	g      *errgroup.Group
	ctx    context.Context //nolint:containedctx // ends with the first error of those who write and check
	cancel context.CancelCauseFunc
	ended  bool
	err    error // what came of it, once ended

	cached sync.Once // the way through the page cache is taken
	direct atomic.Bool
	spent  atomic.Int64 // nanoseconds of the disk ...
	moved  atomic.Int64 // ... for so many bytes
}

func newBlocks(f blockFile) (*blocks, error) {
	room, err := pagebuf.New((inMemory + atOnce) * blockSize)
	if err != nil {
		return nil, err
	}
	b := &blocks{f: f, room: room, free: make(chan []byte, inMemory), next: make(chan block, inMemory)}
	for i := range inMemory {
		b.free <- b.roomAt(i)
	}
	b.direct.Store(f.direct(true) == nil)
	parent, cancel := context.WithCancelCause(context.Background())
	b.cancel = cancel
	b.g, b.ctx = errgroup.WithContext(parent)
	for i := range atOnce {
		b.g.Go(func() error { return b.work(b.roomAt(inMemory + i)) })
	}
	return b, nil
}

// roomAt is that of one block.
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
		if err := b.handOn(false); err != nil {
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
		if err := b.handOn(true); err != nil || end {
			return err
		}
	}
}

// begin makes sure that there is a block to be filled.
func (b *blocks) begin() error {
	if b.current != nil {
		return nil
	}
	select {
	case <-b.ctx.Done():
		return context.Cause(b.ctx)
	case room := <-b.free: // from drop on there is none
		b.current = room[:0]
		return nil
	}
}

// handOn gives the current block to those who write and check.
func (b *blocks) handOn(written bool) error {
	next := block{b.current, b.size, written}
	b.size += int64(len(b.current))
	b.current = nil
	select {
	case <-b.ctx.Done():
		return context.Cause(b.ctx)
	case b.next <- next:
		return nil
	}
}

// finish ends the file: all of it was read back then and is on the disk to stay.
func (b *blocks) finish(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { b.cancel(ctx.Err()) })()
	defer b.drop()
	if err := cmp.Or(b.wait(), ctx.Err()); err != nil {
		return err
	}
	units := len(b.current) / alignment * alignment
	if err := b.last(b.current[:units], b.size); err != nil {
		return err
	}
	b.useCache() // while nobody else is at the file
	if err := b.last(b.current[units:], b.size+int64(units)); err != nil {
		return err
	}
	return b.f.Sync()
}

// last is for what is left of the file when the others have ended.
func (b *blocks) last(data []byte, off int64) error {
	if len(data) == 0 {
		return nil
	}
	return b.writeAndCheck(block{data, off, false}, b.roomAt(inMemory))
}

var errDropped = errors.New("it is not wanted any more")

// drop ends the writing of a file that is finished, or that nobody wants.
func (b *blocks) drop() {
	b.cancel(errDropped)
	_ = b.wait()
	b.err = cmp.Or(b.err, errDropped)
	b.room.Free()
	b.room, b.current, b.free, b.next = nil, nil, nil, nil
}

// wait ends the work on all blocks that were handed on, and tells what came of it.
func (b *blocks) wait() error {
	if !b.ended {
		b.ended = true
		close(b.next)
		b.err = b.g.Wait()
	}
	return b.err
}

// work writes blocks and reads them back into room.
func (b *blocks) work(room []byte) error {
	for next := range b.next {
		if b.ctx.Err() != nil {
			return context.Cause(b.ctx)
		}
		if err := b.writeAndCheck(next, room); err != nil {
			return err
		}
		b.free <- next.data
	}
	return nil
}

func (b *blocks) writeAndCheck(next block, room []byte) error {
	if !next.written {
		n, err := b.try(func() (int, error) { return b.f.WriteAt(next.data, next.off) })
		if err != nil {
			return err
		}
		if !b.direct.Load() {
			b.f.start(next.off, n)
		}
	}
	return b.check(next, room)
}

func (b *blocks) check(next block, room []byte) error {
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
	start, direct := time.Now(), b.direct.Load()
	n, err := op()
	if errors.Is(err, unix.EINVAL) && direct {
		b.useCache()
		n, err = op()
	}
	spent := time.Duration(b.spent.Add(int64(time.Since(start)))) / atOnce // each waits for the others too
	moved := float64(b.moved.Add(int64(n)))
	if spent > hiccup+time.Duration(moved/slowDisk*float64(time.Second)) {
		b.useCache()
	}
	return n, err
}

func (b *blocks) useCache() {
	b.cached.Do(func() {
		_ = b.f.direct(false) // at worst what follows fails and tells
		b.direct.Store(false)
	})
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
