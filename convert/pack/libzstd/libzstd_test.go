package libzstd_test

import (
	"bytes"
	"io"
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
