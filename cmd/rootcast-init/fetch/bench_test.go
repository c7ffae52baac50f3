package fetch

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
)

// BenchmarkStream reads over loopback, from a server in the same process.
func BenchmarkStream(b *testing.B) {
	const size = 1 << 30
	block := make([]byte, 1<<20)
	sum := sha256.New()
	for range size / len(block) {
		_, _ = sum.Write(block)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(size))
		for range size / len(block) {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}))
	defer srv.Close()
	b.SetBytes(size)
	for b.Loop() {
		s, err := Open(b.Context(), Options{
			URLs: []string{srv.URL + "/root"}, SHA256: hex.EncodeToString(sum.Sum(nil)),
		})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, s); err != nil {
			b.Fatal(err)
		}
		_ = s.Close()
	}
}
