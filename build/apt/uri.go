package apt

import (
	"net/url"
	"strings"
)

// Redact returns uri without the name and password that it may hold.
func Redact(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		// Not for Go to parse; what stands before an @ of the host part goes.
		scheme, rest, ok := strings.Cut(uri, "://")
		if !ok {
			return uri
		}
		host, tail, slash := strings.Cut(rest, "/")
		if i := strings.LastIndex(host, "@"); i >= 0 {
			host = host[i+1:]
		}
		if slash {
			host += "/" + tail
		}
		return scheme + "://" + host
	}
	u.User = nil
	return u.String()
}
