package tool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Reader reads what a program makes of its input.
type Reader struct {
	ctx context.Context //nolint:containedctx // io.Reader has no place for it
	p   *Process
	out io.ReadCloser

	fed     chan struct{} // closed when the program has its input
	feedErr error         // of reading it; known then
}

// NewReader starts p with in as its input.
func NewReader(ctx context.Context, p *Process, in io.Reader) (*Reader, error) {
	r := &Reader{ctx: ctx, p: p, fed: make(chan struct{})}
	var err error
	if r.out, err = p.Cmd.StdoutPipe(); err != nil {
		return nil, fmt.Errorf("running %s: %w", p.Cmd.Path, err)
	}
	if f, ok := r.out.(*os.File); ok {
		widen(f)
	}
	if err := p.Start(); err != nil {
		return nil, err
	}
	// Not by the command itself, whose Wait would wait for an input that never comes.
	go r.feed(in)
	return r, nil
}

// feed gives the program its input. One that has ended needs no more.
func (r *Reader) feed(in io.Reader) {
	src := &source{r: in}
	_, _ = io.CopyBuffer(struct{ io.Writer }{r.p.stdin}, src, make([]byte, 128<<10))
	r.feedErr = src.err
	close(r.fed) // before the program sees the end
	_ = r.p.stdin.Close()
}

// widen makes a pipe take a megabyte, where the kernel allows it: each side works
// longer until it has to wait for the other.
func widen(f *os.File) {
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { // it works as it was, too
		_, _ = unix.FcntlInt(fd, syscall.F_SETPIPE_SZ, 1<<20)
	})
}

// Read implements io.Reader. The end comes when the program has ended well; else
// there is an error: the one of reading the input, if that failed.
func (r *Reader) Read(b []byte) (int, error) {
	n, err := r.out.Read(b)
	if errors.Is(err, io.EOF) {
		if failed := r.wait(); failed != nil {
			err = failed
		}
	}
	return n, err
}

func (r *Reader) wait() error {
	err := r.p.Wait(r.ctx)
	if err == nil { // the input is the caller's again
		select {
		case <-r.fed:
		case <-r.ctx.Done():
			return r.ctx.Err()
		}
	}
	select {
	case <-r.fed:
		if r.feedErr != nil {
			return r.feedErr
		}
	default:
	}
	return err
}

// Close ends the program, whether it is done or not. If it is not, its input may
// still be read once.
func (r *Reader) Close() error {
	_ = r.p.Cmd.Process.Kill() // unless it has ended
	_ = r.p.Wait(r.ctx)        // nobody asks for the rest
	return nil
}

// source keeps the error of reading, as apart from that of writing what was read.
type source struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (s *source) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}
