package qemu

import (
	"bytes"
	"context"
	"debug/elf"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rootcast/rootcast/convert/cpio"
)

// kernel is the path of an amd64 kernel to boot: any distribution's will do.
func kernel(t *testing.T) string {
	t.Helper()
	path := os.Getenv("ROOTCAST_TEST_KERNEL")
	if path == "" {
		path = filepath.Join("..", "..", ".cache", "kernels", "vmlinuz-amd64")
	}
	if _, err := os.Stat(path); err != nil {
		unmet(t, "no kernel to boot (%v); ROOTCAST_TEST_KERNEL may name an amd64 one", err)
	}
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		unmet(t, "no QEMU: %v", err)
	}
	return path
}

// ramdisk packs testdata/init as the only program of a ramdisk.
func ramdisk(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "init")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./testdata/init")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the node's init: %v\n%s", err, out)
	}
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := elf.NewFile(bytes.NewReader(data)); err != nil || f.Machine != elf.EM_X86_64 {
		t.Fatalf("the node's init is no amd64 program: %v", err)
	}
	var archive []byte
	for _, entry := range []struct {
		header cpio.Header
		data   []byte
	}{
		{cpio.Header{Name: "dev", Mode: 0o040755, Links: 2}, nil},
		{cpio.Header{Name: "dev/console", Mode: 0o020600, Links: 1, Major: 5, Minor: 1}, nil},
		{cpio.Header{Name: "proc", Mode: 0o040755, Links: 2}, nil},
		{cpio.Header{Name: "init", Mode: 0o100755, Links: 1, Size: int64(len(data))}, data},
	} {
		if archive, err = entry.header.Append(archive); err != nil {
			t.Fatal(err)
		}
		archive = append(archive, entry.data...)
		archive = append(archive, make([]byte, -len(entry.data)&3)...)
	}
	archive = cpio.AppendTrailer(archive)
	// QEMU takes a comma in these paths as it stands; Linux loads it all the same.
	path := filepath.Join(t.TempDir(), "ram,disk.img")
	if err := os.WriteFile(path, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestBoot boots a real kernel by software emulation, which any host can, and
// talks to the program that it runs.
func TestBoot(t *testing.T) {
	m := Machine{Arch: "amd64", Kernel: kernel(t), Initrd: ramdisk(t), CommandLine: `console=ttyS0 console=tty0 greeting="hello node"`, Memory: 512, CPUs: 2}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	s, err := Start(ctx, m, Options{Output: testWriter{t}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	talk(ctx, t, s, []step{
		{"Linux version", ""},
		{`init was given "console=tty0 greeting=\"hello node\" console=ttyS0" (<nil>)`, ""},
		{"node ready\n> ", "who is there\n"},
		{"you typed \"who is there\"\n> ", "poweroff\n"},
		{"Power down", ""},
	})
	if err := s.Wait(ctx); err != nil {
		t.Errorf("after its power-off the machine ended with %v", err)
	}
}

// TestBootPanics lets the only program end, which a kernel does not survive.
func TestBootPanics(t *testing.T) {
	m := Machine{Arch: "amd64", Kernel: kernel(t), Initrd: ramdisk(t), Memory: 512}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	s, err := Start(ctx, m, Options{Output: testWriter{t}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	talk(ctx, t, s, []step{{"node ready\n> ", "panic\n"}})
	err = s.Expect(ctx, "never printed")
	const want = `waiting for "never printed" on the console: the kernel panicked: Attempted to kill init! exitcode=0x00000100`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

type step struct{ expect, send string }

func talk(ctx context.Context, t *testing.T, s *Session, steps []step) {
	t.Helper()
	for _, st := range steps {
		if err := s.Expect(ctx, st.expect); err != nil {
			t.Fatal(err)
		}
		if err := s.Send(st.send); err != nil {
			t.Fatal(err)
		}
	}
}

// testWriter shows a console in the test's log.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	if testing.Verbose() {
		_, err := io.Writer(os.Stderr).Write(p)
		return len(p), err
	}
	return len(p), nil
}
