package pack_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// A real kernel unpacks the archive, and a program in it says what it found.
func TestCPIOByKernel(t *testing.T) {
	vmlinuz := testKernel(t)
	rootfstest.Need(t, "qemu-system-x86_64")
	// What is in every kernel's own first archive (usr/default_cpio_list) comes first.
	tree := rootfstest.Tree(t, "dir dev 0755 mtime=5\nchar dev/console 0600 mtime=6 5 1\ndir root 0700 mtime=7\n"+manyLayer(150, 16<<20))
	program := listProgram(t)
	if err := tree.Put("init", rootfs.NewFile(0o755, bytes.NewReader(program), 0, int64(len(program)))); err != nil {
		t.Fatal(err)
	}
	want := list(t, tree)[1:]
	for i, line := range want {
		if line == "link sym2 sym" { // the kernel links no symlinks
			want[i] = `symlink sym2 "to \n there"`
		}
	}
	for _, codec := range codecs {
		if testing.Short() && codec != pack.Zstd {
			continue
		}
		t.Run(string(codec), func(t *testing.T) {
			b, info := pax(t, tree, pack.Options{Codec: codec, Level: level(codec)})
			if len(info.Segments) < 3 {
				t.Fatalf("%d segments show nothing", len(info.Segments))
			}
			console := boot(t, vmlinuz, b)
			_, listing, _ := strings.Cut(console, "\nBEGIN\n")
			listing, _, ok := strings.Cut(listing, "\nEND\n")
			if !ok {
				t.Fatalf("no listing on the console:\n%s", console)
			}
			if d := cmp.Diff(want, strings.Split(listing, "\n")[1:]); d != "" {
				t.Errorf("(-tree +kernel):\n%s", d)
			}
		})
	}
}

// testKernel is ROOTCAST_TEST_KERNEL, or the one that the set-up has put into
// the repository's cache.
func testKernel(t *testing.T) string {
	t.Helper()
	file := os.Getenv("ROOTCAST_TEST_KERNEL")
	if file == "" {
		file = filepath.Join("..", "..", ".cache", "kernels", "vmlinuz-amd64")
	}
	if _, err := os.Stat(file); err != nil {
		rootfstest.Skip(t, fmt.Sprintf("no kernel to boot (%v): hack/kernel.sh fetches one, ROOTCAST_TEST_KERNEL may name one", err))
	}
	return file
}

// listProgram builds testdata/list for the machine.
func listProgram(t *testing.T) []byte {
	t.Helper()
	rootfstest.Need(t, "go")
	file := filepath.Join(t.TempDir(), "init")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", file, "./testdata/list")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=amd64", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the first program: %v\n%s", err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// boot runs the kernel with the archive until it turns the machine off, and
// returns what was on the console.
func boot(t *testing.T, vmlinuz string, archive []byte) string {
	t.Helper()
	initrd := filepath.Join(t.TempDir(), "initrd")
	if err := os.WriteFile(initrd, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(
		ctx, "qemu-system-x86_64", "-accel", "tcg", "-m", "512", "-nographic", "-no-reboot", "-nodefaults", "-serial", "stdio",
		"-kernel", vmlinuz, "-initrd", initrd, "-append", "console=ttyS0 quiet loglevel=0 panic=-1 rdinit=/init",
	)
	cmd.WaitDelay = time.Second
	var console bytes.Buffer
	cmd.Stdout, cmd.Stderr = &console, &console
	if err := cmd.Run(); err != nil {
		t.Fatalf("running QEMU: %v\n%s", err, console.String())
	}
	return strings.ReplaceAll(console.String(), "\r\n", "\n")
}
