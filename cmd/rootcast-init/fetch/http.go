package fetch

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// webFile is a file or a blob on a web server.
type webFile struct {
	client   *http.Client
	url      *url.URL
	user     *url.Userinfo
	registry *registry // nil: it is no blob
	auth     string    // the header Authorization

	// strict: without a digest, the server's word is all that tells whether the
	// file changed. With one it is not asked, since servers that share a name give
	// one file several tags.
	strict         bool
	etag, modified string
}

// newFile is the file at a location.
func newFile(l *location, client *http.Client, strict bool) file {
	if l.url.Scheme == "tftp" {
		return &tftpFile{host: l.url, name: l.url.Path}
	}
	w := &webFile{client: client, url: l.url, user: l.user, strict: strict}
	if l.repository != "" {
		w.registry = &registry{client: client, url: l.url, user: l.user, repository: l.repository}
	} else if l.user != nil {
		w.auth = basic(l.user)
	}
	return w
}

func (w *webFile) open(ctx context.Context, offset, size int64) (*reply, error) {
	resp, err := w.get(ctx, offset, size)
	if err != nil {
		return nil, err
	}
	r, err := w.reply(resp, offset)
	if err != nil {
		_ = resp.Body.Close() // it was only read
		return nil, err
	}
	return r, nil
}

// get sends the request, a second time with a token if a registry asks for one.
func (w *webFile) get(ctx context.Context, offset, size int64) (*http.Response, error) {
	resp, err := w.do(ctx, offset, size)
	// Whoever a registry redirects to must not get the registry's password by asking.
	if err != nil || w.registry == nil || resp.StatusCode != http.StatusUnauthorized || !sameHost(resp.Request.URL, w.url) {
		return resp, err
	}
	_ = resp.Body.Close() // it was only read
	if w.auth, err = w.registry.authorize(ctx, resp.Header.Values("WWW-Authenticate")); err != nil {
		return nil, err
	}
	return w.do(ctx, offset, size)
}

func (w *webFile) do(ctx context.Context, offset, size int64) (*http.Response, error) {
	req, err := newRequest(ctx, w.url, w.auth)
	if err != nil {
		return nil, err
	}
	if offset > 0 {
		// Some registries take no range without an end.
		end := ""
		if size > offset {
			end = strconv.FormatInt(size-1, 10)
		}
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%s", offset, end))
		// A weak tag must not be used (RFC 9110, section 13.1.5).
		if w.strict && strings.HasPrefix(w.etag, `"`) {
			req.Header.Set("If-Range", w.etag)
		}
	}
	return send(w.client, req)
}

// reply makes out which bytes of the file a response brings.
func (w *webFile) reply(resp *http.Response, offset int64) (*reply, error) {
	r := &reply{ReadCloser: resp.Body, size: -1}
	switch resp.StatusCode {
	case http.StatusOK:
		r.size = resp.ContentLength
	case http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable:
		value := resp.Header.Get("Content-Range")
		start, size, ok := parseContentRange(value)
		switch {
		case resp.StatusCode == http.StatusPartialContent && ok && start >= 0:
			r.start, r.size = start, size
		case resp.StatusCode == http.StatusPartialContent:
			return nil, fmt.Errorf("the server's Content-Range is %q: check the server or proxy", value)
		case ok && size == offset && offset > 0:
			// The file ended there, and only its end was not heard of.
			r.ReadCloser, r.start, r.size = http.NoBody, offset, size
			return r, resp.Body.Close()
		case ok && size >= 0:
			return nil, fmt.Errorf("the file has %d bytes, of which %d have arrived: %w", size, offset, ErrChanged)
		default:
			return nil, newStatusError(resp, w.url)
		}
	default:
		return nil, newStatusError(resp, w.url)
	}
	return r, w.unchanged(resp)
}

// unchanged compares what the server says of the file with what it said before.
func (w *webFile) unchanged(resp *http.Response) error {
	etag, modified := resp.Header.Get("ETag"), resp.Header.Get("Last-Modified")
	differs := func(before, now string) bool { return w.strict && before != "" && now != "" && before != now }
	if differs(w.etag, etag) || differs(w.modified, modified) {
		return fmt.Errorf("the file is not the one of which a part has arrived: %w", ErrChanged)
	}
	w.etag, w.modified = etag, modified
	return nil
}

func newStatusError(resp *http.Response, asked *url.URL) error {
	e := &statusError{code: resp.StatusCode}
	if !sameHost(resp.Request.URL, asked) {
		e.where = Redact(resp.Request.URL.String())
	}
	if e.code == http.StatusTooManyRequests || e.code == http.StatusServiceUnavailable {
		e.retry = parseRetryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	return e
}

// parseContentRange reads "bytes FIRST-LAST/SIZE" (RFC 9110, section 14.4). Start
// is -1 for a range that cannot be had ("*"), size for a size that is not known.
func parseContentRange(s string) (start, size int64, ok bool) {
	s, ok = strings.CutPrefix(strings.TrimSpace(s), "bytes ")
	span, total, slash := strings.Cut(s, "/")
	if !ok || !slash {
		return 0, 0, false
	}
	if size = -1; total != "*" {
		if size, ok = parseCount(total); !ok {
			return 0, 0, false
		}
	}
	if span == "*" {
		return -1, size, true
	}
	first, last, dash := strings.Cut(span, "-")
	start, ok = parseCount(first)
	end, ok2 := parseCount(last)
	if !dash || !ok || !ok2 || end < start || size >= 0 && end >= size {
		return 0, 0, false
	}
	return start, size, true
}

// parseCount reads a decimal number without a sign.
func parseCount(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && isDigit(s[0])
}
