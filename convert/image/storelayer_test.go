package image

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/vbatts/tar-split/tar/asm"
	"github.com/vbatts/tar-split/tar/storage"
	"golang.org/x/sys/unix"

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
func split(t testing.TB, tar io.Reader) []byte {
	t.Helper()
	var record bytes.Buffer
	in, err := asm.NewInputTarStream(tar, storage.NewJSONPacker(&record), storage.NewDiscardFilePutter())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		t.Fatal(err)
	}
	return record.Bytes()
}

// packed is a record as a store keeps it.
// memory is a record that is no file.
type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

func packed(t testing.TB, record []byte) memory {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(record); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return memory{bytes.NewReader(b.Bytes())}
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
	tar, err := openStoredTar("L", layerDir(t), packed(t, split(t, bytes.NewReader(want.Bytes()))), int64(want.Len()))
	if err != nil {
		t.Fatal(err)
	}
	defer tar.Close()
	if tar.record != nil {
		t.Error("the record is read before the tar is")
	}
	var readers sync.WaitGroup
	for range 8 { // who is first reads the record, the others wait
		readers.Go(func() {
			var head [512]byte
			if _, err := tar.ReadAt(head[:], 0); err != nil || !bytes.Equal(head[:], want.Bytes()[:512]) {
				t.Errorf("first read: %v", err)
			}
		})
	}
	readers.Wait()
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
		{"a file is gone", func(_ *testing.T, dir string) error { return os.Remove(filepath.Join(dir, "a/big")) }, `opening "a/big" of layer L in the store`},
		{"a file is short", func(_ *testing.T, dir string) error { return os.Truncate(filepath.Join(dir, "a/big"), 5) }, "which should have 700001 bytes"},
		{"a link leads out of the layer", func(t *testing.T, dir string) error {
			outside := t.TempDir()
			if err := os.WriteFile(filepath.Join(outside, "through"), []byte("through a link of this layer"), 0o600); err != nil {
				return err
			}
			return errors.Join(os.Remove(filepath.Join(dir, "l")), os.Symlink(outside, filepath.Join(dir, "l")))
		}, `opening "l/through" of layer L in the store`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := layerDir(t)
			if err := tc.damage(t, dir); err != nil {
				t.Fatal(err)
			}
			tar, err := openStoredTar("L", dir, packed(t, split(t, rootfstest.Tar(t, storedLayer))), -1)
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
	size := rootfstest.Tar(t, storedLayer).Size()
	whole := split(t, rootfstest.Tar(t, storedLayer))
	read := func(r packedRecord, size int64) error {
		tar, err := openStoredTar("L", t.TempDir(), r, size)
		if err != nil {
			return err
		}
		_, err = tar.ReadAt(make([]byte, 1), 0)
		return errors.Join(err, tar.Close())
	}
	for _, tc := range []struct {
		name, record string
		want         string
	}{
		{"no record", "{", "reading the record of its tar: "},
		{"too much", string(whole) + `{"type":2,"payload":"AAAA","position":99}`, fmt.Sprintf("the record of its tar has %d bytes, and the store says %d", size+3, size)},
		{"too little", string(whole[:bytes.LastIndexByte(whole[:len(whole)-1], '\n')+1]), fmt.Sprintf("and the store says %d", size)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if err := read(packed(t, []byte(tc.record)), size); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
	for _, r := range []string{"", "not gzip at all"} {
		for _, size := range []int64{-1, size} {
			if err := read(memory{bytes.NewReader([]byte(r))}, size); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("record %q: %v", r, err)
			}
		}
	}
	if _, err := openStoredTar("L", filepath.Join(t.TempDir(), "none"), packed(t, nil), -1); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing directory: %v", err)
	}
}

func TestStoredTarReadFileAt(t *testing.T) {
	t.Parallel()
	dir := layerDir(t)
	if err := errors.Join(os.Symlink("/etc/passwd", filepath.Join(dir, "out")), unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600)); err != nil {
		t.Fatal(err)
	}
	tar, err := openStoredTar("L", dir, packed(t, split(t, rootfstest.Tar(t, storedLayer))), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer tar.Close()
	for _, tc := range []struct{ name, want, err string }{
		{name: "a/small", want: "small"},
		{name: "/a/small", want: "small"},
		{name: "a/\xff", want: "no UTF-8"},
		{name: "l/through", want: "through a link of this layer"},
		{name: "../../../a/small", want: "small"},
		{name: "none", err: `opening "none" of layer L in the store: no such file`},
		{name: "out", err: `opening "out" of layer L in the store: too many levels`},
		{name: "l", err: `opening "l" of layer L in the store: too many levels`},
		{name: "a", err: `reading "a" of layer L in the store: is a directory`},
		{name: "fifo", err: `reading "fifo" of layer L in the store: illegal seek`},
		{name: "a/empty", err: `EOF`},
	} {
		got := make([]byte, max(len(tc.want), 1))
		_, err := tar.ReadFileAt(tc.name, got, 0)
		if tc.err != "" {
			if err == nil || !strings.HasPrefix(err.Error(), tc.err) {
				t.Errorf("%s: %v, want %s", tc.name, err, tc.err)
			}
			continue
		}
		if err != nil || string(got) != tc.want {
			t.Errorf("%s: %q, %v, want %q", tc.name, got, err, tc.want)
		}
		if n, err := tar.ReadFileAt(tc.name, got, 1); !errors.Is(err, io.EOF) || string(got[:n]) != tc.want[1:] {
			t.Errorf("%s from its second byte: %q, %v", tc.name, got[:n], err)
		}
	}
	if tar.record != nil {
		t.Error("the record was read for files")
	}
}
