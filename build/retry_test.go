package build

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/docker/distribution/registry/api/errcode"
	registryv2 "github.com/docker/distribution/registry/api/v2"
	"github.com/google/go-cmp/cmp"
	"go.podman.io/image/v5/docker"
)

func TestTemporary(t *testing.T) {
	refused := &url.Error{Op: "Get", URL: "https://r/v2/", Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}
	for _, tc := range []struct {
		name string
		err  error
		want bool
	}{
		{"refused", refused, true},
		{"reset", fmt.Errorf("reading: %w", syscall.ECONNRESET), true},
		{"cut", fmt.Errorf("reading: %w", io.ErrUnexpectedEOF), true},
		{"no such host", &net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}, false},
		{"name server silent", &net.OpError{Op: "dial", Err: &net.DNSError{IsTimeout: true}}, true},
		{"bad certificate", &url.Error{Op: "Get", Err: &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}}, false},
		{"500", docker.UnexpectedHTTPStatusError{StatusCode: 500}, true},
		{"503", fmt.Errorf("pinging: %w", docker.UnexpectedHTTPStatusError{StatusCode: 503}), true},
		{"404", docker.UnexpectedHTTPStatusError{StatusCode: 404}, false},
		{"too many requests", docker.ErrTooManyRequests, true},
		{"unauthorized", errcode.Errors{errcode.ErrorCodeUnauthorized.WithMessage("no")}, false},
		{"denied", errcode.ErrorCodeDenied.WithMessage("no"), false},
		{"unknown manifest", registryv2.ErrorCodeManifestUnknown.WithMessage("no"), false},
		{"toomanyrequests", errcode.Errors{errcode.ErrorCodeTooManyRequests.WithMessage("wait")}, true},
		{"unavailable", errcode.ErrorCodeUnavailable.WithMessage("wait"), true},
		{"interrupted", context.Canceled, false},
		{"anything else", errors.New("rejected by policy"), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := temporary(tc.err); got != tc.want {
				t.Errorf("temporary(%v) = %v, want %v", tc.err, got, tc.want)
			}
		})
	}
}

func TestAgain(t *testing.T) {
	var said strings.Builder
	calls := 0
	tr := transfer{retry: 1, progress: &said}
	err := tr.again(t.Context(), func() error {
		calls++
		return docker.UnexpectedHTTPStatusError{StatusCode: 502}
	})
	if err == nil || calls != 2 || strings.Count(said.String(), "trying again") != 1 {
		t.Errorf("%d calls, error %v, said %q", calls, err, said.String())
	}
	calls = 0
	ctx, cancel := context.WithCancel(t.Context())
	err = transfer{retry: 9}.again(ctx, func() error {
		calls++
		cancel()
		return io.ErrUnexpectedEOF
	})
	if err == nil || calls != 1 {
		t.Errorf("%d calls after it was cancelled, error %v", calls, err)
	}
}

func TestTidy(t *testing.T) {
	for _, tc := range []struct{ name, give, want string }{
		{"nothing to drop", "name unknown", "name unknown"},
		{"levels", "creating build container: unable to copy from source docker://r/x:1: initializing source docker://r/x:1: reading manifest 1 in r/x: manifest unknown", "reading manifest 1 in r/x: manifest unknown"},
		{"full disk", `copying layers and metadata for container "e6": adding layer with blob "sha256:aa"/""/"sha256:aa": unpacking failed (error: exit status 1; output: write /b: no space left on device)`, "unpacking failed (error: exit status 1; output: write /b: no space left on device)"},
		{"plain http", `pinging: http: server gave HTTP response to HTTPS client`, `pinging: http: server gave HTTP response to HTTPS client (a registry without TLS needs --tls-verify=false)`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cause := errors.New(tc.give)
			got := Explain(cause)
			if diff := cmp.Diff(tc.want, got.Error()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !errors.Is(got, cause) {
				t.Error("the cause is lost")
			}
		})
	}
}
