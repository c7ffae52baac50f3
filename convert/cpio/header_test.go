package cpio_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	reader "github.com/cavaliergopher/cpio"
	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/cpio"
	"github.com/rootcast/rootcast/convert/cpio/cpiotest"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

type entry struct {
	cpio.Header
	body string
}

func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b []byte
	for _, e := range entries {
		e.Size = int64(len(e.body))
		var err error
		if b, err = e.Append(b); err != nil {
			t.Fatal(err)
		}
		b = append(b, e.body...)
		b = append(b, make([]byte, -len(e.body)&3)...)
	}
	return cpio.AppendTrailer(b)
}

func TestAppendBytes(t *testing.T) {
	got := archive(
		t,
		entry{cpio.Header{Name: "etc", Mode: 0o040755, Links: 2, ModTime: 1}, ""},
		entry{cpio.Header{Name: "a", Mode: 0o100644, UID: 1000, GID: 65534, Links: 1, ModTime: math.MaxUint32}, "hello"},
		entry{cpio.Header{Name: "dev/null", Mode: 0o020666, Links: 1, Major: 1, Minor: 3}, ""},
		entry{cpio.Header{Name: "l", Mode: 0o120777, Ino: 0xfedcba98, DevMajor: 0xabc, DevMinor: 0xdef01, Links: 3}, "etc"},
	)
	const zero = "00000000"
	want := "070701" + zero + "000041ed" + zero + zero + "00000002" + "00000001" + zero + zero + zero + zero + zero + "00000004" + zero + "etc\x00\x00\x00" +
		"070701" + zero + "000081a4" + "000003e8" + "0000fffe" + "00000001" + "ffffffff" + "00000005" + zero + zero + zero + zero + "00000002" + zero + "a\x00" + "hello\x00\x00\x00" +
		"070701" + zero + "000021b6" + zero + zero + "00000001" + zero + zero + zero + zero + "00000001" + "00000003" + "00000009" + zero + "dev/null\x00\x00" +
		"070701" + "fedcba98" + "0000a1ff" + zero + zero + "00000003" + zero + "00000003" + "00000abc" + "000def01" + zero + zero + "00000002" + zero + "l\x00" + "etc\x00" +
		"070701" + zero + zero + zero + zero + "00000001" + zero + zero + zero + zero + zero + zero + "0000000b" + zero + "TRAILER!!!\x00\x00\x00\x00"
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if cpio.TrailerSize != 124 || !strings.HasSuffix(want[:len(want)-cpio.TrailerSize], "etc\x00") {
		t.Error("TrailerSize is not the trailer's")
	}
}

// The kernel reads names and bodies at multiples of 4: all lengths must get there.
func TestAppendPadding(t *testing.T) {
	var entries []entry
	for name := range 9 {
		for body := range 9 {
			entries = append(entries, entry{
				cpio.Header{Name: fmt.Sprintf("%d-%d", name, body) + strings.Repeat("n", name), Mode: 0o100644, Links: 1},
				strings.Repeat("b", body),
			})
		}
	}
	check(t, archive(t, entries...), entries)
}

