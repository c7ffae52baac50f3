package fetch

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	ociregistry "github.com/google/go-containerregistry/pkg/registry"
)

// guarded is a registry that wants a token, of which each is good for some requests.
type guarded struct {
	http.Handler
	challenge string
	good      int // requests that a token is good for
	uses      int
	issued    int
	asked     []string // for tokens: user and query
}

func (g *guarded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/token" {
		user, password, _ := r.BasicAuth()
		g.asked = append(g.asked, user+":"+password+" "+r.URL.RawQuery)
		g.issued++
		g.uses = 0
		fmt.Fprintf(w, `{"access_token":"token-%d","expires_in":60}`, g.issued)
		return
	}
	if g.uses++; r.Header.Get("Authorization") != fmt.Sprintf("Bearer token-%d", g.issued) || g.uses > g.good {
		w.Header().Set("WWW-Authenticate", g.challenge)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	g.Handler.ServeHTTP(w, r)
}

// newRegistry is a registry that holds a blob.
func newRegistry(t *testing.T, repository string, content []byte, digest string) http.Handler {
	t.Helper()
	h := ociregistry.New(ociregistry.Logger(log.New(io.Discard, "", 0)))
	req := httptest.NewRequest(http.MethodPost, "/v2/"+repository+"/blobs/uploads/?digest=sha256:"+digest, bytes.NewReader(content))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	if w.Code != http.StatusCreated {
		t.Fatalf("pushing the blob: %d %s", w.Code, w.Body)
	}
	return h
}

// cutOnce cuts the first answer, so that a range is asked for.
func cutOnce(h http.Handler) http.Handler {
	requests := 0
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests++; requests == 1 {
			w = &cutter{w, &origin{}, 1 << 20}
		}
		h.ServeHTTP(w, r)
	})
}

const bearer = `Bearer realm="http://r:5000/token",service="the registry",scope="repository:site/nodes:pull"`

func TestRegistry(t *testing.T) {
	content, digest := root(3 << 20)
	const query = "scope=repository%3Asite%2Fnodes%3Apull&service=the+registry"
	tests := []struct {
		name, user, challenge string
		good                  int
		asked                 []string
	}{
		{"anonymous", "", bearer, 9, []string{": " + query}},
		{"user", "u:p@", bearer, 9, []string{"u:p " + query}},
		{"token expires", "", bearer, 1, []string{": " + query, ": " + query}},
		{
			"no scope, and another way", "", `Negotiate, Bearer realm="http://r:5000/token?a=b"`, 9,
			[]string{": a=b&scope=repository%3Asite%2Fnodes%3Apull"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{}
				g := &guarded{Handler: cutOnce(newRegistry(t, "site/nodes", content, digest)), challenge: test.challenge, good: test.good}
				n.serve(t, "r:5000", g)
				got, err := fetchAll(t, Options{URLs: []string{"oci+http://" + test.user + "r:5000/site/nodes@sha256:" + digest}, dial: n.dial})
				if err != nil || !bytes.Equal(got, content) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				if diff := cmp.Diff(test.asked, g.asked); diff != "" {
					t.Errorf("requests for tokens (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestRegistryWithoutToken(t *testing.T) {
	content, digest := root(3 << 20)
	h := newRegistry(t, "site/nodes", content, digest)
	withPassword := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user+password != "up" {
			status(http.StatusUnauthorized, "WWW-Authenticate", `Basic realm="x"`)(w)
			return
		}
		h.ServeHTTP(w, r)
	})
	damaged := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(append([]byte("x"), content[1:]...))
	})
	synctest.Test(t, func(t *testing.T) {
		n, ca := &network{}, newAuthority(t)
		n.serve(t, "open:443", cutOnce(h), ca.sign(t, "open", time.Now()))
		n.serve(t, "password:80", withPassword)
		n.serve(t, "damaged:80", damaged)
		for url, want := range map[string]error{
			"oci://open/site/nodes@sha256:":              nil,
			"oci+http://u:p@password/site/nodes@sha256:": nil,
			"oci+http://damaged/site/nodes@sha256:":      &DigestError{},
		} {
			_, err := fetchAll(t, Options{URLs: []string{url + digest}, CA: ca.pool, Attempts: 1, dial: n.dial})
			checkError(t, err, want, "")
		}
	})
}

func TestRegistryRefuses(t *testing.T) {
	content, digest := root(1000)
	tests := []struct{ name, challenge, want string }{
		{"token is no good", bearer, "HTTP status 401 Unauthorized: access denied"},
		{"unknown way", "Negotiate", `a way that is not known (["negotiate"])`},
		{"no challenge", "", "a way that is not known ([])"},
		{"password", `Basic realm="x"`, "oci://USER:PASSWORD@REGISTRY/"},
		{"realm without a host", `Bearer realm="token"`, "names no valid server for tokens"},
		{
			"realm is busy", `Bearer realm="http://busy/token?key=1"`,
			"getting a token of the registry: HTTP status 503 Service Unavailable from http://busy/token?***: the server is overloaded",
		},
		{"realm sends something else", `Bearer realm="http://odd/token"`, "reading the answer of http://odd/token"},
		{"realm gives nothing", `Bearer realm="http://empty/token"`, "gave no token"},
		{"realm is away", `Bearer realm="http://away/token"`, "http://away/token?***: dial tcp: connection refused"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{}
				n.serve(t, "r:5000", &guarded{Handler: newRegistry(t, "site/nodes", content, digest), challenge: test.challenge})
				n.serve(t, "busy:80", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					status(http.StatusServiceUnavailable, "Retry-After", "60")(w)
				}))
				n.serve(t, "odd:80", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }))
				n.serve(t, "empty:80", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }))
				_, err := fetchAll(t, Options{URLs: []string{"oci+http://r:5000/site/nodes@sha256:" + digest}, Attempts: 1, dial: n.dial})
				checkError(t, err, nil, test.want)
			})
		})
	}
}

