package pack_test

import (
	"bytes"
	stdgzip "compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/rootcast/rootcast/convert/cpio"
	"github.com/rootcast/rootcast/convert/cpio/cpiotest"
	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// odd has everything that an archive can get wrong.
const odd = `
	dir     . 0711 mtime=5
	dir     etc 0755 mtime=6
	file    etc/hosts 0644 1:2 mtime=7 "127.0.0.1\n"
	link    a-link etc/hosts
	link    z-link etc/hosts
	dir     "a b" 01777
	file    "a b/new\nline" 04755 4294967294:65534 mtime=4294967295 x
	file    "a b/\xff" 02755 xattr:user.k=v
	file    empty 0600
	link    empty2 empty
	symlink sym "to \n there"
	link    sym2 sym
	char    null 0666 1 3
	link    null2 null
	block   sda 0660 0:6 259 65537
	fifo    pipe 0622 1:0
	file    0 0000 size=1
	file    1 0000 size=4095`

// manyLayer is a tree of several segments: size bytes in n files of all sizes,
// some of them linked from other directories.
func manyLayer(n, size int) string {
	var b strings.Builder
	b.WriteString(odd)
	for i := range n {
		fmt.Fprintf(&b, "\nfile usr/lib/d%d/file-%04d 0644 %d:%d size=%d", i%7, i, i, i, size/n*2*((i*37)%n)/n)
		if i%11 == 0 {
			fmt.Fprintf(&b, "\nlink opt/%04d usr/lib/d%d/file-%04d", i, i%7, i)
		}
	}
	return b.String()
}

func pax(t testing.TB, tree *rootfs.Tree, o pack.Options) ([]byte, pack.Info) {
	t.Helper()
	var b bytes.Buffer
	info, err := pack.Archive(t.Context(), &b, tree, o)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), info
}

// unpackOne decompresses a segment with a decoder of another author than the encoder's.
func unpackOne(t testing.TB, codec pack.Codec, b []byte) []byte {
	t.Helper()
	var plain []byte
	var err error
	switch codec {
	case pack.Zstd:
		var h zstd.Header
		if err := h.Decode(b); err != nil || h.Skippable || h.WindowSize > 8<<20 || h.DictionaryID != 0 {
			t.Fatalf("the kernel may not take the frame %+v, %v", h, err)
		}
		var d *zstd.Decoder
		if d, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1)); err == nil {
			defer d.Close()
			plain, err = d.DecodeAll(b, nil)
		}
	case pack.Gzip:
		if !bytes.HasPrefix(b, []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00")) {
			t.Fatalf("gzip header %x has more than the kernel skips, or a time", b[:10])
		}
		in := bytes.NewReader(b)
		var r *stdgzip.Reader
		if r, err = stdgzip.NewReader(in); err == nil {
			r.Multistream(false)
			if plain, err = io.ReadAll(r); err == nil && in.Len() > 0 {
				err = fmt.Errorf("%d bytes behind the first member", in.Len())
			}
		}
	case pack.XZ:
		// "7zXZ", then the flags of which the second is the check: CRC32 is 1.
		if !bytes.HasPrefix(b, []byte("\xfd7zXZ\x00\x00\x01")) {
			t.Fatalf("the kernel knows no xz stream that starts with %x", b[:8])
		}
		var r *xz.Reader
		if r, err = (xz.ReaderConfig{SingleStream: true}).NewReader(bytes.NewReader(b)); err == nil {
			plain, err = io.ReadAll(r)
		}
	case pack.LZ4:
		plain = cpiotest.Run(t, "", b, "lz4", "-dc")
	default:
		plain = b
	}
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// lines lists an archive's entries as the tree that they make.
func lines(t testing.TB, entries []cpiotest.Entry) []string {
	t.Helper()
	verbs := map[uint32]string{0o040000: "dir", 0o100000: "file", 0o120000: "symlink", 0o020000: "char", 0o060000: "block", 0o010000: "fifo"}
	type id struct{ ino, major, minor, kind uint32 }
	first, content, members, links := map[id]string{}, map[id]string{}, map[id]int{}, map[id]uint32{}
	of := func(e cpiotest.Entry) id {
		if e.Links < 2 || e.Mode&0o170000 == 0o040000 {
			return id{}
		}
		return id{e.Ino, e.DevMajor, e.DevMinor, e.Mode & 0o170000}
	}
	for _, e := range entries {
		i := of(e)
		members[i]++
		if len(e.Body) > 0 {
			content[i] = string(e.Body)
		}
		if n, ok := links[i]; ok && n != e.Links && i != (id{}) {
			t.Errorf("%q has %d links, its first name %d", e.Name, e.Links, n)
		}
		links[i] = e.Links
	}
	var list []string
	for _, e := range entries {
		i := of(e)
		line := rootfstest.Entry{
			Verb: verbs[e.Mode&0o170000], Path: e.Name, Mode: int64(e.Mode & 0o7777), UID: int(e.UID), GID: int(e.GID),
			Major: int64(e.Major), Minor: int64(e.Minor), ModTime: time.Unix(int64(e.ModTime), 0), Content: string(e.Body),
		}
		if i != (id{}) {
			if members[i] != int(links[i]) {
				t.Errorf("%q has %d links, and the archive %d", e.Name, links[i], members[i])
			}
			line.Content = content[i]
			if target, ok := first[i]; ok {
				line = rootfstest.Entry{Verb: "link", Path: e.Name, Target: target}
			} else {
				first[i] = e.Name
			}
		}
		if line.Verb == "symlink" {
			line.Target, line.Content, line.Mode = line.Content, "", 0
		}
		list = append(list, line.String())
	}
	return list
}

