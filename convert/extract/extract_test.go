package extract_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/cpio/cpiotest"
	"github.com/rootcast/rootcast/convert/extract"
	"github.com/rootcast/rootcast/convert/node"
	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
	"github.com/rootcast/rootcast/convert/xattrs"
)

// odd has everything that an archive can get wrong, in several segments, one of
// which is not unpacked in memory.
var odd = `
	dir     . 0711 7:8 mtime=5
	dir     etc 0755 mtime=6
	file    etc/hosts 0644 1:2 mtime=7 "127.0.0.1\n"
	link    a-link etc/hosts
	link    z-link etc/hosts
	dir     "a b" 01777 mtime=8
	file    "a b/new\nline" 04755 4294967294:65534 mtime=4294967295 x
	file    "a b/\xff" 02755 xattr:user.k=v
	dir     closed 0500 3:4 mtime=9 xattr:user.dir=d
	dir     closed/more 0000 mtime=10
	file    closed/more/file 0000 mtime=11 x
	file    empty 0600
	link    empty2 empty
	symlink sym 5:6 mtime=12 "to \n there"
	link    sym2 sym
	char    null 0666 1 3
	link    null2 null
	block   sda 0660 0:6 mtime=13 259 65537
	fifo    pipe 0622 1:0
	file    cap 06755 1:1 xattr:security.capability="\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" xattr:user.empty= program
	file    m/large 0644 size=3000000
	file    m/large2 0644 size=5000000
	file    m/large3 0644 size=4000000
	link    m/large4 m/large2
	file    m/huge 0644 size=17000000
	file    m/zeros 0644 "` + strings.Repeat(`\x00`, 1<<14) + `"
	dir     deep 0755
	file    deep/` + strings.Repeat("d/", 60) + `file 0644 x
	file    deep/` + strings.Repeat("long", 60) + ` 0644 x
	file    "-dash" 0644 xattr:user.big="` + strings.Repeat("0123456789", 300) + `"`

// packed is a root in memory.
type packed struct {
	method, codec string
	b             []byte
	segments      []node.Segment
}

func (p packed) options() extract.Options {
	return extract.Options{Method: p.method, Compress: p.codec, Segments: p.segments}
}

// packs are the trees that were packed so far: some take longer to make than all
// that is done with them.
var packs = map[layerFormat]packed{}

type layerFormat struct {
	layer string
	format
}

// packTree packs a tree, a cpio with the list of its extended attributes.
func packTree(t testing.TB, layer string, f format) packed {
	t.Helper()
	if p, ok := packs[layerFormat{layer, f}]; ok {
		return p
	}
	tree := rootfstest.Tree(t, layer)
	if f.Method == pack.CPIO {
		if list, n := pack.Xattrs(tree); n > 0 {
			if err := tree.Put(pack.XattrsName, rootfs.NewFile(0o600, bytes.NewReader(list), 0, int64(len(list)))); err != nil {
				t.Fatal(err)
			}
		}
	}
	o := pack.Options{Method: f.Method, Codec: f.Codec}
	if f.Codec != pack.None {
		o.Level = 1
	}
	var b bytes.Buffer
	info, err := pack.Archive(t.Context(), &b, tree, o)
	if err != nil {
		t.Fatal(err)
	}
	p := packed{method: string(f.Method), codec: string(f.Codec), b: b.Bytes()}
	for _, s := range info.Segments {
		p.segments = append(p.segments, node.Segment(s))
	}
	packs[layerFormat{layer, f}] = p
	return p
}

// format is a way to pack an archive.
type format struct {
	Method pack.Method
	Codec  pack.Codec
}

func formats() (all []format) {
	for _, m := range []pack.Method{pack.CPIO, pack.Tar} {
		for _, c := range m.Codecs() {
			all = append(all, format{m, c})
		}
	}
	return all
}

