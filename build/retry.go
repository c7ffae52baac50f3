package build

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/docker/distribution/registry/api/errcode"
	"go.podman.io/image/v5/docker"
)

const (
	firstDelay = 500 * time.Millisecond
	maxDelay   = 16 * time.Second
)

// again does work until it succeeds, fails for good, or has been tried
// t.retry times more; each new attempt is said aloud.
func (t transfer) again(ctx context.Context, work func() error) error {
	delay := firstDelay
	for attempt := 1; ; attempt++ {
		err := work()
		if err == nil || ctx.Err() != nil || attempt > t.retry || !temporary(err) {
			return err
		}
		// Clients that failed together must not come back together.
		wait := delay + rand.N(delay/2)
		if t.progress != nil {
			fmt.Fprintf(t.progress, "%s; trying again in %.1fs (%d of %d)\n", squeeze(Explain(err).Error()), wait.Seconds(), attempt, t.retry)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
		delay = min(2*delay, maxDelay)
	}
}

// temporary tells a failure that may pass, of the network or inside a
// registry, from an answer that will be the same next time.
func temporary(err error) bool {
	var (
		certificate *tls.CertificateVerificationError
		status      docker.UnexpectedHTTPStatusError
		code        errcode.Error
		codes       errcode.Errors
		dns         *net.DNSError
		op          *net.OpError
		timeout     interface{ Timeout() bool }
	)
	switch {
	case errors.Is(err, context.Canceled), errors.As(err, &certificate):
		return false
	case errors.As(err, &status):
		return temporaryStatus(status.StatusCode)
	case errors.As(err, &codes):
		for _, e := range codes {
			if !temporary(e) {
				return false
			}
		}
		return len(codes) > 0
	case errors.As(err, &code):
		return temporaryStatus(code.Code.Descriptor().HTTPStatusCode)
	case errors.Is(err, docker.ErrTooManyRequests):
		return true
	case errors.As(err, &dns):
		return !dns.IsNotFound
	case errors.As(err, &op), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return true
	}
	return errors.As(err, &timeout) && timeout.Timeout()
}

func temporaryStatus(code int) bool {
	return code == http.StatusTooManyRequests || code >= http.StatusInternalServerError
}

// repeats are what the libraries say once at every level.
var repeats = regexp.MustCompile(`(creating build container: |unable to copy from source \S+: |copying system image from manifest list: |initializing (?:source|destination) \S+: |writing blob: |copying layers and metadata for container "\w+": |adding layer with blob \S+: |while running runtime: )`)

// Explain drops from a registry's error what the libraries repeat, and adds
// what to do about it where that is known.
func Explain(err error) error {
	text := repeats.ReplaceAllString(err.Error(), "")
	switch {
	case strings.Contains(text, "server gave HTTP response to HTTPS client"):
		text += " (a registry without TLS needs --tls-verify=false)"
	case strings.Contains(text, "authentication required"), strings.Contains(text, "unauthorized"):
		text += " (rootcast login keeps credentials for a registry)"
	}
	if text == err.Error() {
		return err
	}
	return &explained{text, err}
}
