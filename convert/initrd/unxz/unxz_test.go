package unxz_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"github.com/rootcast/rootcast/convert/initrd/unxz"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

const limit = 64 << 20

// samples are contents of every kind: a program has matches near and far, noise is
// stored, and what repeats itself has matches that overlap what they copy.
func samples(t testing.TB) map[string][]byte {
	t.Helper()
	file, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 300<<10)
	r := rand.NewChaCha8([32]byte{1})
	if _, err := r.Read(noise); err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"empty":   {},
		"a byte":  {'x'},
		"text":    []byte(strings.Repeat("kernel/drivers/net/virtio_net.ko: kernel/drivers/net/net_failover.ko\n", 5000)),
		"zeros":   make([]byte, 3<<20),
		"noise":   noise,
		"mixed":   bytes.Join([][]byte{noise[:70000], program[:100000], noise[70000:], make([]byte, 1000), program[50000:200000]}, nil),
		"program": program[:min(len(program), 6<<20)],
	}
}

// What xz(1) makes comes back, whatever its options.
func TestDecodeWhatXZMakes(t *testing.T) {
	t.Parallel()
	rootfstest.Need(t, "xz")
	for name, want := range samples(t) {
		for _, options := range []string{
			"-6", "-0", "-9e", "--check=crc32 --lzma2=dict=1MiB", "--check=none", "--lzma2=lc=0,lp=4,pb=0", "--lzma2=lc=4,lp=0,pb=4,nice=8,mode=fast",
			"--block-size=100000", "-T2 --block-size=65536",
		} {
			packed := xzOf(t, want, options)
			got, err := unxz.Decode(packed, limit)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s by xz %s: %d bytes of %d, error %v", name, options, len(got), len(want), err)
			}
		}
	}
}

func xzOf(t testing.TB, content []byte, options string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "xz", append(strings.Fields(options), "-c")...)
	cmd.Stdin = bytes.NewReader(content)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("xz %s: %v", options, err)
	}
	return out
}

func xzByLibrary(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := xz.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDecodeWhatTheLibraryMakes(t *testing.T) {
	t.Parallel()
	for name, want := range samples(t) {
		got, err := unxz.Decode(xzByLibrary(t, want), limit)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes of %d, error %v", name, len(got), len(want), err)
		}
	}
}

// What another decoder may read is told from what none does.
func TestUnsupported(t *testing.T) {
	t.Parallel()
	rootfstest.Need(t, "xz")
	text := samples(t)["text"]
	one := xzOf(t, text, "-6")
	for name, data := range map[string][]byte{
		"two streams": append(bytes.Clone(one), one...),
		"padding":     append(bytes.Clone(one), 0, 0, 0, 0),
		"SHA-256":     xzOf(t, text, "--check=sha256"),
		"x86 filter":  xzOf(t, text, "--x86 --lzma2"),
		"gzip":        []byte("\x1f\x8b\x08" + strings.Repeat("\x00", 61)),
		"nothing":     nil,
	} {
		if _, err := unxz.Decode(data, limit); !errors.Is(err, unxz.ErrUnsupported) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	packed := xzByLibrary(t, make([]byte, 1000))
	if _, err := unxz.Decode(packed, 999); err == nil || !strings.Contains(err.Error(), "999 bytes") {
		t.Errorf("error %v", err)
	}
	if _, err := unxz.Decode(packed, 1000); err != nil {
		t.Error(err)
	}
}

// No damage passes: each byte but for padding is under a checksum.
func TestDamage(t *testing.T) {
	t.Parallel()
	want := samples(t)["mixed"][:90000]
	packed := xzByLibrary(t, want)
	for i := 0; i < len(packed); i += 1 + i/50 {
		bad := bytes.Clone(packed)
		bad[i] ^= 0x55
		if got, err := unxz.Decode(bad, limit); err == nil && !bytes.Equal(got, want) {
			t.Errorf("byte %d changed: decoded to something else", i)
		}
		if _, err := unxz.Decode(packed[:i], limit); err == nil {
			t.Errorf("cut at %d: no error", i)
		}
	}
}

// FuzzDecode compares with the library, and looks for a crash.
func FuzzDecode(f *testing.F) {
	for _, content := range samples(f) {
		f.Add(xzByLibrary(f, content[:min(len(content), 3000)]), uint32(30), byte(1))
	}
	f.Fuzz(func(t *testing.T, data []byte, at uint32, change byte) {
		if len(data) > 0 {
			data = bytes.Clone(data)
			data[int(at)%len(data)] ^= change
		}
		got, err := unxz.Decode(data, 1<<20)
		if err != nil {
			return
		}
		var b bytes.Buffer
		r, err := xz.NewReader(bytes.NewReader(data))
		if err == nil {
			_, err = b.ReadFrom(r)
		}
		if err != nil || !bytes.Equal(b.Bytes(), got) {
			t.Errorf("%d bytes; the library has %d, error %v", len(got), b.Len(), err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	want := samples(b)["program"]
	packed := xzByLibrary(b, want)
	b.SetBytes(int64(len(want)))
	b.Run("unxz", func(b *testing.B) {
		b.SetBytes(int64(len(want)))
		for b.Loop() {
			if _, err := unxz.Decode(packed, limit); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		b.SetBytes(int64(len(want)))
		for b.Loop() {
			r, err := xz.NewReader(bytes.NewReader(packed))
			if err != nil {
				b.Fatal(err)
			}
			var out bytes.Buffer
			if _, err := out.ReadFrom(r); err != nil {
				b.Fatal(err)
			}
		}
	})
}