// unpacked unpacks into a new directory and lists it.
func unpacked(t testing.TB, b []byte, o extract.Options) ([]string, extract.Stats) {
	t.Helper()
	dir := t.TempDir()
	stats, err := extract.Archive(t.Context(), bytes.NewReader(b), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return list(t, dir), stats
}

func list(t testing.TB, dir string) []string {
	t.Helper()
	lines, err := rootfstest.ListDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestArchive(t *testing.T) {
	rootfstest.NeedRoot(t)
	want, err := rootfstest.List(rootfstest.Tree(t, odd))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range formats() {
		if o.Codec == pack.XZ {
			rootfstest.Need(t, "xz")
		}
		p := packTree(t, odd, o)
		if len(p.segments) < 4 {
			t.Fatalf("only %d segments", len(p.segments))
		}
		for _, jobs := range []int{1, 2, 7} {
			for _, table := range []bool{true, false} {
				if jobs != 2 && o.Codec == pack.XZ || jobs > 2 && !table {
					continue // the one takes its time, the other is no work for so many
				}
				t.Run(fmt.Sprintf("%s/%s/%d/%t", o.Method, o.Codec, jobs, table), func(t *testing.T) {
					t.Parallel()
					x := p.options()
					x.Jobs = jobs
					if !table {
						x.Segments = nil
					}
					got, stats := unpacked(t, p.b, x)
					if d := cmp.Diff(want, got); d != "" {
						t.Errorf("(-tree +unpacked):\n%s", d)
					}
					entries := len(want)
					if o.Method == pack.CPIO {
						entries += 2 // the list and its directory
					}
					last := p.segments[len(p.segments)-1]
					var size int64
					for _, s := range p.segments {
						size += s.Unpacked
					}
					if stats.Entries != entries || stats.XattrFiles != 4 || len(stats.Warnings) > 0 || stats.Bytes != size || last.Offset+last.Size != int64(len(p.b)) {
						t.Errorf("%+v, of %d entries and %d bytes", stats, entries, size)
					}
				})
			}
		}
	}
}

// What GNU cpio and tar make of the same archives.
func TestArchiveAgainstGNU(t *testing.T) {
	rootfstest.NeedRoot(t)
	rootfstest.Need(t, "cpio", "tar")
	p := packTree(t, odd, format{pack.CPIO, pack.None})
	o := p.options()
	o.KeepList = true
	got, _ := unpacked(t, p.b, o)
	got = rootfstest.WithoutTimes(got[1:])
	for i, line := range got { // which cpio knows nothing of
		if at := strings.Index(line, " xattr:"); at >= 0 {
			e, err := rootfstest.Parse(line)
			if err == nil && len(e) == 1 {
				e[0].Xattrs = nil
				got[i] = e[0].String()
			}
		}
	}
	// GNU cpio makes symlinks of their own of linked ones, and cannot read mode 0000 but as root.
	want := cpiotest.Extract(t, p.b)
	for i, line := range got {
		if strings.HasPrefix(line, "link sym2 ") {
			got[i] = `symlink sym2 5:6 "to \n there"`
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-GNU cpio +ours):\n%s", d)
	}

	p = packTree(t, odd, format{pack.Tar, pack.None})
	got, _ = unpacked(t, p.b, p.options())
	dir := t.TempDir()
	cpiotest.Run(t, dir, p.b, "tar", "--extract", "--numeric-owner", "--same-permissions", "--xattrs", "--xattrs-include=*", "--delay-directory-restore", "--warning=no-timestamp")
	if d := cmp.Diff(list(t, dir), got); d != "" {
		t.Errorf("(-GNU tar +ours):\n%s", d)
	}
}

// files are what archives of others are made of.
const files = `
	dir     . 0755 mtime=5
	dir     d 0750 1:2 mtime=7
	file    d/a 0644 mtime=9 hello
	link    d/z d/a
	file    "d/b c\nd" 0600 mtime=4294967295 size=10001
	link    y d/a
	file    d/empty 0600
	symlink l "d/b c\nd"
	fifo    pipe 0600 mtime=3
	file    owned 04755 1000:65534 mtime=11 x
	char    null 0666 1 3 mtime=1
	block   sda 0660 0:6 259 65537 mtime=2
	file    large 0644 mtime=4 size=1200000`

func made(t testing.TB, files string) (string, []rootfstest.Entry) {
	t.Helper()
	dir := t.TempDir()
	entries, err := rootfstest.Parse(files)
	if err != nil {
		t.Fatal(err)
	}
	if err := rootfstest.WriteDir(dir, entries); err != nil {
		t.Fatal(err)
	}
	return dir, entries
}

func TestArchiveOfGNU(t *testing.T) {
	rootfstest.NeedRoot(t)
	rootfstest.Need(t, "cpio", "tar", "zstd", "gzip", "lz4", "xz")
	dir, entries := made(t, files)
	if err := os.Truncate(filepath.Join(dir, "large"), 3<<20); err != nil { // a hole
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(dir, "large"), time.Unix(11, 0), time.Unix(11, 0)); err != nil { // cpio has whole seconds
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Path)
	}
	names = append(names, "d/b c\nd") // twice
	stdin := []byte(strings.Join(names, "\x00") + "\x00")
	want := list(t, dir)
	cpio := func(format string) []byte {
		return cpiotest.Run(t, dir, stdin, "cpio", "--create", "--format="+format, "--null", "--quiet")
	}
	tar := func(format string, options ...string) []byte {
		return cpiotest.Run(t, dir, nil, "tar", append(options, "--create", "--format="+format, "--file=-", ".")...)
	}
	for name, tt := range map[string]struct {
		method string
		b      []byte
	}{
		"newc": {"cpio", cpio("newc")}, "crc": {"cpio", cpio("crc")},
		"pax": {"tar", tar("pax")}, "gnu": {"tar", tar("gnu")}, "sparse": {"tar", tar("pax", "--sparse")}, "sparse gnu": {"tar", tar("gnu", "--sparse")},
	} {
		for codec, command := range map[string][]string{
			"none": {"cat"}, "gzip": {"gzip", "-c"}, "xz": {"xz", "-0c"}, "lz4": {"lz4", "-c", "-q"}, "zstd": {"zstd", "-c", "-q"},
		} {
			t.Run(name+"/"+codec, func(t *testing.T) {
				t.Parallel()
				packed := cpiotest.Run(t, dir, tt.b, command[0], command[1:]...)
				got, _ := unpacked(t, packed, extract.Options{Method: tt.method, Compress: codec})
				if d := cmp.Diff(strip(want), strip(got)); d != "" {
					t.Errorf("(-there +unpacked):\n%s", d)
				}
			})
		}
	}
}

// strip leaves out what WriteDir left to chance: times of links.
func strip(lines []string) []string { return rootfstest.WithoutTimes(lines) }

// A list of extended attributes that names what is not there stops the node from
// running without them.
func TestArchiveBadList(t *testing.T) {
	rootfstest.NeedRoot(t)
	for name, tt := range map[string]struct{ list, want string }{
		"missing": {"# file: gone\nuser.a=0seA==\n\n", "setting the extended attributes of /gone: the list names it, and the root has no such file"},
		"garbage": {"user.a=0seA==\n", "reading /.rootcast/xattrs: line 1: no file goes before this attribute"},
		"outside": {"# file: ../f\nuser.a=0seA==\n\n", "setting the extended attributes of /../f: openat ..: path escapes from parent"},
	} {
		t.Run(name, func(t *testing.T) {
			p := packTree(t, fmt.Sprintf("dir . 0755\ndir .rootcast 0755\nfile %s 0644 %q", xattrs.Name, tt.list), format{pack.CPIO, pack.None})
			dir := t.TempDir()
			_, err := extract.Archive(t.Context(), bytes.NewReader(p.b), dir, p.options())
			if want := "unpacking the root into " + dir + ": " + tt.want; err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("error\n%v, want\n%s", err, want)
			}
		})
	}
	// A list that is no file is the image's own business, and so is what lies beside it.
	for _, files := range []string{"dir . 0755\ndir .rootcast 0755\nfifo .rootcast/xattrs 0600", "dir . 0755\nfile .rootcast 0600", "dir . 0755\nsymlink .rootcast /etc"} {
		p := packTree(t, files, format{pack.CPIO, pack.None})
		if _, stats := unpacked(t, p.b, p.options()); stats.XattrFiles != 0 {
			t.Errorf("%+v", stats)
		}
	}
	p := packTree(t, "dir . 0755 mtime=7\ndir .rootcast 0750 mtime=6\nfile .rootcast/own 0644 x\nfile f 0644 xattr:user.a=b", format{pack.CPIO, pack.None})
	got, _ := unpacked(t, p.b, p.options())
	if d := cmp.Diff([]string{"dir . 0755 mtime=7", "dir .rootcast 0750 mtime=6", `file .rootcast/own 0644 "x"`, `file f 0644 xattr:user.a=b`}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// KeepList leaves it where it was.
func TestArchiveKeepList(t *testing.T) {
	rootfstest.NeedRoot(t)
	p := packTree(t, "dir . 0755\nfile f 0644 xattr:user.a=b", format{pack.CPIO, pack.None})
	o := p.options()
	o.KeepList = true
	dir := t.TempDir()
	if _, err := extract.Archive(t.Context(), bytes.NewReader(p.b), dir, o); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, xattrs.Name)); err != nil || string(b) != "# file: f\nuser.a=0sYg==\n\n" {
		t.Errorf("%q, %v", b, err)
	}
}
