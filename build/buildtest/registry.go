package buildtest

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Faults are the ways in which a registry can be bad. The zero value is a good
// registry.
type Faults struct {
	User, Password string // demand them by basic authentication
	FailFirst      int    // answer this many requests with 500
	TooMany        int    // answer this many requests with 429
	CutBlobs       int    // break this many downloads of blobs off halfway; < 0: all
	Rubbish        bool   // answer everything with a page for people
	NoBlobs        bool   // break the connection as soon as a blob is asked for
	TLS            bool   // serve HTTPS with a certificate that nobody knows
}

// Registry is a registry in this process that keeps everything in memory.
type Registry struct {
	Addr string // HOST:PORT
	srv  *httptest.Server
	next http.Handler

	mu       sync.Mutex
	faults   Faults
	requests []string
}

// NewRegistry starts a registry on loopback; the caller must Close it.
func NewRegistry(f Faults) *Registry {
	r := &Registry{faults: f, next: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	r.srv = httptest.NewUnstartedServer(r)
	r.srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	if f.TLS {
		r.srv.StartTLS()
	} else {
		r.srv.Start()
	}
	r.Addr = r.srv.Listener.Addr().String()
	return r
}

// Close stops the registry.
func (r *Registry) Close() { r.srv.CloseClientConnections(); r.srv.Close() }

// SetFaults changes how the registry behaves from now on.
func (r *Registry) SetFaults(f Faults) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = f
}

// Requests lists what was asked for, as "METHOD PATH".
func (r *Registry) Requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.requests...)
}

// ServeHTTP implements http.Handler.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	f := r.note(req)
	user, password, _ := req.BasicAuth()
	blob := req.Method == http.MethodGet && strings.Contains(req.URL.Path, "/blobs/sha256:")
	switch {
	case f.Rubbish:
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>Welcome to the coffee machine</html>")
	case f.User != "" && (user != f.User || password != f.Password):
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
	case f.FailFirst > 0:
		http.Error(w, "out of order", http.StatusInternalServerError)
	case f.TooMany > 0:
		http.Error(w, "slow down", http.StatusTooManyRequests)
	case blob && f.NoBlobs:
		hangUp(w)
	case blob && f.CutBlobs != 0:
		r.cut(w, req)
	default:
		r.next.ServeHTTP(w, req)
	}
}

// note records the request and uses up one of the counted faults, which f
// still has.
func (r *Registry) note(req *http.Request) Faults {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, req.Method+" "+req.URL.Path)
	f := r.faults
	switch {
	case f.FailFirst > 0:
		r.faults.FailFirst--
	case f.TooMany > 0:
		r.faults.TooMany--
	case f.CutBlobs > 0 && req.Method == http.MethodGet && strings.Contains(req.URL.Path, "/blobs/sha256:"):
		r.faults.CutBlobs--
	}
	return f
}

// cut answers with half of what it announces.
func (r *Registry) cut(w http.ResponseWriter, req *http.Request) {
	whole := httptest.NewRecorder()
	r.next.ServeHTTP(whole, req)
	body := whole.Body.Bytes()
	for k, v := range whole.Header() {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(whole.Code)
	_, _ = w.Write(body[:len(body)/2])
	if fl, ok := w.(http.Flusher); ok {
		fl.Flush()
	}
	hangUp(w)
}

func hangUp(http.ResponseWriter) { panic(http.ErrAbortHandler) }
