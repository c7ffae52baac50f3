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

// sizes of writes, which are 7 MiB and a little together: blocks on their way, units of a disk, and some bytes.
var sizes = []int{0, 1, 100, 64<<10 - 1, 64 << 10, 1, 3, 300 << 10, 70 << 10, 5, 5 << 20, 1 << 20}

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

// Files end anywhere: with a block, with a unit of the disk, and with neither.
func TestOutputOfAnySize(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 4095, 4096, 4097, 2 << 20, 2<<20 + 4096, 6 << 20, 6<<20 + 8192 + 1} {
		out := newOutput(t)
		content := bytes.Repeat([]byte("0123456"), size/7+1)[:size]
		if _, err := out.Write(content); err != nil {
			t.Fatal(err)
		}
		file, err := out.Finish(t.Context())
		if sum := sha256.Sum256(content); err != nil || file.Size != int64(size) || file.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("%d bytes: got %+v, %v", size, file, err)
		}
		if _, err := out.Finish(t.Context()); err == nil {
			t.Errorf("%d bytes: the file is finished twice", size)
		}
	}
}

// A file that is longer than what was written is not what was written.
func TestOutputHasItsSize(t *testing.T) {
	t.Parallel()
	out, path, content := outputOf(t)
	if err := os.Truncate(path, int64(len(content))+1); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Finish(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "writing ramdisk.img: ") || !strings.Contains(err.Error(), "were written") {
		t.Errorf("got error %v, want one with both sizes", err)
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
