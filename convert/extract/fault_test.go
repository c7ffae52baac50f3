package extract_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/convert/cpio"
	"github.com/rootcast/rootcast/convert/extract"
	"github.com/rootcast/rootcast/convert/node"
	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// newc is an entry, with its content and padding.
func newc(t testing.TB, h cpio.Header, body string) []byte {
	t.Helper()
	h.Size = int64(len(body))
	if h.Links == 0 {
		h.Links = 1
	}
	b, err := h.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, body...)
	return append(b, make([]byte, -len(body)&3)...)
}

func file(t testing.TB, name, body string) []byte {
	t.Helper()
	return newc(t, cpio.Header{Name: name, Mode: 0o100644}, body)
}

func directory(t testing.TB, name string, mode uint32) []byte {
	t.Helper()
	return newc(t, cpio.Header{Name: name, Mode: 0o040000 | mode, Links: 2}, "")
}

func symlink(t testing.TB, name, target string) []byte {
	t.Helper()
	return newc(t, cpio.Header{Name: name, Mode: 0o120777}, target)
}

var trailer = cpio.AppendTrailer(nil)

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// What the kernel makes of archives that nobody should write, by one worker.
func TestArchiveOddities(t *testing.T) {
	rootfstest.NeedRoot(t)
	linked := func(name, body string, mode uint32) []byte {
		return newc(t, cpio.Header{Name: name, Mode: 0o100000 | mode, Links: 3, Ino: 7}, body)
	}
	wide := file(t, "wide", "xyz")
	copy(wide[94:102], "0000001a") // a name of 26 bytes, most of them NUL
	wide = join(wide[:110], []byte("wide"), make([]byte, 22), []byte("xyz\x00"))
	for name, tt := range map[string]struct {
		b    []byte
		want []string
	}{
		"file twice":       {join(file(t, "a", "first"), file(t, "a", "2nd")), []string{`file a 0644 "2nd"`}},
		"file for symlink": {join(symlink(t, "a", "/etc/passwd"), file(t, "a", "x")), []string{`file a 0644 "x"`}},
		"symlink twice":    {join(symlink(t, "a", "x"), symlink(t, "a", "y")), []string{`symlink a y`}},
		"file for dir":     {join(directory(t, "a", 0o700), file(t, "a", "x")), []string{`file a 0644 "x"`}},
		"dir for file":     {join(file(t, "a", "x"), directory(t, "a", 0o700), file(t, "a/b", "")), []string{`dir a 0700`, `file a/b 0644`}},
		"dir twice":        {join(directory(t, "a", 0o700), file(t, "a/b", ""), directory(t, "a", 0o750)), []string{`dir a 0750`, `file a/b 0644`}},
		"dir, file, dir":   {join(directory(t, "a", 0o700), file(t, "a/b", ""), file(t, "a/b", "x"), directory(t, "c", 0o700), symlink(t, "c", "a"), directory(t, "c", 0o711), file(t, "c/d", "")), []string{`dir a 0700`, `file a/b 0644 "x"`, `dir c 0711`, `file c/d 0644`}},
		"dir behind":       {join(file(t, "a/b/c", ""), directory(t, "a", 0o710)), []string{`dir a 0710`, `dir a/b 0755`, `file a/b/c 0644`}},
		"absolute":         {join(file(t, "/a", "x"), file(t, "//b//c/./d", "y")), []string{`file a 0644 "x"`, `dir b 0755`, `dir b/c 0755`, `file b/c/d 0644 "y"`}},
		"zeros between":    {join(make([]byte, 8), file(t, "a", "x"), make([]byte, 400), file(t, "b", "")), []string{`file a 0644 "x"`, `file b 0644`}},
		"wide name":        {wide, []string{`file wide 0644 "xyz"`}},
		"data first":       {join(linked("a", "data", 0o644), linked("b", "", 0o644), linked("c", "", 0o644)), []string{`file a 0644 "data"`, `link b a`, `link c a`}},
		"data last":        {join(linked("a", "", 0o644), linked("b", "", 0o644), linked("c", "data", 0o644)), []string{`file a 0644 "data"`, `link b a`, `link c a`}},
		"data each time":   {join(linked("a", "longer", 0o644), linked("b", "two", 0o600), linked("c", "data", 0o4755)), []string{`file a 04755 "data"`, `link b a`, `link c a`}},
		"same name linked": {join(linked("a", "one", 0o644), linked("a", "two", 0o644), linked("c", "", 0o644)), []string{`file a 0644 "two"`, `link c a`}},
		"two kinds":        {join(linked("a", "x", 0o644), newc(t, cpio.Header{Name: "l", Mode: 0o120777, Links: 3, Ino: 7}, "t")), []string{`file a 0644 "x"`, `symlink l t`}},
		"replaced, linked": {join(file(t, "b", "old"), linked("a", "x", 0o644), linked("b", "", 0o644)), []string{`file a 0644 "x"`, `link b a`}},
		"dir with content": {join(newc(t, cpio.Header{Name: "d", Mode: 0o040700, Links: 2}, "skipped"), file(t, "d/e", "")), []string{`dir d 0700`, `file d/e 0644`}},
	} {
		t.Run(name, func(t *testing.T) {
			got, stats := unpacked(t, join(tt.b, trailer, make([]byte, 512)), extract.Options{})
			if d := cmp.Diff(tt.want, rootfstest.WithoutTimes(got[1:])); d != "" || stats.Entries == 0 {
				t.Errorf("%+v (-want +got):\n%s", stats, d)
			}
		})
	}
}

