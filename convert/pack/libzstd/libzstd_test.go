package libzstd_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/rootcast/rootcast/convert/pack/libzstd"
)

// TestEncode reads each frame back with another implementation.
func TestEncode(t *testing.T) {
	t.Parallel()
	text := []byte(strings.Repeat("All work and no play. ", 200_000))
	for _, tc := range []struct {
		name       string
		parameters []libzstd.Parameter
		plain      []byte
	}{
		{"the default level", nil, text},
		{"nothing", []libzstd.Parameter{libzstd.Level(3)}, nil},
		{"a byte", []libzstd.Parameter{libzstd.Level(1)}, []byte("x")},
		{"a high level", []libzstd.Parameter{libzstd.Level(19)}, text[:100_000]},
		{"small tables", []libzstd.Parameter{libzstd.Level(3), libzstd.HashLog(17), libzstd.ChainLog(14), libzstd.BlockSplitter(1)}, text},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e, err := libzstd.New(tc.parameters...)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			for range 2 { // an encoder can be used again
				frame, err := e.Encode([]byte("before"), tc.plain)
				if err != nil {
					t.Fatal(err)
				}
				frame, ok := bytes.CutPrefix(frame, []byte("before"))
				if !ok {
					t.Error("what was in dst is lost")
				}
				if len(frame) > len(tc.plain)+100 {
					t.Errorf("%d bytes became %d", len(tc.plain), len(frame))
				}
				d, err := zstd.NewReader(bytes.NewReader(frame))
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(d)
				d.Close()
				if err != nil || !bytes.Equal(got, tc.plain) {
					t.Errorf("reading it back: %v; same: %t", err, bytes.Equal(got, tc.plain))
				}
			}
		})
	}
}

func TestNewErrors(t *testing.T) {
	t.Parallel()
	_, err := libzstd.New(libzstd.HashLog(99))
	if want := "parameter 102 of libzstd set to 99: Parameter is out of bound"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestStream makes the same frame by any number of threads and pieces, also after
// a stream that failed.
func TestStream(t *testing.T) {
	t.Parallel()
	plain := rand.NewChaCha8([32]byte{})
	text := make([]byte, 20<<20) // several jobs
	for i := range text {
		text[i] = "abcdefgh"[plain.Uint64()%8]
	}
	e, err := libzstd.New(libzstd.Level(3), libzstd.HashLog(17), libzstd.ChainLog(14))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	errFull := errors.New("disk full")
	broken, err := e.Stream(writerFunc(func([]byte) (int, error) { return 0, errFull }), 2)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 { // until the first bytes come out
		if _, err = broken.Write(text); err != nil {
			break
		}
	}
	if err := errors.Join(err, broken.Close()); !errors.Is(err, errFull) {
		t.Errorf("writing to a full disk: %v", err)
	}
	var first []byte
	for _, tc := range []struct{ threads, piece int }{{1, 1 << 20}, {1, 99_999}, {2, 1 << 20}, {4, len(text)}} {
		var b bytes.Buffer
		s, err := e.Stream(&b, tc.threads)
		if err != nil {
			t.Fatal(err)
		}
		for piece := range slices.Chunk(text, tc.piece) {
			if n, err := s.Write(piece); err != nil || n != len(piece) {
				t.Fatalf("wrote %d of %d bytes: %v", n, len(piece), err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = b.Bytes()
			d, err := zstd.NewReader(bytes.NewReader(first))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(d)
			d.Close()
			if err != nil || !bytes.Equal(got, text) {
				t.Errorf("reading it back: %v; same: %t", err, bytes.Equal(got, text))
			}
		}
		if !bytes.Equal(b.Bytes(), first) {
			t.Errorf("%d threads, pieces of %d bytes: other bytes, %d instead of %d", tc.threads, tc.piece, b.Len(), len(first))
		}
	}
	frame, err := e.Encode(nil, text[:1000]) // by one thread again
	if err != nil || len(frame) == 0 {
		t.Errorf("after streams: %d bytes, %v", len(frame), err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
