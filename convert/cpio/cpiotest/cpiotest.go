// Package cpiotest reads newc archives as strictly as the kernel does
// (init/initramfs.c), for tests, and runs GNU cpio as a second opinion.
//
//	entries, rest, err := cpiotest.Parse(archive)
//	lines := cpiotest.Extract(t, archive)
//
// It is no reader for archives of others: it refuses what the kernel would take
// but no writer should write, such as bytes other than NUL in the padding.
package cpiotest

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rootcast/rootcast/convert/cpio"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// Trailer is the name of the entry that ends an archive.
const Trailer = "TRAILER!!!"

// Entry is an entry with its content.
type Entry struct {
	cpio.Header
	Body []byte
	Size int // of the entry with header and padding
}

// Parse reads entries up to and with the trailer, or to the end without one,
// and returns what is behind it.
func Parse(b []byte) (entries []Entry, rest []byte, err error) {
	for len(b) > 0 {
		e, err := entry(b)
		if err != nil {
			return entries, b, fmt.Errorf("entry %d: %w", len(entries), err)
		}
		entries, b = append(entries, e), b[e.Size:]
		if e.Name == Trailer {
			break
		}
	}
	return entries, b, nil
}

func entry(b []byte) (Entry, error) {
	const size = 110
	var e Entry
	if len(b) < size || string(b[:6]) != "070701" {
		return e, fmt.Errorf("no header: %.20q", b)
	}
	var f [13]uint32
	for i := range f {
		digits := b[6+8*i:][:8]
		v, err := strconv.ParseUint(string(digits), 16, 32)
		if err != nil || bytes.ContainsAny(digits, "+-_ ") {
			return e, fmt.Errorf("field %d: %q", i, digits)
		}
		f[i] = uint32(v)
	}
	e.Ino, e.Mode, e.UID, e.GID, e.Links, e.ModTime = f[0], f[1], f[2], f[3], f[4], f[5]
	e.Header.Size, e.DevMajor, e.DevMinor, e.Major, e.Minor = int64(f[6]), f[7], f[8], f[9], f[10]
	nameEnd := size + int(f[11])
	body := (nameEnd + 3) &^ 3
	end := body + int(f[6])
	e.Size = (end + 3) &^ 3
	switch {
	case f[12] != 0:
		return e, fmt.Errorf("checksum %d in an archive without", f[12])
	case f[11] == 0 || f[11] > 4096:
		return e, fmt.Errorf("a name of %d bytes", f[11])
	case e.Size > len(b):
		return e, fmt.Errorf("it has %d bytes and the archive %d", e.Size, len(b))
	}
	e.Name = string(b[size : nameEnd-1])
	e.Body = b[body:end]
	padding := append(bytes.Clone(b[nameEnd-1:body]), b[end:e.Size]...)
	if bytes.ContainsRune(b[size:nameEnd-1], 0) || len(bytes.Trim(padding, "\x00")) > 0 {
		return e, fmt.Errorf("name %q: bad NULs or padding %q", b[size:nameEnd], padding)
	}
	if e.Mode&0o170000 == 0o120000 && len(e.Body) == 0 {
		return e, errors.New("a symlink without a target")
	}
	return e, nil
}

// Extract unpacks an archive by "cpio -i", as root, and lists what came out, as
// [rootfstest.WithoutTimes] has it: GNU cpio keeps the times of other files only.
// The line of the root itself is missing: GNU cpio does not touch it.
func Extract(t testing.TB, archive []byte) []string {
	t.Helper()
	dir := t.TempDir()
	Run(t, dir, archive, "cpio", "--extract", "--make-directories", "--preserve-modification-time", "--unconditional", "--quiet")
	lines, err := rootfstest.ListDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return rootfstest.WithoutTimes(lines[1:])
}

// Run runs a program in dir with input and returns its output. What it says on
// its standard error fails the test.
func Run(t testing.TB, dir string, input []byte, program string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, bytes.NewReader(input), &stdout, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Fatalf("running %s: %v: %s", program, err, stderr.String())
	}
	return stdout.Bytes()
}