func TestArchiveRefuses(t *testing.T) {
	rootfstest.NeedRoot(t)
	a := file(t, "a", "content")
	change := func(at int, s string) []byte {
		b := bytes.Clone(a)
		copy(b[at:], s)
		return join(b, trailer)
	}
	crc := change(5, "2")
	for name, tt := range map[string]struct {
		b    []byte
		want string
	}{
		"up":               {join(file(t, "../a", "x"), trailer), `reading entry 0: "../a": its name has a part "..", which might leave the root`},
		"up within":        {join(file(t, "a/../../a", "x"), trailer), `reading entry 0: "a/../../a": its name has a part`},
		"by a symlink":     {join(symlink(t, "l", "/"), file(t, "l/a", "x"), trailer), "writing /l/a: opening its parent /l, as no symlink or file may be: not a directory"},
		"dir by symlink":   {join(symlink(t, "l", "/tmp"), directory(t, "l/a/b", 0o700), trailer), "writing /l/a/b: opening its parent /l, as no symlink"},
		"below a file":     {join(a, file(t, "a/b", "x"), trailer), "writing /a/b: opening its parent /a"},
		"root as file":     {join(file(t, ".", "x"), trailer), "writing /.: the root is a directory"},
		"full dir":         {join(file(t, "d/a", ""), file(t, "d", ""), trailer), "writing /d: removing what it replaces: directory not empty"},
		"no trailer":       {a, "the archive ends without its trailer: it was cut off"},
		"nothing":          {nil, "the archive ends without its trailer: it was cut off"},
		"half a header":    {a[:50], "reading entry 0: unexpected EOF"},
		"half a body":      {a[:115], "writing /a: unexpected EOF"},
		"half a trailer":   {join(a, trailer[:60]), "reading entry 1: unexpected EOF"},
		"more behind":      {join(a, trailer, a), "reading entry 1: more follows the archive's end"},
		"two archives":     {join(a, trailer, a, trailer), "reading entry 1: more follows the archive's end"},
		"no magic":         {change(0, "x"), `reading entry 0: no cpio header where one must be: "x70701"`},
		"old format":       {change(5, "7"), "reading entry 0: a cpio archive in an old format"},
		"no number":        {change(54, "0000000x"), `reading entry 0: a cpio header has "0000000x" where a hexadecimal number must be`},
		"no name":          {change(94, "00000001"), "reading entry 0: a cpio entry has a name of 0 bytes"},
		"endless name":     {change(94, "00001001"), "reading entry 0: a cpio entry has a name of 4096 bytes"},
		"name without":     {change(111, "b"), `reading entry 0: the name "ab" of a cpio entry has no end`},
		"no mode":          {change(14, "00000000"), "writing /a: its mode 0 is no file's"},
		"wrong sum":        {crc, "writing /a: the sum of its bytes is 0x2fb and should be 0x0"},
		"empty symlink":    {join(change(14, "0000a1ff")[:54], []byte("00000000"), a[62:112]), "reading entry 0: /a: a symlink with a target of 0 bytes"},
		"large device":     {join(newc(t, cpio.Header{Name: "c", Mode: 0o020600, Major: 4096}, ""), trailer), "writing /c: there is no device 4096:0"},
		"behind a trailer": {join(a, trailer, []byte("x")), "reading entry 1: more follows the archive's end"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := extract.Archive(t.Context(), bytes.NewReader(tt.b), dir, extract.Options{})
			if want := "unpacking the root into " + dir + ": " + tt.want; err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("error\n%v, want\n%s", err, want)
			}
		})
	}
}