// check reads the archive back by two readers.
func check(t testing.TB, b []byte, want []entry) {
	t.Helper()
	got, rest, err := cpiotest.Parse(b)
	if err != nil || len(rest) > 0 || len(got) != len(want)+1 || got[len(want)].Name != cpiotest.Trailer {
		t.Fatalf("%d entries, %d bytes behind, %v", len(got), len(rest), err)
	}
	r := reader.NewReader(bytes.NewReader(b))
	for i, e := range want {
		e.Size = int64(len(e.body))
		if d := cmp.Diff(e.Header, got[i].Header); d != "" {
			t.Errorf("entry %d (-want +got):\n%s", i, d)
		}
		h, err := r.Next()
		if err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		body, err := io.ReadAll(r)
		if h.Linkname != "" {
			body = []byte(h.Linkname)
		}
		if err != nil || string(body) != e.body || string(got[i].Body) != e.body {
			t.Errorf("entry %d: bodies %.50q and %.50q, want %.50q, %v", i, body, got[i].Body, e.body, err)
		}
		second := cpio.Header{
			Name: h.Name, Mode: uint32(h.Mode), UID: uint32(h.Uid), GID: uint32(h.Guid), ModTime: uint32(h.ModTime.Unix()), Size: int64(len(body)), //nolint:gosec // 32 bits
			Ino: uint32(h.Inode), Links: uint32(h.Links), DevMajor: e.DevMajor, DevMinor: e.DevMinor, Major: e.Major, Minor: e.Minor, //nolint:gosec // 32 bits
		}
		if d := cmp.Diff(e.Header, second); d != "" {
			t.Errorf("entry %d by the other reader (-want +got):\n%s", i, d)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("behind the last entry: %v", err)
	}
}

func TestAppendLargestNumbers(t *testing.T) {
	const most = math.MaxUint32
	entries := []entry{
		{cpio.Header{Name: strings.Repeat(strings.Repeat("n", 254)+"/", 16) + strings.Repeat("x", 15), Mode: 0o107777, UID: most, GID: most, ModTime: most, Links: most, Ino: most, DevMajor: most, DevMinor: most}, "x"},
		{cpio.Header{Name: "s", Mode: 0o120777, Links: 1}, strings.Repeat("t", 4095)},
		{cpio.Header{Name: "c", Mode: 0o020000, Links: 1, Major: most, Minor: most}, ""},
		{cpio.Header{Name: "odd \n\t\xff\xfe name ", Mode: 0o100000, Links: 1}, "x"},
		{cpio.Header{Name: strings.Repeat("c", 255), Mode: 0o010000, Links: 1}, ""},
	}
	if n := len(entries[0].Name); n != 4095 {
		t.Fatalf("the name has %d bytes", n)
	}
	check(t, archive(t, entries...), entries)
}

func TestAppendRefuses(t *testing.T) {
	header := func(change func(h *cpio.Header)) *cpio.Header {
		h := &cpio.Header{Name: "dir/f", Mode: 0o100644, Links: 1}
		change(h)
		return h
	}
	tests := []struct {
		name string
		h    *cpio.Header
		is   error
		want string
	}{
		{"4 GiB", header(func(h *cpio.Header) { h.Size = 1 << 32 }), cpio.ErrTooLarge, `writing cpio entry "dir/f": 4294967296 bytes: too large for a cpio archive, which holds less than 4 GiB a file`},
		{"size below 0", header(func(h *cpio.Header) { h.Size = -1 }), nil, `writing cpio entry "dir/f": negative size -1`},
		{"long name", header(func(h *cpio.Header) { h.Name = strings.Repeat("n/", 2048) }), cpio.ErrNameTooLong, `its name is longer than the kernel unpacks: 4095 bytes, 255 between two slashes`},
		{"long component", header(func(h *cpio.Header) { h.Name = "d/" + strings.Repeat("n", 256) + "/e" }), cpio.ErrNameTooLong, ``},
		{"long target", header(func(h *cpio.Header) { h.Mode, h.Size = 0o120777, 4096 }), cpio.ErrNameTooLong, `writing cpio entry "dir/f": its target is longer than the kernel unpacks: 4095 bytes, 255 between two slashes`},
		{"no target", header(func(h *cpio.Header) { h.Mode = 0o120777 }), nil, `writing cpio entry "dir/f": a symlink without a target`},
		{"no name", header(func(h *cpio.Header) { h.Name = "" }), nil, `writing cpio entry "": no name that an archive can hold`},
		{"NUL", header(func(h *cpio.Header) { h.Name = "a\x00b" }), nil, `writing cpio entry "a\x00b": no name that an archive can hold`},
		{"trailer", header(func(h *cpio.Header) { h.Name = "TRAILER!!!" }), nil, `writing cpio entry "TRAILER!!!": no name that an archive can hold`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := tt.h.Append([]byte("before"))
			if err == nil || !strings.HasSuffix(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error\n%v, want\n%s", err, tt.want)
			}
			if string(b) != "before" {
				t.Errorf("%q was appended", b)
			}
		})
	}
	// One byte less than too large is a header like any other.
	if _, err := header(func(h *cpio.Header) { h.Size = cpio.MaxSize }).Append(nil); err != nil {
		t.Error(err)
	}
}

// GNU cpio writes the same bytes of the same files, but for the case of its
// digits and the padding of the whole.
func TestAppendAgainstGNU(t *testing.T) {
	rootfstest.Need(t, "cpio")
	dir := t.TempDir()
	layer := `
		dir     . 0755 mtime=5
		dir     d 0700 mtime=7
		file    d/a 0644 mtime=9 hello
		file    "d/b c\nd" 0600 mtime=4294967295 size=10001
		file    d/empty 0600
		symlink l "d/b c\nd"
		fifo    pipe 0600 mtime=3`
	if os.Geteuid() == 0 {
		layer += `
		file    owned 04755 1000:65534 mtime=11 x
		char    null 0666 1 3 mtime=1
		block   sda 0660 0:6 259 65537 mtime=2`
	}
	entries, err := rootfstest.Parse(layer)
	if err != nil {
		t.Fatal(err)
	}
	if err := rootfstest.WriteDir(dir, entries); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Path)
	}
	gnu := cpiotest.Run(t, dir, []byte(strings.Join(names, "\x00")), "cpio", "--create", "--format=newc", "--reproducible", "--null", "--quiet")
	parsed, rest, err := cpiotest.Parse(gnu)
	if err != nil || len(bytes.Trim(rest, "\x00")) > 0 {
		t.Fatal(err, rest)
	}
	var want bytes.Buffer // in lower case where there are digits
	var again []entry
	for _, e := range parsed {
		head := gnu[want.Len():][:e.Size]
		want.Write(bytes.ToLower(head[:110]))
		want.Write(head[110:])
		if e.Name != cpiotest.Trailer {
			again = append(again, entry{e.Header, string(e.Body)})
		}
	}
	if len(again) != len(entries) {
		t.Fatalf("%d entries of %d", len(again), len(entries))
	}
	if got := archive(t, again...); !bytes.Equal(want.Bytes(), got) {
		t.Errorf("(-GNU +ours):\n%s", cmp.Diff(want.String(), string(got)))
	}
}