// list is what an archive of the tree should hold: all but the xattrs.
func list(t testing.TB, tree *rootfs.Tree) []string {
	t.Helper()
	all, err := rootfstest.List(tree)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		all[i] = strings.ReplaceAll(all[i], " xattr:user.k=v", "")
	}
	return all
}

var codecs = []pack.Codec{pack.None, pack.Gzip, pack.Zstd, pack.XZ, pack.LZ4}

func TestCPIO(t *testing.T) {
	trees := map[string]*rootfs.Tree{
		"empty": rootfstest.Tree(t),
		"odd":   rootfstest.Tree(t, odd),
		"many":  rootfstest.Tree(t, manyLayer(300, 24<<20)),
		"large": rootfstest.Tree(t, odd+"\nfile large 0644 size=34000000\nfile later 0644 size=2000000"),
		"end":   rootfstest.Tree(t, odd+"\nfile zlarge 0644 size=25165825"), // large, and the last
	}
	for name, tree := range trees {
		want := list(t, tree)
		for _, codec := range codecs {
			t.Run(name+"/"+string(codec), func(t *testing.T) {
				b, info := pax(t, tree, pack.Options{Codec: codec, Level: level(codec), Jobs: 1})
				checkInfo(t, b, info)
				for _, jobs := range []int{2, 8} {
					if jobs > 2 && codec == pack.XZ {
						continue // it takes its time
					}
					again, infoAgain := pax(t, tree, pack.Options{Codec: codec, Level: level(codec), Jobs: jobs})
					if !bytes.Equal(b, again) || cmp.Diff(info, infoAgain) != "" {
						t.Errorf("%d jobs make other bytes than 1: %s", jobs, cmp.Diff(info, infoAgain))
					}
				}
				var all []cpiotest.Entry
				for i, s := range info.Segments {
					entries := checkSegment(t, unpackOne(t, codec, b[s.Offset:s.Offset+s.Size]), s, i == len(info.Segments)-1)
					all = append(all, entries...)
				}
				if len(all) != info.Entries {
					t.Errorf("%d entries, Info has %d", len(all), info.Entries)
				}
				if d := cmp.Diff(want, lines(t, all)); d != "" {
					t.Errorf("(-tree +archive):\n%s", d)
				}
				if name == "many" && len(info.Segments) < 3 {
					t.Errorf("%d segments: the test shows nothing", len(info.Segments))
				}
			})
		}
	}
}