func TestArchiveOptions(t *testing.T) {
	for _, tt := range []struct {
		o    extract.Options
		want string
	}{
		{extract.Options{Method: "squashfs"}, `"squashfs" is no archive: cpio or tar`},
		{extract.Options{Compress: "bzip2"}, `unknown compression "bzip2": one of zstd, gzip, xz, lz4, none`},
	} {
		if _, err := extract.Archive(t.Context(), nil, t.TempDir(), tt.o); err == nil || !strings.HasSuffix(err.Error(), tt.want) {
			t.Errorf("error %v, want %s", err, tt.want)
		}
	}
	if _, err := extract.Archive(t.Context(), nil, "/no/such", extract.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// segmented cuts a plain archive.
func segmented(parts ...[]byte) (b []byte, segments []node.Segment) {
	for _, p := range parts {
		segments = append(segments, node.Segment{Offset: int64(len(b)), Size: int64(len(p)), Unpacked: int64(len(p))})
		b = append(b, p...)
	}
	return b, segments
}

func TestArchiveTable(t *testing.T) {
	rootfstest.NeedRoot(t)
	p := packTree(t, odd, format{pack.CPIO, pack.Zstd})
	huge, small := -1, -1
	for i, s := range p.segments {
		if s.Unpacked > 16<<20 {
			huge = i
		} else if i > 0 {
			small = i
		}
	}
	if huge < 0 || small < 0 {
		t.Fatalf("segments %d and %d", huge, small)
	}
	for name, tt := range map[string]struct {
		change func(s []node.Segment) []node.Segment
		want   string
	}{
		"more":      {func(s []node.Segment) []node.Segment { s[small].Unpacked--; return s }, fmt.Sprintf("segment at offset %d: it unpacks to more than the %d bytes that it should", p.segments[small].Offset, p.segments[small].Unpacked-1)},
		"less":      {func(s []node.Segment) []node.Segment { s[small].Unpacked++; return s }, fmt.Sprintf("segment at offset %d: it unpacks to %d bytes and should to %d", p.segments[small].Offset, p.segments[small].Unpacked, p.segments[small].Unpacked+1)},
		"huge more": {func(s []node.Segment) []node.Segment { s[huge].Unpacked--; return s }, fmt.Sprintf("segment at offset %d: ", p.segments[huge].Offset)},
		"huge less": {func(s []node.Segment) []node.Segment { s[huge].Unpacked++; return s }, fmt.Sprintf("segment at offset %d: ", p.segments[huge].Offset)},
		"gap":       {func(s []node.Segment) []node.Segment { s[1].Offset++; return s }, "the table of segments has one of"},
		"negative":  {func(s []node.Segment) []node.Segment { s[1].Size = -1; return s }, "the table of segments has one of"},
		"one less":  {func(s []node.Segment) []node.Segment { return s[:len(s)-1] }, "behind the last segment, which ends at offset"},
		"one more": {func(s []node.Segment) []node.Segment {
			return append(s, node.Segment{Offset: int64(len(p.b)), Size: 9, Unpacked: 9})
		}, fmt.Sprintf("segment at offset %d: the stream ends within it: unexpected EOF", len(p.b))},
		"shifted": {func(s []node.Segment) []node.Segment { s[0].Size++; s[1].Offset++; s[1].Size--; return s }, "segment at offset "},
	} {
		t.Run(name, func(t *testing.T) {
			for _, jobs := range []int{1, 3} {
				o := p.options()
				o.Segments = tt.change(append([]node.Segment(nil), p.segments...))
				o.Jobs = jobs
				_, err := extract.Archive(t.Context(), bytes.NewReader(p.b), t.TempDir(), o)
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%d jobs: error\n%v, want\n%s", jobs, err, tt.want)
				}
			}
		})
	}
	a, b := file(t, "a", "x"), file(t, "b", "y")
	for name, tt := range map[string]struct {
		parts [][]byte
		want  []string // one of them, for two workers are at two parts at once
	}{
		"within an entry": {[][]byte{a[:112], join(a[112:], b, trailer)}, []string{"unexpected EOF", "no cpio header where one must be"}},
		"trailer first":   {[][]byte{join(a, trailer), join(b, trailer)}, []string{"more follows the archive's end"}},
		"no trailer":      {[][]byte{a, b}, []string{"the archive ends without its trailer"}},
		"twice":           {[][]byte{a, join(file(t, "a", "y"), trailer)}, []string{"writing /a: there is such a file already: a name that an archive has twice"}},
	} {
		t.Run(name, func(t *testing.T) {
			packed, segments := segmented(tt.parts...)
			_, err := extract.Archive(t.Context(), bytes.NewReader(packed), t.TempDir(), extract.Options{Segments: segments, Jobs: 2})
			if err == nil || !slices.ContainsFunc(tt.want, func(want string) bool { return strings.Contains(err.Error(), want) }) {
				t.Errorf("error\n%v, want one of\n%q", err, tt.want)
			}
		})
	}
	packed, segments := segmented(a, join(a, file(t, "b", "x"), file(t, "b", "y"), trailer))
	if got, _ := unpacked(t, packed, extract.Options{Segments: segments, Jobs: 1}); len(got) != 3 || got[2] != `file b 0644 "y"` {
		t.Errorf("by one job: %q", got)
	}
}

// damaged is what is cut and changed: little, but two segments, of which the
// second begins behind the brick.
const damaged = "dir . 0755\nfile a 0644 size=100000\nfile brick 0644 size=1100000\nsymlink c brick\nfile d 0644 size=300000\nlink e a"

// Whatever is cut off is missed.
func TestArchiveCut(t *testing.T) {
	rootfstest.NeedRoot(t)
	for _, o := range formats() {
		p := packTree(t, damaged, o)
		if len(p.segments) != 2 {
			t.Fatalf("%d segments", len(p.segments))
		}
		places := []int{0, 1, 4, 5, 511, len(p.b) - 1}
		for _, s := range p.segments {
			places = append(places, int(s.Offset), int(s.Offset+s.Size/2))
		}
		for i := range 20 {
			places = append(places, len(p.b)*i/20)
		}
		for _, table := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/%s/%t", o.Method, o.Codec, table), func(t *testing.T) {
				t.Parallel()
				x := p.options()
				if x.Jobs = 2; !table {
					x.Segments = nil
				}
				for _, at := range places {
					if o.Method == pack.Tar && o.Codec == pack.None && at > len(p.b)-1024 {
						continue // one block of zeros is enough of an end
					}
					if o.Codec == pack.XZ && !table && at > len(p.b)-8 {
						continue // the library does not look at the end of the footer
					}
					if _, err := extract.Archive(t.Context(), bytes.NewReader(p.b[:at]), t.TempDir(), x); err == nil {
						t.Errorf("%d of %d bytes are taken for the whole", at, len(p.b))
					}
				}
			})
		}
	}
}

