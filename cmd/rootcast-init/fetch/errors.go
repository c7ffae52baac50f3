package fetch

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// ErrChanged is that a server has another file than the one that was asked for,
// or than the one of which the first part has arrived.
var ErrChanged = errors.New("it was replaced: boot the node again, so that it is told of the new one")

// DigestError is that the file is complete but not the one that was asked for.
type DigestError struct {
	Want, Got string   // SHA-256 in hex
	URLs      []string // that bytes came from, without secrets
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("the root from %s has sha256 %s, expected %s: it was changed or damaged on the way",
		strings.Join(e.URLs, " and "), e.Got, e.Want)
}

// statusError is that a server answered with a status that brings no file.
type statusError struct {
	code  int
	where string        // the server that was asked, if it is not the URL's
	retry time.Duration // that it wants to be left alone
}

func (e *statusError) Error() string {
	s := fmt.Sprintf("HTTP status %d %s", e.code, http.StatusText(e.code))
	if e.where != "" {
		s += " from " + e.where
	}
	return s
}

// hint is what to check after a status.
func (e *statusError) hint() string {
	switch e.code {
	case http.StatusNotFound, http.StatusGone:
		return "not found: check imgurl, and that the rootimgdir is published"
	case http.StatusUnauthorized, http.StatusForbidden:
		return "access denied: check the user and password in imgurl, and the server's access rules and file modes"
	case http.StatusBadRequest:
		return "check imgurl; a port that speaks TLS needs https://"
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return "the server is overloaded or being serviced"
	}
	if e.code >= http.StatusInternalServerError {
		return "check the server's log"
	}
	return "check imgurl"
}
