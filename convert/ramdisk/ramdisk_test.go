package ramdisk

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/rootcast/rootcast/convert/node"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

func content(size int) []byte {
	b := make([]byte, size)
	for i, r := 0, rand.New(rand.NewPCG(1, 2)); i < size; i++ { //nolint:gosec // not a secret
		b[i] = byte(r.Uint32())
	}
	return b
}

func pack(t *testing.T, data []byte, piece int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out)
	for p := range slices.Chunk(data, piece) {
		if n, err := w.Write(p); n != len(p) || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestReadBack(t *testing.T) {
	for _, size := range []int{0, 1, 5, memberSize - 1, memberSize, memberSize + 3, 2*memberSize + 1} {
		data := content(size)
		packed := pack(t, data, 1<<20)
		if again := pack(t, data, 333_333); !bytes.Equal(packed, again) {
			t.Errorf("%d bytes: how they are handed over changes the ramdisk", size)
		}
		got, err := io.ReadAll(iotest.HalfReader(NewReader(bytes.NewReader(packed))))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes: read back %d, %v", size, len(got), err)
		}
	}
}

// GNU cpio finds the members that a kernel would.
func TestGNUCPIO(t *testing.T) {
	rootfstest.Need(t, "cpio")
	data, dir := content(memberSize+9), t.TempDir()
	cmd := exec.CommandContext(t.Context(), "cpio", "-idm", "--quiet")
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(pack(t, data, 1<<20))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	names, err := filepath.Glob(filepath.Join(dir, node.RootDir, "*"))
	if err != nil || len(names) != 2 {
		t.Fatal(names, err)
	}
	var got []byte
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b...)
	}
	if !bytes.Equal(got, data) {
		t.Error("the members do not make up the root")
	}
}

func TestDamaged(t *testing.T) {
	packed := pack(t, content(memberSize+9), 1<<20)
	cut := packed[:len(packed)-200]
	if _, err := io.ReadAll(NewReader(bytes.NewReader(cut))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a ramdisk that ends in a member: %v", err)
	}
	renamed := bytes.Replace(packed, []byte("/00000001"), []byte("/00000002"), 1)
	if _, err := io.ReadAll(NewReader(bytes.NewReader(renamed))); err == nil {
		t.Error("a ramdisk without its second member was read")
	}
}

func TestFullDisk(t *testing.T) {
	w := NewWriter(fullWriter{})
	_, err := w.Write(content(memberSize))
	if err == nil {
		t.Error("no error")
	}
	if err := w.Close(); err == nil {
		t.Error("no error at the end")
	}
}

type fullWriter struct{}

func (fullWriter) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func FuzzReader(f *testing.F) {
	var out bytes.Buffer
	w := NewWriter(&out)
	w.Write([]byte("root")) //nolint:errcheck // into memory
	w.Close()               //nolint:errcheck // into memory
	f.Add(out.Bytes())
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = io.Copy(io.Discard, NewReader(bytes.NewReader(data)))
	})
}