func checkInfo(t *testing.T, b []byte, info pack.Info) {
	t.Helper()
	if info.Size != int64(len(b)) {
		t.Errorf("Info has %d bytes, the file %d", info.Size, len(b))
	}
	var at, unpacked int64
	for i, s := range info.Segments {
		if s.Offset != at || s.Size <= 0 || s.Unpacked <= 0 {
			t.Errorf("segment %d is %+v, and the last ended at %d", i, s, at)
		}
		at += s.Size
		unpacked += s.Unpacked
	}
	if at != info.Size || unpacked != info.Unpacked {
		t.Errorf("segments of %d bytes, %d unpacked; Info has %d, %d", at, unpacked, info.Size, info.Unpacked)
	}
}

func checkSegment(t *testing.T, plain []byte, s pack.Segment, last bool) []cpiotest.Entry {
	t.Helper()
	entries, rest, err := cpiotest.Parse(plain)
	if err != nil || len(rest) > 0 || int64(len(plain)) != s.Unpacked {
		t.Fatalf("%d bytes of %d, %d behind the trailer, %v", len(plain), s.Unpacked, len(rest), err)
	}
	n := len(entries) - 1
	if trailer := entries[n].Name == cpiotest.Trailer; trailer != last {
		t.Errorf("trailer %v, last segment %v", trailer, last)
	}
	if last {
		entries = entries[:n]
	}
	return entries
}

// decompress is what people do: by the codec's own program.
func decompress(t *testing.T, codec pack.Codec, b []byte) []byte {
	t.Helper()
	if codec == pack.None {
		return b
	}
	return cpiotest.Run(t, "", b, string(codec), "-dc")
}

// The tools that people have read the file as one archive.
func TestCPIOByTools(t *testing.T) {
	rootfstest.Need(t, "cpio", "zstd", "gzip", "xz", "lz4")
	tree := rootfstest.Tree(t, manyLayer(100, 8<<20))
	want := list(t, tree)
	var names []string
	for name := range tree.All() {
		names = append(names, name)
	}
	for _, codec := range codecs {
		t.Run(string(codec), func(t *testing.T) {
			b, _ := pax(t, tree, pack.Options{Codec: codec, Level: level(codec), Jobs: 2})
			b = decompress(t, codec, b)
			got := cpiotest.Run(t, "", b, "cpio", "--list", "--quiet", "--null")
			if d := cmp.Diff(strings.Join(names, "\x00")+"\x00", string(got)); d != "" {
				t.Errorf("names (-tree +cpio -t):\n%s", d)
			}
			if os.Geteuid() != 0 {
				return
			}
			if d := cmp.Diff(extracted(want), cpiotest.Extract(t, b)); d != "" {
				t.Errorf("(-tree +cpio -i):\n%s", d)
			}
		})
	}
	rootfstest.NeedRoot(t)
}

// extracted is what "cpio -i" makes of a tree: it does not know that symlinks can be linked.
func extracted(tree []string) []string {
	tree = rootfstest.WithoutTimes(tree)[1:]
	for i, line := range tree {
		if line == "link sym2 sym" {
			tree[i] = `symlink sym2 "to \n there"`
		}
	}
	return tree
}

// One changed file changes its own segment; at most the next one's start moves with it.
func TestCPIOChangesLocally(t *testing.T) {
	base := rootfstest.Indexes(t, manyLayer(1000, 64<<20))
	parts := func(layer string) map[string]bool {
		tree, err := rootfs.Merge(t.Context(), append(base, rootfstest.Indexes(t, layer)...)...)
		if err != nil {
			t.Fatal(err)
		}
		b, info := pax(t, tree, pack.Options{})
		found := map[string]bool{}
		for _, s := range info.Segments {
			sum := sha256.Sum256(b[s.Offset : s.Offset+s.Size])
			found[string(sum[:])] = true
		}
		return found
	}
	before := parts("")
	for _, change := range []string{
		"file usr/lib/d3/file-0507 0644 size=12345",   // smaller
		"file usr/lib/d0/file-0007 0644 size=3000000", // larger
		"file usr/lib/d0/a-new-one 0644 size=100000",
		"file 000-first 0644 size=100000",
		"link usr/lib/d2/linked usr/lib/d4/file-0004",
		"symlink usr/lib/d5 nowhere",
	} {
		same, total := 0, 0
		for sum := range parts(change) {
			total++
			if before[sum] {
				same++
			}
		}
		if len(before) < 8 || total-same > 3 {
			t.Errorf("%s: %d of %d segments are new, before there were %d", change, total-same, total, len(before))
		}
	}
}

