package kmod

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/rootcast/rootcast/convert/initrd/unxz"
)

// maxModule is the largest module that is decompressed, in bytes.
const maxModule = 256 << 20

// Decompress returns the plain bytes of a file that is compressed as its name's
// ending says: .gz, .xz or .zst (scripts/Makefile.modinst). Under any other name it
// returns data itself. More than 256 MiB are refused.
func Decompress(name string, data []byte) ([]byte, error) {
	plain, err := decompress(name, data)
	if err != nil {
		return nil, fmt.Errorf("decompressing %s: %w", name, err)
	}
	return plain, nil
}

func decompress(name string, data []byte) ([]byte, error) {
	switch {
	case strings.HasSuffix(name, ".gz"):
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		return readAll(r)
	case strings.HasSuffix(name, ".xz"):
		return unpackXZ(data)
	case strings.HasSuffix(name, ".zst"):
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxModule))
		if err != nil {
			return nil, err
		}
		defer d.Close()
		if len(data) == 0 { // which the library takes for the end of no frame at all
			return nil, io.ErrUnexpectedEOF
		}
		return d.DecodeAll(data, nil)
	}
	return data, nil
}

// unpackXZ takes the quick way where that knows the file's form.
func unpackXZ(data []byte) ([]byte, error) {
	plain, err := unxz.Decode(data, maxModule)
	if !errors.Is(err, unxz.ErrUnsupported) {
		return plain, err
	}
	r, err := xz.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return readAll(r)
}

func readAll(r io.Reader) ([]byte, error) {
	plain, err := io.ReadAll(io.LimitReader(r, maxModule+1))
	if err == nil && len(plain) > maxModule {
		err = fmt.Errorf("it has more than %d bytes", maxModule)
	}
	return plain, err
}
