package rootfstest

import (
	"archive/tar"
	"fmt"
	"io"
	"os"
	"time"
)

// WriteHuge writes a layer's tar whose last file has so many bytes, all of them
// a hole of f.
func WriteHuge(f *os.File, name string, size int64, layer string) error {
	entries, err := Parse(layer)
	if err != nil {
		return err
	}
	tw := tar.NewWriter(f)
	for _, e := range entries {
		if err := tw.WriteHeader(e.header()); err != nil {
			return fmt.Errorf("writing %q: %w", e.Path, err)
		}
		if _, err := io.WriteString(tw, e.Content); err != nil {
			return fmt.Errorf("writing %q: %w", e.Path, err)
		}
	}
	if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}); err != nil {
		return fmt.Errorf("writing %q: %w", name, err)
	}
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	return f.Truncate(at + (size+511)/512*512 + 1024)
}
