package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	stall        = 30 * time.Second // without a byte: the connection counts as cut
	dialTimeout  = 10 * time.Second
	maxRedirects = 10
)

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// newClient makes a client that asks the environment for nothing.
func newClient(ca *x509.CertPool, dial dialFunc) *http.Client {
	if ca == nil {
		ca = x509.NewCertPool() // nil would stand for the system's
	}
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Client{
		Transport: &http.Transport{
			// A connection serves one request: while it is idle, stallConn's time would run.
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dial(ctx, network, address)
				if err != nil {
					return nil, err
				}
				return stallConn{conn}, nil
			},
			TLSClientConfig:        &tls.Config{RootCAs: ca},
			TLSHandshakeTimeout:    stall,
			ResponseHeaderTimeout:  stall,
			MaxResponseHeaderBytes: 64 << 10,
			ReadBufferSize:         64 << 10,
			Protocols:              &protocols,
			// A packed root that a server calls "Content-Encoding: gzip" is wanted as it is.
			DisableCompression: true,
		},
		CheckRedirect: redirect,
	}
}

// stallConn is a connection whose reads wait for a limited time.
type stallConn struct{ net.Conn }

func (c stallConn) Read(p []byte) (int, error) {
	_ = c.SetReadDeadline(time.Now().Add(stall)) // fails if it is closed, as Read will
	return c.Conn.Read(p)
}

// redirect decides whether to go where a server points. Credentials stay with the
// host that they were given for: net/http would pass them to hosts below it.
func redirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects: check the server's configuration", maxRedirects)
	case req.URL.Scheme != "https" && via[len(via)-1].URL.Scheme == "https":
		return errors.New("the server redirects from https to http, which is not followed: use http:// in imgurl if that is meant")
	}
	if !sameHost(req.URL, via[0].URL) {
		req.Header.Del("Authorization")
	}
	// A user in the new URL would be sent, and the old URL may hold a signature.
	req.URL.User = nil
	req.Header.Del("Referer")
	return nil
}

// sameHost tells whether two URLs lead to the same host, port and protocol.
func sameHost(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch p := u.Port(); {
	case p != "":
		return p
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

func newRequest(ctx context.Context, u *url.URL, auth string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("making the request for %s: %w", Redact(u.String()), err)
	}
	req.URL = u // as it was given, with every slash
	req.Header.Set("User-Agent", "rootcast-init")
	if auth != "" {
		req.Header.Set("Authorization", auth)
	}
	return req, nil
}

// send sends a request. Its errors have no URL but where it was redirected to,
// since net/http shows all of a URL but its password.
func send(client *http.Client, req *http.Request) (*http.Response, error) {
	resp, err := client.Do(req)
	if err == nil {
		return resp, nil
	}
	var e *url.Error
	if !errors.As(err, &e) {
		return nil, err
	}
	if at, err := url.Parse(e.URL); err == nil && !sameHost(at, req.URL) {
		return nil, fmt.Errorf("redirected to %s: %w", Redact(e.URL), e.Err)
	}
	return nil, e.Err
}

// basic is the header of RFC 7617.
func basic(user *url.Userinfo) string {
	password, _ := user.Password()
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password))
}
