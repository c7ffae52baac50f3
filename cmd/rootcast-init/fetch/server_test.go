package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"
)

// network is one without packets, whose time is that of a synctest bubble.
type network struct {
	mu    sync.Mutex
	hosts map[string]*listener // by "host:port"
	dials []string
}

func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	n.dials = append(n.dials, address)
	l := n.hosts[address]
	n.mu.Unlock()
	if l == nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// serve puts a server at an address, until the test ends.
func (n *network) serve(t *testing.T, address string, h http.Handler, certificates ...tls.Certificate) {
	t.Helper()
	l := &listener{conns: make(chan net.Conn), closed: make(chan struct{})}
	n.mu.Lock()
	if n.hosts == nil {
		n.hosts = map[string]*listener{}
	}
	n.hosts[address] = l
	n.mu.Unlock()
	var accept net.Listener = l
	if len(certificates) > 0 {
		accept = tls.NewListener(&queueing{l}, &tls.Config{Certificates: certificates})
	}
	srv := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan struct{})
	go func() {
		_ = srv.Serve(accept)
		close(done)
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
		if len(certificates) > 0 {
			time.Sleep(time.Minute) // of the bubble: TLS gives its last word 5 s
		}
	})
}

type listener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// queueing makes connections whose writes do not wait for the other side, since
// both sides of TLS may speak at once.
type queueing struct{ *listener }

func (q *queueing) Accept() (net.Conn, error) {
	conn, err := q.listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &queue{Conn: conn, writes: make(chan []byte, 64), closed: make(chan struct{})}
	go func() {
		defer conn.Close()
		for {
			select {
			case p := <-c.writes:
				if _, err := conn.Write(p); err != nil {
					return
				}
			case <-c.closed:
				if len(c.writes) == 0 {
					return
				}
			}
		}
	}()
	return c, nil
}

type queue struct {
	net.Conn
	writes chan []byte
	once   sync.Once
	closed chan struct{}
}

func (q *queue) Write(p []byte) (int, error) {
	select {
	case q.writes <- bytes.Clone(p):
		return len(p), nil
	case <-q.closed:
		return 0, net.ErrClosed
	}
}

// TLS sets a time that has passed when it closes, which is not for what is queued.
func (q *queue) SetWriteDeadline(time.Time) error { return nil }

func (q *queue) SetDeadline(t time.Time) error { return q.SetReadDeadline(t) }

func (q *queue) Close() error {
	q.once.Do(func() { close(q.closed) })
	return nil
}

// origin is a server of one file that can misbehave.
type origin struct {
	content []byte
	etag    string
	// cut: after so many bytes of the answer to request N the connection dies.
	cut map[int]int
	// act answers request N in another way, if it returns true.
	act func(n int, w http.ResponseWriter, r *http.Request) bool

	mu       sync.Mutex
	requests []string // their Range, "-" for none
	times    []time.Time
	sent     int // bytes
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	n := len(o.requests)
	asked := r.Header.Get("Range")
	if asked == "" {
		asked = "-"
	}
	o.requests = append(o.requests, asked)
	o.times = append(o.times, time.Now())
	o.mu.Unlock()
	if o.act != nil && o.act(n, w, r) {
		return
	}
	if o.etag != "" {
		w.Header().Set("ETag", o.etag)
	}
	left, ok := o.cut[n]
	if !ok {
		left = len(o.content) + 1
	}
	http.ServeContent(&cutter{w, o, left}, r, "", time.Time{}, bytes.NewReader(o.content))
}

func (o *origin) asked() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.requests
}

func (o *origin) bytesSent() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sent
}

// cutter is a response that breaks off.
type cutter struct {
	http.ResponseWriter
	o    *origin
	left int
}

func (c *cutter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p[:min(len(p), c.left)])
	c.o.mu.Lock()
	c.o.sent += n
	c.o.mu.Unlock()
	if c.left -= n; c.left <= 0 && err == nil {
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, err
}

// root is content of a size, and its digest.
func root(size int) (content []byte, digest string) {
	content = make([]byte, size)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(content)
	sum := sha256.Sum256(content)
	return content, hex.EncodeToString(sum[:])
}

// status makes an action that answers with a status, and header lines.
func status(code int, headers ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
	}
}

// whole makes the wait before each round as long as it can be.
func whole(d time.Duration) time.Duration { return d }

// lines collects a log.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(&l.text, format+"\n", args...)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// fetchAll opens and reads. The error is Open's or Read's.
func fetchAll(t *testing.T, o Options) ([]byte, error) {
	t.Helper()
	if o.jitter == nil {
		o.jitter = whole
	}
	s, err := Open(t.Context(), o)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	content, err := io.ReadAll(struct{ io.Reader }{s})
	if err == nil {
		if _, again := s.Read(make([]byte, 1)); !errors.Is(again, io.EOF) {
			t.Errorf("Read after the end: %v, want EOF", again)
		}
	}
	if errors.Is(err, io.EOF) {
		t.Errorf("the error %q can be mistaken for the end", err)
	}
	return content, err
}