// What "cpio -i" makes of an archive with everything in it.
func TestExtract(t *testing.T) {
	rootfstest.Need(t, "cpio")
	rootfstest.NeedRoot(t)
	linked := cpio.Header{Mode: 0o104755, UID: 7, GID: 8, ModTime: 99, Links: 3, Ino: 1 << 31, DevMajor: 4095, DevMinor: 1<<20 - 1}
	named := func(h cpio.Header, name string) cpio.Header { h.Name = name; return h }
	device := cpio.Header{Mode: 0o020666, ModTime: 3, Major: 4095, Minor: 1<<20 - 1, Links: 2, Ino: 5}
	b := archive(
		t,
		entry{cpio.Header{Name: ".", Mode: 0o040711, UID: 3, GID: 4, Links: 2, ModTime: 1}, ""},
		entry{cpio.Header{Name: "a b", Mode: 0o041777, Links: 2, ModTime: 2}, ""},
		entry{named(linked, "a b/1"), ""},
		entry{cpio.Header{Name: "a b/new\nline", Mode: 0o100600, UID: 4294967294, GID: 65534, ModTime: 4294967295, Links: 1}, "x"},
		entry{named(linked, "a b/2"), ""},
		entry{cpio.Header{Name: "empty", Mode: 0o102755, Links: 1, ModTime: 6}, ""},
		entry{named(device, "n1"), ""},
		entry{named(device, "n2"), ""},
		entry{cpio.Header{Name: "pipe", Mode: 0o010622, UID: 1, Links: 1, ModTime: 7}, ""},
		entry{cpio.Header{Name: "sda", Mode: 0o060660, GID: 6, Links: 1, ModTime: 8, Major: 259, Minor: 65537}, ""},
		entry{cpio.Header{Name: "sym", Mode: 0o120777, UID: 9, GID: 9, Links: 1, ModTime: 9}, "to \n there"},
		entry{named(linked, "z"), "linked content"},
	)
	want := strings.Join([]string{
		`dir "a b" 01777 mtime=2`,
		`file "a b/1" 04755 7:8 mtime=99 "linked content"`,
		`link "a b/2" "a b/1"`,
		`file "a b/new\nline" 0600 4294967294:65534 mtime=4294967295 "x"`,
		`file empty 02755 mtime=6`,
		`char n1 0666 mtime=3 4095 1048575`,
		`link n2 n1`,
		`fifo pipe 0622 1:0 mtime=7`,
		`block sda 0660 0:6 mtime=8 259 65537`,
		`symlink sym 9:9 mtime=9 "to \n there"`,
		`link z "a b/1"`,
	}, "\n")
	want = strings.Join(rootfstest.WithoutTimes(strings.Split(want, "\n")), "\n")
	if d := cmp.Diff(want, strings.Join(cpiotest.Extract(t, b), "\n")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// FuzzAppend writes what it is told, if it takes it at all, so that it can be read back.
func FuzzAppend(f *testing.F) {
	f.Add("etc/hosts", "hello", uint32(0o100644), uint32(0), uint32(1), uint32(1))
	f.Add("l", "target", uint32(0o120777), uint32(1), uint32(2), uint32(3))
	f.Add("d/\x00", "", uint32(0o040755), uint32(0), uint32(1<<31), uint32(7))
	f.Fuzz(func(t *testing.T, name, body string, mode, number, links, when uint32) {
		e := entry{cpio.Header{
			Name: name, Mode: mode, UID: number, GID: ^number, ModTime: when, Major: number, Minor: when,
			Ino: ^number, DevMajor: when, DevMinor: mode, Links: links,
		}, body}
		e.Size = int64(len(body))
		if _, err := e.Append(nil); err != nil {
			return
		}
		got, rest, err := cpiotest.Parse(archive(t, e, e))
		if err != nil || len(rest) > 0 || len(got) != 3 {
			t.Fatalf("%d entries, %d bytes behind, %v", len(got), len(rest), err)
		}
		for _, g := range got[:2] {
			if d := cmp.Diff(e.Header, g.Header); d != "" || string(g.Body) != body {
				t.Errorf("(-want +got):\n%s\nbody %q of %q", d, g.Body, body)
			}
		}
	})
}
