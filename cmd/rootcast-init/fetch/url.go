package fetch

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Parse splits the value of imgurl= into its URLs and checks each. A comma
// separates if a scheme and "://" follow; any other belongs to the URL, except at
// its end. Slashes stay as they are, since xCAT writes two after the host.
// Errors name no password.
func Parse(imgurl string) ([]string, error) {
	var urls []string
	for _, text := range split(imgurl) {
		if text = strings.TrimRight(text, ","); text == "" {
			continue
		}
		if _, err := parseLocation(text); err != nil {
			return nil, fmt.Errorf("reading imgurl: %w", err)
		}
		urls = append(urls, text)
	}
	if len(urls) == 0 {
		return nil, errors.New("reading imgurl: it is empty: give it at least one URL, such as imgurl=http://SERVER/PATH")
	}
	return urls, nil
}

// split cuts at every comma that a scheme follows.
func split(s string) []string {
	var parts []string
	start := 0
	for i := range len(s) {
		if s[i] == ',' && startsURL(s[i+1:]) {
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

// startsURL tells whether a string starts with a scheme (RFC 3986, section 3.1)
// and "://".
func startsURL(s string) bool {
	scheme, _, ok := strings.Cut(s, "://")
	if !ok || scheme == "" || !isLetter(scheme[0]) {
		return false
	}
	for i := range len(scheme) {
		if c := scheme[i]; !isLetter(c) && !isDigit(c) && !strings.ContainsRune("+-.", rune(c)) {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }

// location is a URL, taken apart.
type location struct {
	url        *url.URL // what is asked for, without user and password
	user       *url.Userinfo
	repository string // of the blob, with oci
	digest     string // of the blob, in hex; "": the URL has none
}

// parseLocation checks one URL. Its errors name it without its secrets, for which
// reason those of net/url, which quote what they stumble over, stay out.
func parseLocation(text string) (*location, error) {
	bad := func(why string) error { return fmt.Errorf("%s: %s", Redact(text), why) }
	for i := range len(text) {
		if text[i] <= ' ' || text[i] == 0x7f {
			return nil, bad("a URL has no blanks or control characters: write %20 for a blank")
		}
	}
	if !startsURL(text) {
		return nil, bad("no URL: it must start with http://, https://, tftp:// or oci://")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, bad("no valid URL: check host and port, and write odd characters of a password as %XX")
	case u.Hostname() == "":
		return nil, bad("the URL names no host")
	case u.Fragment != "" || strings.Contains(text, "#"):
		return nil, bad("a URL with # is cut there: write %23")
	}
	l := &location{url: u, user: u.User}
	u.User = nil
	switch u.Scheme {
	case "http", "https":
		return l, nil
	case "tftp":
		err = l.tftp()
	case "oci", "oci+http":
		err = l.blob()
	default:
		return nil, bad("unknown scheme: use http, https, tftp, oci or oci+http")
	}
	if err != nil {
		return nil, bad(err.Error())
	}
	return l, nil
}

// tftp takes the name of the file from the URL: what follows the slash behind the
// host (RFC 3617, section 3).
func (l *location) tftp() error {
	name := strings.TrimSuffix(strings.TrimPrefix(l.url.Path, "/"), ";mode=octet")
	switch {
	case name == "":
		return errors.New("the URL names no file")
	case strings.Contains(name, "\x00"):
		return errors.New("a file's name has no NUL")
	case l.user != nil:
		return errors.New("TFTP knows no users")
	case l.url.RawQuery != "" || l.url.ForceQuery:
		return errors.New("TFTP knows no query: write %3F for a question mark")
	}
	l.url.Path = name
	return nil
}

// blob makes the URL of a blob (OCI distribution specification, "Pulling blobs")
// from oci://REGISTRY/REPOSITORY@sha256:HEX.
func (l *location) blob() error {
	repository, digest, ok := strings.Cut(strings.TrimPrefix(l.url.Path, "/"), "@")
	digest, known := strings.CutPrefix(digest, "sha256:")
	switch {
	case !ok:
		return errors.New("the URL names no digest: write oci://REGISTRY/REPOSITORY@sha256:HEX, with the digest of the packed root")
	case !known || !isSHA256(digest):
		return errors.New("the digest must be sha256: and 64 hexadecimal digits")
	case !isRepository(repository):
		return errors.New("the repository's name may have small letters, digits, and . _ - / between them")
	case l.url.RawQuery != "" || l.url.ForceQuery:
		return errors.New("a blob's URL has no query")
	}
	l.repository, l.digest = repository, strings.ToLower(digest)
	scheme := "https"
	if l.url.Scheme == "oci+http" {
		scheme = "http"
	}
	l.url = &url.URL{Scheme: scheme, Host: l.url.Host, Path: "/v2/" + repository + "/blobs/sha256:" + l.digest}
	return nil
}

// isRepository is looser than the specification in which separators may meet.
func isRepository(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || strings.ContainsAny(part[:1]+part[len(part)-1:], "._-") ||
			strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
			return false
		}
	}
	return true
}

func isSHA256(s string) bool {
	return len(s) == 64 && strings.Trim(strings.ToLower(s), "0123456789abcdef") == ""
}

// Redact is a URL as a console or a log may show it: without user, password and
// query, which can hold a signature. It takes strings that are no URLs as well.
func Redact(text string) string {
	u, err := url.Parse(text)
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '_'
		}
		return r
	}, text)
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		scheme, rest = "", text
	} else {
		scheme += "://"
	}
	end := strings.IndexAny(rest, "/?#")
	// A password with a slash, a "?" or a "#" that is not written as %XX ends the
	// host early, and makes its port invalid or empty: all before the last "@" is
	// hidden then.
	if end < 0 || err != nil || u.Host == "" || strings.HasSuffix(u.Host, ":") {
		end = len(rest)
	}
	if at := strings.LastIndexByte(rest[:end], '@'); at >= 0 {
		rest = "***" + rest[at:]
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i+1] + "***"
	}
	return scheme + rest
}