// A byte that differs is an error, or changes what the digest of the whole tells:
// it never ends in a panic or a hang, and one within a sum of the format is found.
func TestArchiveFlipped(t *testing.T) {
	rootfstest.NeedRoot(t)
	for _, o := range formats() {
		p := packTree(t, damaged, o)
		for _, table := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/%s/%t", o.Method, o.Codec, table), func(t *testing.T) {
				t.Parallel()
				x := p.options()
				if x.Jobs = 2; !table {
					x.Segments = nil
				}
				missed := 0
				for i := range 30 {
					b := bytes.Clone(p.b)
					b[len(b)*i/30+i] ^= 0x10
					if _, err := extract.Archive(t.Context(), bytes.NewReader(b), t.TempDir(), x); err == nil {
						missed++
					}
				}
				if missed > 0 && (o.Codec == pack.Gzip || o.Codec == pack.XZ) {
					t.Errorf("%d of 30 flipped bytes are missed", missed)
				}
			})
		}
	}
}

// tmpfs mounts one that is too small.
func tmpfs(t testing.TB, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, options); err != nil {
		rootfstest.Skip(t, "no tmpfs can be mounted: "+err.Error())
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestArchiveFull(t *testing.T) {
	rootfstest.NeedRoot(t)
	p := packTree(t, "dir . 0755\nfile a 0644 x\nfile large 0644 size=3000000\nfile z 0644 x", format{pack.CPIO, pack.Zstd})
	for options, want := range map[string]string{
		"size=1m":     "writing /large: no space left on device: the root does not fit into its tmpfs: give that more by rootlimit=, or the node more memory",
		"nr_inodes=2": ": no space left on device: the root does not fit into its tmpfs: give that more by rootlimit=, or the node more memory",
	} {
		dir := tmpfs(t, options)
		_, err := extract.Archive(t.Context(), bytes.NewReader(p.b), dir, p.options())
		if err == nil || !strings.HasSuffix(err.Error(), want) || !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%s: error\n%v, want\n%s", options, err, want)
		}
	}
}

