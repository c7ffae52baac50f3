package unpack

import (
	"archive/tar"
	"bytes"
	"io"
	"testing"

	"github.com/rootcast/rootcast/convert/cpio"
)

// FuzzWalk reads what may be an archive: it ends, and a body is as long as its
// entry says, or an error.
func FuzzWalk(f *testing.F) {
	h := cpio.Header{Name: "a", Mode: 0o100644, Links: 2, Ino: 1, Size: 4}
	b, err := h.Append(nil)
	if err != nil {
		f.Fatal(err)
	}
	b = append(b, "body"...)
	f.Add(false, cpio.AppendTrailer(b))
	f.Add(false, b[:len(b)-2])
	var t bytes.Buffer
	w := tar.NewWriter(&t)
	for _, h := range []*tar.Header{
		{Typeflag: tar.TypeReg, Name: "./a", Size: 4, PAXRecords: map[string]string{"SCHILY.xattr.user.a": "b"}},
		{Typeflag: tar.TypeLink, Name: "b", Linkname: "a"},
	} {
		if err := w.WriteHeader(h); err != nil {
			f.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(w, "body"); err != nil {
				f.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(true, t.Bytes())
	f.Add(true, t.Bytes()[:700])
	f.Fuzz(func(t *testing.T, isTar bool, data []byte) {
		walk := walkCPIO
		if isTar {
			walk = walkTar
		}
		_ = walk(bytes.NewReader(data), func(e *Entry) error { //nolint:errcheck // most of it is no archive
			if e.Body == nil {
				return nil
			}
			n, err := io.Copy(io.Discard, e.Body)
			if err == nil && n != e.Size {
				t.Errorf("%q has %d bytes of %d", e.Name, n, e.Size)
			}
			return err
		})
	})
}
