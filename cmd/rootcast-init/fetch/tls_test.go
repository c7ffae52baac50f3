package fetch

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// authority is a CA made for a test.
type authority struct {
	pool        *x509.CertPool
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return &authority{pool, certificate, key}
}

// sign makes a server's certificate that is valid for an hour from a time on.
func (a *authority) sign(t *testing.T, host string, from time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: from, NotAfter: from.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestTLS(t *testing.T) {
	content, digest := root(1000)
	tests := []struct {
		name string
		host string        // in the certificate
		from time.Duration // since when it is valid
		ca   bool
		url  string
		want string
	}{
		{name: "trusted", host: "a", ca: true, url: "https://a/root"},
		{name: "no CA", host: "a", url: "https://a/root", want: "the initrd holds no CA certificate: give convert --ca-cert"},
		{name: "expired", host: "a", from: -2 * time.Hour, ca: true, url: "https://a/root", want: "the node's clock says 2000-01-01 00:00:00 UTC"},
		{name: "not valid yet", host: "a", from: time.Hour, ca: true, url: "https://a/root", want: "certificate expired or not valid yet: the node's clock says 2000"},
		{name: "another host", host: "b", ca: true, url: "https://a/root", want: "the certificate is another host's"},
		{name: "TLS to a plain port", host: "a", ca: true, url: "https://plain:80/root", want: "the port speaks no TLS: use http://"},
		{name: "plain to a TLS port", host: "a", ca: true, url: "http://a:443/root", want: "a port that speaks TLS needs https://"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, ca := &network{}, newAuthority(t)
				n.serve(t, "a:443", &origin{content: content}, ca.sign(t, test.host, time.Now().Add(test.from)))
				n.serve(t, "plain:80", &origin{content: content})
				o := Options{URLs: []string{test.url}, SHA256: digest, Attempts: 1, dial: n.dial}
				if test.ca {
					o.CA = ca.pool
				}
				_, err := fetchAll(t, o)
				checkError(t, err, nil, test.want)
			})
		})
	}
	t.Run("another CA", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := &network{}
			n.serve(t, "a:443", &origin{content: content}, newAuthority(t).sign(t, "a", time.Now()))
			_, err := fetchAll(t, Options{URLs: []string{"https://a/root"}, CA: newAuthority(t).pool, Attempts: 1, dial: n.dial})
			checkError(t, err, nil, "certificate not trusted: give convert --ca-cert the certificate of the CA")
		})
	})
}

// redirects sends everything on.
func redirects(to string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusTemporaryRedirect) })
}

func TestRedirect(t *testing.T) {
	content, digest := root(2 << 20)
	synctest.Test(t, func(t *testing.T) {
		n, ca := &network{}, newAuthority(t)
		seen := map[string]http.Header{}
		cdn := &origin{content: content, cut: map[int]int{0: 1 << 20}}
		keep := func(host string, h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				seen[host] = r.Header.Clone()
				h.ServeHTTP(w, r)
			})
		}
		n.serve(t, "a:80", keep("a", redirects("http://x:y@sub.a/root?signature=1")))
		n.serve(t, "sub.a:80", keep("sub.a", cdn))
		n.serve(t, "up:80", redirects("https://a/"))
		n.serve(t, "a:443", redirects("http://sub.a/root"), ca.sign(t, "a", time.Now()))
		n.serve(t, "loop:80", redirects("/again"))
		n.serve(t, "gone:80", redirects("http://nowhere/root?signature=1"))
		n.serve(t, "lost:80", redirects("http://loser/root?signature=1"))
		n.serve(t, "loser:80", http.NotFoundHandler())

		if _, err := fetchAll(t, Options{URLs: []string{"http://u:secret@a/root"}, SHA256: digest, dial: n.dial}); err != nil {
			t.Fatal(err)
		}
		if seen["a"].Get("Authorization") != "Basic dTpzZWNyZXQ=" || seen["a"].Get("User-Agent") != "rootcast-init" {
			t.Errorf("headers to a: %v", seen["a"])
		}
		for _, name := range []string{"Authorization", "Referer", "Accept-Encoding"} {
			if value := seen["sub.a"].Get(name); value != "" {
				t.Errorf("the other host was sent %s: %s", name, value)
			}
		}
		if want := "bytes=1048576-2097151"; len(cdn.asked()) != 2 || cdn.asked()[1] != want {
			t.Errorf("requests %q, want a second with %s", cdn.asked(), want)
		}
		for url, want := range map[string]string{
			"http://up/root":   "redirects from https to http, which is not followed",
			"http://loop/root": "more than 10 redirects",
			"http://gone/root": "redirected to http://nowhere/root?***: ",
			"http://lost/root": "HTTP status 404 Not Found from http://loser/root?***: not found",
		} {
			_, err := fetchAll(t, Options{URLs: []string{url}, CA: ca.pool, Attempts: 1, dial: n.dial})
			checkError(t, err, nil, want)
			if err != nil && strings.Contains(err.Error(), "signature") {
				t.Errorf("the error tells the signature: %v", err)
			}
		}
	})
}

// The node's environment and its system's certificates, of which a test's machine
// has some, must not count.
func TestClientTrustsNothingByItself(t *testing.T) {
	transport, ok := newClient(nil, nil).Transport.(*http.Transport)
	if !ok {
		t.Fatal("another kind of transport")
	}
	if transport.TLSClientConfig.RootCAs == nil || transport.Proxy != nil {
		t.Errorf("roots %v, proxy set: %v", transport.TLSClientConfig.RootCAs, transport.Proxy != nil)
	}
}