// stalled gives some bytes and then waits, as a server does that has died.
type stalled struct {
	r     io.Reader
	wait  <-chan struct{}
	stall func()
}

func (s *stalled) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if errors.Is(err, io.EOF) {
		s.stall()
		<-s.wait
	}
	return n, err
}

func TestArchiveCancelled(t *testing.T) {
	rootfstest.NeedRoot(t)
	for _, o := range formats() {
		p := packTree(t, odd, o)
		for _, table := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/%s/%t", o.Method, o.Codec, table), func(t *testing.T) {
				x := p.options()
				if x.Jobs = 2; !table {
					x.Segments = nil
				}
				ctx, cancel := context.WithCancel(t.Context())
				wait := make(chan struct{})
				defer close(wait)
				var start time.Time
				r := &stalled{r: bytes.NewReader(p.b[:len(p.b)/2]), wait: wait, stall: func() { start = time.Now(); cancel() }}
				_, err := extract.Archive(ctx, r, t.TempDir(), x)
				if took := time.Since(start); !errors.Is(err, context.Canceled) || took > 500*time.Millisecond {
					t.Errorf("it took %v to end with %v", took, err)
				}
			})
		}
	}
}

// A stream that fails says so, not that it is damaged.
func TestArchiveReadError(t *testing.T) {
	rootfstest.NeedRoot(t)
	broken := errors.New("connection reset")
	for _, o := range formats() {
		p := packTree(t, "dir . 0755\nfile a 0644 size=3000000\nfile b 0644 size=3000000", o)
		for _, table := range []bool{true, false} {
			x := p.options()
			if !table {
				x.Segments = nil
			}
			r := io.MultiReader(bytes.NewReader(p.b[:len(p.b)/2]), failing{broken})
			if _, err := extract.Archive(t.Context(), r, t.TempDir(), x); !errors.Is(err, broken) {
				t.Errorf("%s, %s, table %t: error %v", o.Method, o.Codec, table, err)
			}
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// FuzzArchive writes what it is told, and nothing outside.
func FuzzArchive(f *testing.F) {
	f.Add(join(directory(f, "d", 0o700), file(f, "d/a", "x"), symlink(f, "l", "../guard"), trailer), uint16(120))
	f.Add(join(symlink(f, "l", ".."), file(f, "l/guard/x", "x"), trailer), uint16(0))
	f.Add(join(file(f, "../guard/file", "x"), trailer), uint16(9))
	f.Add(join(newc(f, cpio.Header{Name: "a", Mode: 0o100644, Links: 2, Ino: 1}, ""), newc(f, cpio.Header{Name: "b", Mode: 0o100644, Links: 2, Ino: 1}, "x"), trailer), uint16(112))
	f.Fuzz(func(t *testing.T, b []byte, cut uint16) {
		top := t.TempDir()
		guard, inside := filepath.Join(top, "guard"), filepath.Join(top, "inside")
		for _, dir := range []string{guard, inside} {
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(guard, "file"), []byte("guarded"), 0o600); err != nil {
			t.Fatal(err)
		}
		before := list(t, guard)
		at := min(int(cut), len(b))
		_, segments := segmented(b[:at], b[at:])
		for _, o := range []extract.Options{{}, {Method: "tar"}, {Segments: segments, Jobs: 2}, {Compress: "zstd"}} {
			_, _ = extract.Archive(t.Context(), bytes.NewReader(b), inside, o)
		}
		if d := cmp.Diff(before, list(t, guard)); d != "" {
			t.Errorf("(-before +after):\n%s", d)
		}
		names, err := os.ReadDir(top)
		if err != nil || len(names) != 2 {
			t.Errorf("%v, %v", names, err)
		}
	})
}
