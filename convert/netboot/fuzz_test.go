package netboot

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func FuzzHistory(f *testing.F) {
	f.Add("0123456789abcdef 2026-01-02T03:04:05Z 2026-02-02T03:04:05Z\n")
	f.Add("../x 2026-01-02T03:04:05Z 2026-02-02T03:04:05Z\na b c\na 2026-01-02T03:04:05+01:00 2026-02-02T03:04:05Z")
	f.Add("a 0000-01-01T00:00:00+01:00 0000-01-01T00:00:00Z\nb 2026-01-02T03:04:05Z 9999-12-31T23:59:59-01:00")
	f.Fuzz(func(t *testing.T, text string) {
		list := decodeHistory(strings.NewReader(text))
		seen := map[string]bool{}
		for _, u := range list {
			if seen[u.id] || strings.Contains(u.id, "/") || strings.HasPrefix(u.id, ".") {
				t.Errorf("accepted %q in %q", u.id, text)
			}
			seen[u.id] = true
		}
		once := encodeHistory(list)
		if diff := cmp.Diff(string(once), string(encodeHistory(decodeHistory(bytes.NewReader(once))))); diff != "" {
			t.Errorf("written and read again (-want +got):\n%s", diff)
		}
	})
}

func FuzzHolder(f *testing.F) {
	f.Add(`{"pid": 12, "host": "mn1", "since": "2026-01-02T03:04:05Z"}`)
	f.Add(`{"pid": 1, "doing": "\u001b"}`)
	f.Fuzz(func(t *testing.T, text string) {
		h, ok := decodeHolder(strings.NewReader(text))
		if ok && strings.ContainsAny(h.String(), "\n\r\x1b\x00") {
			t.Errorf("%q is said as %q", text, h)
		}
	})
}