// A registry with TLS must not make the node send its password without, nor must
// the host that it redirects to get a token or a password by asking for one.
func TestRegistrySecrets(t *testing.T) {
	content, digest := root(1000)
	synctest.Test(t, func(t *testing.T) {
		n, ca := &network{}, newAuthority(t)
		var seen []string
		spy := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen = append(seen, r.Header.Get("Authorization"))
			status(http.StatusUnauthorized, "WWW-Authenticate", `Basic realm="x"`)(w)
		})
		n.serve(t, "spy:80", spy)
		n.serve(t, "spy:443", spy, ca.sign(t, "spy", time.Now()))
		n.serve(t, "r:443", &guarded{
			Handler: newRegistry(t, "site/nodes", content, digest), challenge: `Bearer realm="http://spy/token"`,
		}, ca.sign(t, "r", time.Now()))
		n.serve(t, "s:443", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, _, ok := r.BasicAuth(); !ok {
				status(http.StatusUnauthorized, "WWW-Authenticate", `Basic realm="x"`)(w)
				return
			}
			http.Redirect(w, r, "https://spy/cdn", http.StatusTemporaryRedirect)
		}), ca.sign(t, "s", time.Now()))
		n.serve(t, "t:443", redirects("https://lure/cdn"), ca.sign(t, "t", time.Now()))
		n.serve(t, "lure:443", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			status(http.StatusUnauthorized, "WWW-Authenticate", `Bearer realm="https://spy/token"`)(w)
		}), ca.sign(t, "lure", time.Now()))
		for host, want := range map[string]string{
			"t": "HTTP status 401 Unauthorized from https://lure/cdn: access denied",
			"r": "names a server for tokens without TLS, which is not asked",
			"s": "HTTP status 401 Unauthorized from https://spy/cdn: access denied",
		} {
			_, err := fetchAll(t, Options{
				URLs: []string{"oci://u:secret@" + host + "/site/nodes@sha256:" + digest}, CA: ca.pool, Attempts: 1, dial: n.dial,
			})
			checkError(t, err, nil, want)
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error tells the password: %v", err)
			}
		}
		if diff := cmp.Diff([]string{""}, seen); diff != "" {
			t.Errorf("what the spy was sent (-want +got):\n%s", diff)
		}
	})
}
