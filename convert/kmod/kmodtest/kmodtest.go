// Package kmodtest compresses files for tests as distributions compress a
// kernel's modules and firmware.
package kmodtest

import (
	"bytes"
	"io"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// Pack compresses as a file's ending says: .gz, .xz, .zst, or .sha256.xz for an xz
// file with a check that only the slower of two decoders knows. Under any other
// ending it returns plain itself.
func Pack(t testing.TB, ending string, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch ending {
	case ".gz":
		w = gzip.NewWriter(&b)
	case ".xz":
		w, err = xz.WriterConfig{CheckSum: xz.CRC32, DictCap: 1 << 20}.NewWriter(&b)
	case ".sha256.xz":
		w, err = xz.WriterConfig{CheckSum: xz.SHA256, DictCap: 1 << 20}.NewWriter(&b)
	case ".zst":
		w, err = zstd.NewWriter(&b)
	default:
		return plain
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
