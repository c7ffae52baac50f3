package netboot_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rootcast/rootcast/convert/netboot"
)

// sizes of writes: below, at and above what is hashed side by side, and a block that small ones join into.
var sizes = []int{0, 1, 100, 64<<10 - 1, 64 << 10, 1, 3, 300 << 10, 70 << 10, 5, 1 << 20}

// outputOf writes one file of a new version and returns it with where it lies.
func outputOf(t *testing.T) (out *netboot.Output, path string, content []byte) {
	t.Helper()
	dir := t.TempDir()
	s, err := netboot.Begin(t.Context(), dir, netboot.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Abort(); err != nil {
			t.Error(err)
		}
	})
	if out, err = s.Create("ramdisk.img"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := out.Close(); err != nil {
			t.Error(err)
		}
	})
	for i, size := range sizes {
		p := bytes.Repeat([]byte{byte(i + 1)}, size)
		if n, err := out.Write(p); n != size || err != nil {
			t.Fatalf("wrote %d of %d: %v", n, size, err)
		}
		content = append(content, p...)
	}
	found, err := filepath.Glob(filepath.Join(dir, "versions", ".tmp-*", "ramdisk.img"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the file is %v, %v", found, err)
	}
	return out, found[0], content
}

func TestOutput(t *testing.T) {
	t.Parallel()
	out, path, content := outputOf(t)
	file, err := out.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	if file.Size != int64(len(content)) || file.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("got %d bytes with %s, want %d with %x", file.Size, file.SHA256, len(content), sum)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes on disk of %d, %v", len(got), len(content), err)
	}
}

// What a disk makes of the bytes is found out before they are published.
func TestOutputIsReadBack(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spoil func(f *os.File, size int64) error
		want  string
	}{
		"the first byte":  {func(f *os.File, _ int64) error { _, err := f.WriteAt([]byte{99}, 0); return err }, "its bytes from 0 on, read back, are not those that were written"},
		"the last byte":   {func(f *os.File, n int64) error { _, err := f.WriteAt([]byte{99}, n-1); return err }, "read back, are not those"},
		"between writes":  {func(f *os.File, _ int64) error { _, err := f.WriteAt([]byte{99}, 64<<10+99); return err }, "read back, are not those"},
		"cut off":         {func(f *os.File, n int64) error { return f.Truncate(n - 1) }, "were written"},
		"longer":          {func(f *os.File, n int64) error { return f.Truncate(n + 1) }, "were written"},
		"a hole in place": {func(f *os.File, n int64) error { return cutAndGrow(f, n) }, "read back, are not those"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, path, content := outputOf(t)
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := tt.spoil(f, int64(len(content))); err != nil {
				t.Fatal(err)
			}
			if _, err := out.Finish(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "writing ramdisk.img: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// Who does not want the file any more need not wait until it was read back.
func TestOutputEndsWithItsContext(t *testing.T) {
	t.Parallel()
	out, _, _ := outputOf(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := out.Finish(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want that it was canceled", err)
	}
}

func cutAndGrow(f *os.File, n int64) error {
	if err := f.Truncate(n / 2); err != nil {
		return err
	}
	return f.Truncate(n)
}