// A group of hard links has the same numbers whatever else the image holds.
func TestLinkNumbersStay(t *testing.T) {
	inode := func(layer string) [3]uint32 {
		b, _ := pax(t, rootfstest.Tree(t, layer), pack.Options{})
		entries, _, err := cpiotest.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name == "m/a" {
				return [3]uint32{e.Ino, e.DevMajor, e.DevMinor}
			}
		}
		t.Fatal("no m/a")
		return [3]uint32{}
	}
	const group = "file m/a 0644 x\nlink m/b m/a\n"
	if a, b := inode(group), inode("file 1 0644\nlink 2 1\nfile z 0644\nlink l/y z\n"+group); a != b {
		t.Errorf("%x alone, %x among others", a, b)
	}
}

// body is a file's content that is made as it is read.
type body struct {
	read    atomic.Int64
	random  bool
	fail    int64 // from where reads fail; 0: nowhere
	failure error
	onRead  func(total int64)
}

func (b *body) ReadAt(p []byte, off int64) (int, error) {
	if b.fail > 0 && off+int64(len(p)) > b.fail {
		n := max(0, b.fail-off)
		return int(n), b.failure
	}
	clear(p)
	if b.random {
		for i := 0; i+8 <= len(p); i += 8 {
			x := uint64(off+int64(i)) * 0x9e3779b97f4a7c15
			x ^= x >> 29
			x *= 0xbf58476d1ce4e5b9
			for j := range 8 {
				p[i+j] = byte(x >> (8 * j))
			}
		}
	}
	total := b.read.Add(int64(len(p)))
	if b.onRead != nil {
		b.onRead(total)
	}
	return len(p), nil
}

// with returns a tree with one more file, among others.
func with(t testing.TB, name string, r io.ReaderAt, size int64) *rootfs.Tree {
	t.Helper()
	tree := rootfstest.Tree(t, odd)
	if err := tree.Put(name, rootfs.NewFile(0o644, r, 0, size)); err != nil {
		t.Fatal(err)
	}
	return tree
}

// peak is the most memory that the heap had in use when something was written.
type peak struct{ most uint64 }

func (p *peak) Write(b []byte) (int, error) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	p.most = max(p.most, m.HeapInuse)
	return len(b), nil
}

// Memory does not grow with the size of a file.
func TestCPIOMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it packs a gigabyte")
	}
	const size = 200 << 20
	for _, codec := range codecs {
		for _, random := range []bool{false, true} {
			if random && (codec == pack.Gzip || codec == pack.XZ) { // slow, and no other than zstd
				continue
			}
			t.Run(fmt.Sprintf("%s/random %v", codec, random), func(t *testing.T) {
				tree := with(t, "big", &body{random: random}, size)
				for i := range 4 {
					if err := tree.Put(fmt.Sprint("other", i), rootfs.NewFile(0o644, &body{random: random}, 0, 20<<20)); err != nil {
						t.Fatal(err)
					}
				}
				runtime.GC()
				out := &peak{}
				info, err := pack.Archive(t.Context(), out, tree, pack.Options{Codec: codec, Jobs: 2, Level: level(codec)})
				if err != nil {
					t.Fatal(err)
				}
				limit := uint64(2 * 64 << 20)
				if codec == pack.LZ4 {
					limit += 2 * 16 << 20 // the kernel's frames have blocks of 8 MiB
				}
				if info.Unpacked < size || out.most > limit {
					t.Errorf("%d MiB of heap for %d MiB", out.most>>20, info.Unpacked>>20)
				}
			})
		}
	}
}

// level makes the slow ones quick.
func level(c pack.Codec) int {
	if c == pack.Gzip || c == pack.XZ {
		return 1
	}
	return 0
}

func TestCPIOTooLarge(t *testing.T) {
	for _, size := range []int64{1 << 32, 1 << 40, math.MaxInt64} {
		content := &body{}
		var out bytes.Buffer
		_, err := pack.Archive(t.Context(), &out, with(t, "var/big file", content, size), pack.Options{Codec: pack.Zstd})
		want := fmt.Sprintf(`"/var/big file" has %d bytes: %v`, size, cpio.ErrTooLarge)
		if !errors.Is(err, cpio.ErrTooLarge) || err.Error() != want {
			t.Errorf("error\n%v, want\n%s", err, want)
		}
		if out.Len() > 0 || content.read.Load() > 0 {
			t.Errorf("%d bytes written, %d read", out.Len(), content.read.Load())
		}
	}
}

