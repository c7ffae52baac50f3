package image

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vbatts/tar-split/tar/asm"
	"github.com/vbatts/tar-split/tar/storage"

	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

const storedLayer = `
	dir  a 0755
	file a/small 0644 "small"
	file a/empty 0644
	file a/big 0644 size=700001
	file "a/two words\nand a line" 0644 "x"
	file "a/\xff" 0644 "no UTF-8"
	link a/again a/small
	symlink l a
	file l/through 0644 "through a link of this layer"
	char null 0666 1 3`

// split makes the record of a layer's tar as containers/storage does.
func split(t *testing.T, tar io.Reader) io.Reader {
	t.Helper()
	var record bytes.Buffer
	in, err := asm.NewInputTarStream(tar, storage.NewJSONPacker(&record), storage.NewDiscardFilePutter())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		t.Fatal(err)
	}
	return &record
}

// layerDir is a layer's directory in a store.
func layerDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"a/small": "small", "a/empty": "", "a/big": string(rootfstest.Pattern(700001)), "a/two words\nand a line": "x",
		"a/\xff": "no UTF-8", "a/through": "through a link of this layer",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("a", filepath.Join(dir, "l")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestStoredTarIsTheTar(t *testing.T) {
	t.Parallel()
	var want bytes.Buffer
	if _, err := rootfstest.Tar(t, storedLayer).WriteTo(&want); err != nil {
		t.Fatal(err)
	}
	tar, err := openStoredTar(t.Context(), layerDir(t), split(t, bytes.NewReader(want.Bytes())))
	if err != nil {
		t.Fatal(err)
	}
	defer tar.Close()
	got, err := io.ReadAll(io.NewSectionReader(tar, 0, tar.size))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Fatalf("%d bytes that differ from the %d of the tar", len(got), want.Len())
	}
	rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test's choice of offsets
	for range 500 {
		off := rnd.IntN(want.Len())
		buf := make([]byte, rnd.IntN(9000))
		n, err := tar.ReadAt(buf, int64(off))
		end := min(off+len(buf), want.Len())
		if !bytes.Equal(buf[:n], want.Bytes()[off:end]) || (n < len(buf)) != errors.Is(err, io.EOF) {
			t.Fatalf("%d bytes at %d: got %d, %v", len(buf), off, n, err)
		}
	}
}

func TestStoredTarErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		damage func(t *testing.T, dir string) error
		want   string
	}{
		{"a file is gone", func(_ *testing.T, dir string) error { return os.Remove(filepath.Join(dir, "a/big")) }, `opening "a/big" in the store`},
		{"a file is short", func(_ *testing.T, dir string) error { return os.Truncate(filepath.Join(dir, "a/big"), 5) }, "which should have 700001 bytes"},
		{"a link leads out of the layer", func(t *testing.T, dir string) error {
			outside := t.TempDir()
			if err := os.WriteFile(filepath.Join(outside, "through"), []byte("through a link of this layer"), 0o600); err != nil {
				return err
			}
			return errors.Join(os.Remove(filepath.Join(dir, "l")), os.Symlink(outside, filepath.Join(dir, "l")))
		}, `opening "l/through" in the store`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := layerDir(t)
			if err := tc.damage(t, dir); err != nil {
				t.Fatal(err)
			}
			tar, err := openStoredTar(t.Context(), dir, split(t, rootfstest.Tar(t, storedLayer)))
			if err != nil {
				t.Fatal(err)
			}
			defer tar.Close()
			_, err = io.Copy(io.Discard, io.NewSectionReader(tar, 0, tar.size))
			if err == nil || errors.Is(err, io.EOF) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func TestStoredTarRecordErrors(t *testing.T) {
	t.Parallel()
	for _, record := range []string{"{", `{"type": 2, "payload": "!"}`} {
		if _, err := openStoredTar(t.Context(), t.TempDir(), strings.NewReader(record)); err == nil {
			t.Errorf("record %q was taken", record)
		}
	}
	if _, err := openStoredTar(t.Context(), filepath.Join(t.TempDir(), "none"), strings.NewReader("")); !os.IsNotExist(err) {
		t.Errorf("a missing directory: %v", err)
	}
}
