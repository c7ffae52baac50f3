package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A line comes every five seconds, if there is anything to say.
func TestProgress(t *testing.T) {
	for name, tt := range map[string]struct {
		total int64
		want  string
	}{
		"known":   {100 << 20, " 26 %  26.0 MiB of 100.0 MiB, 5.2 MiB/s, 14s left\n 51 %  51.0 MiB of 100.0 MiB, 5.1 MiB/s, 10s left\n"},
		"unknown": {0, "26.0 MiB, 5.2 MiB/s\n51.0 MiB, 5.1 MiB/s\n"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFailing("")
				r := counting{slow{}, &progress{log: f.log, total: tt.total}}
				b := make([]byte, 1<<20)
				for range 52 { // 5 MiB a second
					if _, err := io.ReadFull(r, b); err != nil {
						t.Fatal(err)
					}
				}
				if d := cmp.Diff(tt.want, f.said()); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
			})
		})
	}
}

// slow gives 5 MiB a second.
type slow struct{}

func (slow) Read(b []byte) (int, error) {
	time.Sleep(200 * time.Millisecond)
	return len(b), nil
}

// The end of what is read is handed on, and counted no more.
func TestProgressEnd(t *testing.T) {
	f := newFailing("")
	p := &progress{log: f.log}
	broken := errors.New("connection reset")
	_, err := io.ReadAll(counting{io.MultiReader(strings.NewReader("content"), iotest.ErrReader(broken)), p})
	if !errors.Is(err, broken) || p.done != 7 || f.said() != "" {
		t.Errorf("%d bytes, error %v, said %q", p.done, err, f.said())
	}
}

func TestTooSmall(t *testing.T) {
	total, err := memTotal()
	if err != nil || total < 64<<20 {
		t.Fatalf("the machine has %d bytes of memory, error %v", total, err)
	}
	for peak, fits := range map[int64]bool{0: true, -1: true, 1: true, total: true, total + total/8: true, total + total/8 + 1: false, 1 << 60: false} {
		err := tooSmall(peak)
		if (err == nil) != fits {
			t.Errorf("%d bytes of %d: error %v", peak, total, err)
		}
		if err != nil && (!errors.Is(err, errForGood) || !strings.HasPrefix(err.Error(), "the node has "+mib(total)+" of memory, and this root needs "+mib(peak)+" while it boots: ")) {
			t.Errorf("error %v", err)
		}
	}
}

// parts makes a ramdisk's directory of files.
func parts(t *testing.T, contents map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range contents {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// left are the names in a directory.
func left(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// The parts are one stream, and each is gone once it is read.
func TestParts(t *testing.T) {
	dir := parts(t, map[string]string{"000": "first ", "001": "", "002": "second ", "010": "third"})
	p, err := openParts(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	b := make([]byte, 8)
	for _, want := range []struct {
		read string
		left []string
	}{
		{"first ", []string{"000", "001", "002", "010"}}, // its end is not known yet
		{"second ", []string{"002", "010"}},
		{"third", []string{"010"}},
	} {
		n, err := p.Read(b)
		if err != nil || string(b[:n]) != want.read {
			t.Fatalf("%q, %v", b[:n], err)
		}
		if d := cmp.Diff(want.left, left(t, dir)); d != "" {
			t.Errorf("after %q (-want +got):\n%s", want.read, d)
		}
		if freed := len(want.left) < 4; p.freed != freed {
			t.Errorf("after %q: freed %t", want.read, p.freed)
		}
	}
	for range 2 {
		if n, err := p.Read(b); n > 0 || !errors.Is(err, io.EOF) {
			t.Errorf("%d bytes behind the end, %v", n, err)
		}
	}
	if got := left(t, dir); got != nil {
		t.Errorf("left: %q", got)
	}
}

func TestPartsErrors(t *testing.T) {
	if _, err := openParts(t.TempDir()); err == nil || err.Error() != "this initrd is for a ramdisk, and there is no root in it: load all of ramdisk.img" {
		t.Errorf("no parts: %v", err)
	}
	dir := parts(t, map[string]string{"000": "first", "001": "second"})
	p, err := openParts(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := os.Remove(filepath.Join(dir, "001")); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(p); string(got) != "first" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%q, error %v", got, err)
	}
	if !p.freed {
		t.Error("what was read is not known to be gone")
	}
}