// A cancelled pack ends soon, also in the middle of a file that compresses to nothing.
func TestCPIOIsCancelled(t *testing.T) {
	for _, codec := range codecs {
		for _, jobs := range []int{1, 4} {
			t.Run(fmt.Sprint(codec, jobs), func(t *testing.T) {
				before := runtime.NumGoroutine()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				content := &body{onRead: func(total int64) {
					if total > 32<<20 {
						cancel()
					}
				}}
				tree := with(t, "big", content, cpio.MaxSize)
				_, err := pack.Archive(ctx, io.Discard, tree, pack.Options{Codec: codec, Jobs: jobs})
				if !errors.Is(err, context.Canceled) {
					t.Errorf("error %v", err)
				}
				if read := content.read.Load(); read > 64<<20 {
					t.Errorf("%d MiB were read after the end was asked for at 32", read>>20)
				}
				noMoreGoroutines(t, before)
			})
		}
	}
}

// noMoreGoroutines gives those that have ended the time to go.
func noMoreGoroutines(t *testing.T, than int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if runtime.NumGoroutine() <= than {
			return
		}
		runtime.Gosched()
	}
	b := make([]byte, 1<<16)
	t.Errorf("%d goroutines more than before:\n%s", runtime.NumGoroutine()-than, b[:runtime.Stack(b, true)])
}

// disk has so many bytes left.
type disk struct{ left int }

func (d *disk) Write(p []byte) (int, error) {
	if len(p) > d.left {
		return d.left, syscall.ENOSPC
	}
	d.left -= len(p)
	return len(p), nil
}

func TestCPIOFullDisk(t *testing.T) {
	tree := rootfstest.Tree(t, manyLayer(100, 8<<20))
	for _, codec := range codecs {
		b, _ := pax(t, tree, pack.Options{Codec: codec, Level: level(codec)})
		before := runtime.NumGoroutine()
		for _, space := range []int{0, 1, len(b) / 2, len(b) - 1} {
			_, err := pack.Archive(t.Context(), &disk{space}, tree, pack.Options{Codec: codec, Level: level(codec), Jobs: 3})
			if !errors.Is(err, syscall.ENOSPC) || err.Error() != "writing the archive: no space left on device" {
				t.Errorf("%s with %d bytes of space: %v", codec, space, err)
			}
		}
		noMoreGoroutines(t, before)
	}
}

// A file that cannot be read, or is shorter than it was, is named.
func TestCPIOBadContent(t *testing.T) {
	for _, codec := range codecs {
		for _, tt := range []struct {
			name    string
			content io.ReaderAt
			is      error
			want    string
		}{
			{"short", strings.NewReader("only this"), io.ErrUnexpectedEOF, `packing "/d/bad one": content ends at byte 9 of 3000000: unexpected EOF`},
			{"empty", strings.NewReader(""), io.ErrUnexpectedEOF, `packing "/d/bad one": content ends at byte 0 of 3000000: unexpected EOF`},
			{"broken", &body{fail: 1 << 20, failure: syscall.EIO}, syscall.EIO, `packing "/d/bad one": input/output error`},
		} {
			t.Run(string(codec)+"/"+tt.name, func(t *testing.T) {
				before := runtime.NumGoroutine()
				_, err := pack.Archive(t.Context(), io.Discard, with(t, "d/bad one", tt.content, 3_000_000), pack.Options{Codec: codec})
				if !errors.Is(err, tt.is) || err.Error() != tt.want {
					t.Errorf("error\n%v, want\n%s", err, tt.want)
				}
				noMoreGoroutines(t, before)
			})
		}
	}
}

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		codec pack.Codec
		level int
		want  string
	}{
		{pack.Zstd, 20, "compression level 20: zstd has 1 to 19"},
		{pack.Zstd, -1, "compression level -1: zstd has 1 to 19"},
		{pack.Gzip, 10, "compression level 10: gzip has 1 to 9"},
		{pack.Zstd, 19, ""},
		{pack.Gzip, 9, ""},
		{pack.None, 0, ""},
		{"", 0, ""},
		{pack.XZ, 10, "compression level 10: xz has 1 to 9"},
		{pack.LZ4, 10, "compression level 10: lz4 has 1 to 9"},
		{pack.LZ4, 9, ""},
		{"bzip2", 0, `unknown compression "bzip2": one of zstd, gzip, xz, lz4, none`},
	} {
		t.Run(fmt.Sprint(tt.codec, tt.level), func(t *testing.T) {
			var out bytes.Buffer
			_, err := pack.Archive(t.Context(), &out, rootfstest.Tree(t, odd), pack.Options{Codec: tt.codec, Level: tt.level})
			if got := fmt.Sprint(err); tt.want != "" && (got != tt.want || out.Len() > 0) || tt.want == "" && err != nil {
				t.Errorf("error %v, want %q; %d bytes written", err, tt.want, out.Len())
			}
		})
	}
	for _, name := range []string{"zstd", "gzip", "xz", "lz4", "none"} {
		if c, err := pack.ParseCodec(name); err != nil || string(c) != name {
			t.Errorf("ParseCodec(%q) = %q, %v", name, c, err)
		}
	}
	for _, name := range []string{"", "bzip2", "ZSTD"} {
		if _, err := pack.ParseCodec(name); err == nil {
			t.Errorf("ParseCodec(%q) succeeds", name)
		}
	}
}

