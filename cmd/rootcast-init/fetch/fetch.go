package fetch

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

const (
	chunkSize = 256 << 10
	chunks    = 4 // are read ahead, so that network, hash and reader work at once
)

// Options say what is fetched, and for how long that is tried.
type Options struct {
	// URLs of one and the same file, as [Parse] returns them, in the order in
	// which they are tried.
	URLs []string

	// SHA256 is the file's digest in hex. If it is "" and no oci URL names one,
	// only sizes and what servers tell of changes are checked.
	SHA256 string

	// Size of the file in bytes; 0: not known. A server that announces another one
	// is not read from.
	Size int64

	// CA are the certificates that HTTPS trusts; nil: none. Those of the system
	// are never used, for an initrd has none.
	CA *x509.CertPool

	// Limit is how long it is tried without a byte of progress; 0: for ever. It is
	// looked at between attempts, each of which takes up to a minute by itself.
	Limit time.Duration

	// Attempts is how often all URLs are tried without a byte of progress; 0: for ever.
	Attempts int

	// Log takes lines on what failed and what is done next, from another goroutine
	// than the caller's; nil: nobody is told.
	Log func(format string, args ...any)

	dial   func(ctx context.Context, network, address string) (net.Conn, error) // nil: the real network
	jitter func(time.Duration) time.Duration                                    // nil: a random part
}

// Stream is a file that is being fetched. One goroutine reads; Progress and Close
// may be called from others.
type Stream struct {
	// Size of the file in bytes, -1 if neither caller nor server know it.
	Size int64

	fetcher *fetcher
	cancel  context.CancelCauseFunc
	full    chan []byte
	free    chan []byte
	chunk   []byte // that is being read
	rest    []byte // of it
	err     error  // why full was closed; nil: the file is complete
	closed  atomic.Bool
}

var (
	_ io.ReadCloser = (*Stream)(nil)
	_ io.WriterTo   = (*Stream)(nil)
)

// Open asks the servers for the file, and returns when one has answered, so that
// its size is known before it is loaded. The context is that of the whole
// transfer: when it ends, Read returns its cause.
func Open(ctx context.Context, o Options) (*Stream, error) {
	f, err := newFetcher(o)
	if err != nil {
		return nil, fmt.Errorf("fetching the root: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	first, err := f.connect(ctx)
	if err != nil {
		cancel(err)
		return nil, fmt.Errorf("fetching the root: %w", err)
	}
	s := &Stream{
		Size: f.size.Load(), fetcher: f, cancel: cancel,
		full: make(chan []byte, chunks), free: make(chan []byte, chunks),
	}
	for range chunks {
		s.free <- make([]byte, chunkSize)
	}
	go func() {
		defer close(s.full)
		s.err = f.run(ctx, first, s)
	}()
	return s, nil
}

func newFetcher(o Options) (*fetcher, error) {
	f := &fetcher{
		want: strings.ToLower(o.SHA256), hash: sha256.New(), since: time.Now(),
		limit: o.Limit, attempts: o.Attempts, log: o.Log, jitter: o.jitter, noCA: o.CA == nil,
	}
	if f.log == nil {
		f.log = func(string, ...any) {}
	}
	if f.jitter == nil {
		f.jitter = fullJitter
	}
	f.size.Store(-1)
	if o.Size > 0 {
		f.size.Store(o.Size)
	}
	switch {
	case len(o.URLs) == 0:
		return nil, errors.New("no URL is given: check imgurl")
	case f.want != "" && !isSHA256(f.want):
		return nil, fmt.Errorf("the SHA-256 %q is not 64 hexadecimal digits: check rootcast.digest", o.SHA256)
	}
	var locations []*location
	for _, text := range o.URLs {
		l, err := parseLocation(text)
		if err != nil {
			return nil, err
		}
		if l.digest != "" && f.want != "" && l.digest != f.want {
			return nil, fmt.Errorf("%s names another digest than sha256:%s: check imgurl and rootcast.digest", Redact(text), f.want)
		}
		f.want = max(f.want, l.digest)
		locations = append(locations, l)
	}
	client := newClient(o.CA, o.dial)
	for i, l := range locations {
		f.sources = append(f.sources, &source{name: Redact(o.URLs[i]), file: newFile(l, client, f.want == "")})
	}
	return f, nil
}

// Read returns the file's bytes, across cuts and servers, and [io.EOF] only if
// size and SHA-256 are right. Its errors are final: a [*DigestError], one that
// wraps [ErrChanged], the context's cause, or, after the limits of the options,
// why each server failed.
func (s *Stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := s.next(); err != nil {
		return 0, err
	}
	n := copy(p, s.rest)
	s.taken(n)
	return n, nil
}

// WriteTo writes the rest of the file without copying it first.
func (s *Stream) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		if err := s.next(); err != nil {
			if err == io.EOF { //nolint:errorlint // next returns it as it is, and a server's EOF wrapped
				err = nil
			}
			return total, err
		}
		n, err := w.Write(s.rest)
		total += int64(n)
		s.taken(n)
		if err != nil {
			return total, err
		}
	}
}

// next waits for bytes that are not read yet.
func (s *Stream) next() error {
	if s.closed.Load() {
		return fmt.Errorf("fetching the root: %w", fs.ErrClosed)
	}
	if len(s.rest) > 0 {
		return nil
	}
	chunk, ok := <-s.full
	switch {
	case ok:
		s.chunk, s.rest = chunk, chunk
		return nil
	case s.err == nil:
		return io.EOF
	}
	return fmt.Errorf("fetching the root: %w", s.err)
}

func (s *Stream) taken(n int) {
	if s.rest = s.rest[n:]; len(s.rest) == 0 {
		s.free <- s.chunk[:chunkSize]
	}
}

// Close ends the transfer. Read must not be running then, or returns an error.
func (s *Stream) Close() error {
	s.closed.Store(true)
	s.cancel(fs.ErrClosed)
	for {
		if _, ok := <-s.full; !ok {
			return nil
		}
	}
}

// Progress tells how many bytes have arrived, of how many (-1: not known), and
// from where, without secrets. It is cheap, and waits for nothing.
func (s *Stream) Progress() (done, total int64, url string) {
	f := s.fetcher
	return f.done.Load(), f.size.Load(), f.sources[f.current.Load()].name
}
