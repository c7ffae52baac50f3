package fetch

import (
	"context"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"sync/atomic"
	"time"
)

// healthy is how many bytes a connection must bring before its end counts as an
// accident: then the back-off starts anew. A server that cuts every connection
// after a few bytes is not asked in a tight loop.
const healthy = 1 << 20

// source is one of the URLs.
type source struct {
	name  string // for people
	file  file
	err   error     // why it failed last
	ready time.Time // before which it does not want to be asked
	gave  bool      // bytes of the file
}

// file is a file on a server.
type file interface {
	// open asks for the bytes from offset on. The size of the file is known or -1.
	open(ctx context.Context, offset, size int64) (*reply, error)
}

// reply is what a server sends.
type reply struct {
	io.ReadCloser
	start int64 // which byte of the file comes first
	size  int64 // of the file; -1: the server does not tell
}

// fetcher brings the file. Only one goroutine uses it, but for what is atomic.
type fetcher struct {
	sources  []*source
	want     string // SHA-256; "": not known
	noCA     bool
	limit    time.Duration
	attempts int
	log      func(format string, args ...any)
	jitter   func(time.Duration) time.Duration

	hash    hash.Hash
	done    atomic.Int64 // bytes that have arrived
	size    atomic.Int64 // of the file; -1: not known
	current atomic.Int32 // the source in use

	failed int       // sources since the round began
	rounds int       // without a byte; -1: this one has brought some
	steps  int       // of the back-off
	since  time.Time // of the last byte
}

// run passes the file on, from the first reply to the last. Without an error it
// is complete and right.
func (f *fetcher) run(ctx context.Context, r *reply, s *Stream) error {
	for {
		before := f.done.Load()
		err := f.pump(ctx, r, s)
		_ = r.Close() // it was only read
		if err == nil {
			return f.verify()
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if f.done.Load()-before >= healthy {
			f.failed, f.steps = 0, 0
		}
		f.note(err)
		if err := f.advance(ctx); err != nil {
			return err
		}
		if r, err = f.connect(ctx); err != nil {
			return err
		}
		f.log("going on at byte %d of the root from %s", f.done.Load(), f.source().name)
	}
}

// pump reads a reply to its end, which is nil if it is that of the file.
func (f *fetcher) pump(ctx context.Context, r *reply, s *Stream) error {
	for {
		done, size := f.done.Load(), f.size.Load()
		if done == size && r.size >= 0 {
			return nil
		}
		var chunk []byte
		select {
		case chunk = <-s.free:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		f.since = time.Now() // it is not the network that was waited for
		n, err := r.Read(chunk)
		if size >= 0 && done+int64(n) > size {
			s.free <- chunk
			return fmt.Errorf("the file is larger than %d bytes: %w", size, ErrChanged)
		}
		if n > 0 {
			_, _ = f.hash.Write(chunk[:n]) // a hash never fails
			f.done.Add(int64(n))
			f.since, f.rounds, f.source().gave = time.Now(), -1, true
			s.full <- chunk[:n] // which has room for all chunks
		} else {
			s.free <- chunk
		}
		switch done += int64(n); {
		case err == nil, done == size && r.size >= 0:
		case err == io.EOF && (size < 0 || done == size): //nolint:errorlint // a reader's end is never wrapped
			f.size.Store(done)
			return nil
		default:
			return fmt.Errorf("cut at byte %d: %w", done, err)
		}
	}
}

// verify compares the digest, once all bytes have arrived.
func (f *fetcher) verify() error {
	got := hex.EncodeToString(f.hash.Sum(nil))
	if f.want == "" || got == f.want {
		return nil
	}
	e := &DigestError{Want: f.want, Got: got}
	for _, s := range f.sources {
		if s.gave {
			e.URLs = append(e.URLs, s.name)
		}
	}
	return e
}

// connect asks one source after the other until one sends the bytes that come
// next.
func (f *fetcher) connect(ctx context.Context) (*reply, error) {
	for {
		if s := f.source(); !time.Now().Before(s.ready) {
			r, err := f.ask(ctx, s)
			if err == nil {
				return r, nil
			}
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			f.note(err)
		}
		if err := f.advance(ctx); err != nil {
			return nil, err
		}
	}
}

// ask makes one attempt.
func (f *fetcher) ask(ctx context.Context, s *source) (*reply, error) {
	offset, size := f.done.Load(), f.size.Load()
	r, err := s.file.open(ctx, offset, size)
	if err != nil {
		return nil, err
	}
	switch {
	case r.size >= 0 && size >= 0 && r.size != size:
		err = fmt.Errorf("the file has %d bytes, expected %d: %w", r.size, size, ErrChanged)
	case r.start > offset:
		err = fmt.Errorf("the server sent bytes from %d on, asked for %d", r.start, offset)
	case r.start < offset:
		f.log("%s cannot send a part of the file: skipping %d bytes", s.name, offset-r.start)
		err = f.skip(r, offset-r.start)
	}
	if err != nil {
		_ = r.Close() // it was only read
		return nil, err
	}
	if r.size >= 0 {
		f.size.Store(r.size)
	}
	return r, nil
}

// skip reads bytes that are there already.
func (f *fetcher) skip(r io.Reader, n int64) error {
	buf := make([]byte, chunkSize)
	for left := n; left > 0; {
		m, err := r.Read(buf[:min(left, chunkSize)])
		if left -= int64(m); err != nil && left > 0 {
			return fmt.Errorf("cut at byte %d, which was there already: %w", n-left, err)
		}
	}
	return nil
}

func (f *fetcher) source() *source { return f.sources[f.current.Load()] }

// note remembers why the source in use failed, and tells.
func (f *fetcher) note(err error) {
	s := f.source()
	s.err = f.explain(err)
	s.ready = time.Now().Add(retryAfter(err))
	f.log("fetching the root: %s: %v", s.name, s.err)
}
