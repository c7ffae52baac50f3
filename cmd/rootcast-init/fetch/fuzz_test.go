package fetch

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

// What Parse accepts can be opened, and comes out the same if it goes in again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "http://a/x", "http://a//x,y,https://u:p@b:8/?q", "oci://r:5/n@sha256:" + hexDigest + ",tftp://[::1]/x",
		"http://a/,,b://", "http://u:p/q@a/", "http://a/%00",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		urls, err := Parse(s)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("error of several lines: %q", err)
			}
			return
		}
		if len(urls) == 0 {
			t.Fatal("no error and no URL")
		}
		again, err := Parse(strings.Join(urls, ","))
		if err != nil || strings.Join(again, "\n") != strings.Join(urls, "\n") {
			t.Errorf("%q became %q, %v", urls, again, err)
		}
		for _, u := range urls {
			if !strings.Contains(s, u) {
				t.Errorf("%q is no part of %q", u, s)
			}
		}
	})
}

// No error and no redacted URL tells a password.
func FuzzRedact(f *testing.F) {
	for _, s := range []string{"", "p", "p/q", "p?q", "p#q", "p:q", "p@q", "p%40", "%zz", "1/2", "[", "p q"} {
		f.Add(s, "host")
	}
	const mark = "TOPSECRET"
	f.Fuzz(func(t *testing.T, junk, host string) {
		// A host that is all there is before a slash is a host.
		text := "http://user:" + junk + mark + "@" + host + "/x"
		if got := Redact(text); strings.Contains(got, mark) && !isPath(text, mark) {
			t.Errorf("%q: %q", text, got)
		}
		if _, err := Parse(text); err != nil && strings.Contains(err.Error(), mark) && !isPath(text, mark) {
			t.Errorf("%q: %v", text, err)
		}
	})
}

// isPath tells whether a mark stands in the path of a URL that is valid as it is.
func isPath(text, mark string) bool {
	u, err := url.Parse(text)
	return err == nil && strings.Contains(u.Path, mark)
}

func FuzzParseChallenges(f *testing.F) {
	for _, s := range []string{
		"", bearer, `Basic realm="x", Bearer realm="y"`, "Negotiate abc==", `Bearer realm="a\"b`, ",,=", `a b=c d=e,f`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list := parseChallenges([]string{s, `Bearer realm="last"`})
		last := list[len(list)-1]
		if last.scheme != "bearer" || last.params["realm"] != "last" {
			t.Errorf("the header behind %q was read as %v", s, last)
		}
		for _, c := range list {
			if c.scheme == "" || c.scheme != strings.ToLower(c.scheme) {
				t.Errorf("scheme %q", c.scheme)
			}
		}
	})
}

func FuzzParseContentRange(f *testing.F) {
	for _, s := range []string{"", "bytes 0-0/1", "bytes */5", "bytes 1-2/*", "bytes 5-4/9", "bytes -1-4/9", "bytes 1-9/9", "bytes +1-2/3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		start, size, ok := parseContentRange(s)
		if ok && (start < -1 || size < -1 || size >= 0 && start >= size) {
			t.Errorf("%q: from %d of %d", s, start, size)
		}
	})
}

func FuzzParseRetryAfter(f *testing.F) {
	for _, s := range []string{"", "1", "-1", "99999999999999999999", "Mon, 04 May 2026 03:02:31 GMT"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d := parseRetryAfter(s, time.Unix(0, 0)); d < 0 || d > maxRetry {
			t.Errorf("%q: %v", s, d)
		}
	})
}