// What Decoder reads is the archive, whatever the codec.
func TestDecoder(t *testing.T) {
	tree := rootfstest.Tree(t, manyLayer(100, 8<<20))
	want, _ := pax(t, tree, pack.Options{})
	for _, codec := range codecs {
		b, _ := pax(t, tree, pack.Options{Codec: codec, Level: level(codec)})
		r, err := codec.Decoder(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(want, got) || r.Close() != nil {
			t.Errorf("%s: %d bytes of %d, %v", codec, len(got), len(want), err)
		}
		if codec == pack.None {
			continue
		}
		r, err = codec.Decoder(bytes.NewReader(b[:len(b)-3]))
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if err == nil {
			t.Errorf("%s: a file that ends early is read as whole", codec)
		}
	}
}

func TestModTime(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 999_999_999) }
	for _, tt := range []struct {
		time, epoch time.Time
		want        uint32
	}{
		{at(7), time.Time{}, 7},
		{at(7), at(8), 7},
		{at(9), time.Unix(8, 0), 8},
		{at(9), time.Unix(0, 0), 0},
		{at(-5), time.Time{}, 0},
		{at(1 << 33), time.Time{}, math.MaxUint32},
		{at(1 << 33), at(1 << 31), 1 << 31},
		{at(7), at(-1), 0},
		{time.Time{}, time.Time{}, 0},
	} {
		if got := pack.ModTime(&rootfs.Inode{ModTime: tt.time}, tt.epoch); got != tt.want {
			t.Errorf("ModTime(%v, %v) = %d, want %d", tt.time, tt.epoch, got, tt.want)
		}
	}
}

func TestEpoch(t *testing.T) {
	b, _ := pax(t, rootfstest.Tree(t, odd), pack.Options{Epoch: time.Unix(6, 0)})
	entries, _, err := cpiotest.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		want := map[string]uint32{".": 5, "etc": 6, "etc/hosts": 6, "a-link": 6, "z-link": 6, "a b/new\nline": 6}[e.Name]
		if e.ModTime != want {
			t.Errorf("%q has time %d, want %d", e.Name, e.ModTime, want)
		}
	}
}

func TestProgress(t *testing.T) {
	var last, all int64
	_, info := pax(t, rootfstest.Tree(t, manyLayer(100, 8<<20)), pack.Options{Codec: pack.Zstd, Jobs: 4, Progress: func(done, total int64) {
		if done < last || done > total || all != 0 && total != all {
			t.Errorf("%d of %d after %d of %d", done, total, last, all)
		}
		last, all = done, total
	}})
	if last != all || all != info.Unpacked {
		t.Errorf("ended at %d of %d, Info has %d", last, all, info.Unpacked)
	}
}
