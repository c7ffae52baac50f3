package rootfs_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// rawTar writes headers as they are, each with size zero bytes behind it.
func rawTar(t testing.TB, headers ...*tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, h.Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// patch changes a header's field and mends the header's sum.
func patch(b []byte, at int, field string) []byte {
	b = bytes.Clone(b)
	copy(b[at:], field)
	copy(b[148:156], "        ")
	sum := 0
	for _, c := range b[:512] {
		sum += int(c)
	}
	copy(b[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

func index(b []byte) (*rootfs.Index, error) {
	return rootfs.IndexTar(context.Background(), rootfs.Layer{Name: "L", Tar: bytes.NewReader(b), Size: int64(len(b))})
}

func merge(t testing.TB, b []byte) *rootfs.Tree {
	t.Helper()
	x, err := index(b)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := rootfs.Merge(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestIndexTarRefuses(t *testing.T) {
	file := func(change func(h *tar.Header)) []byte {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: "dir/f", Mode: 0o644, ModTime: time.Unix(0, 0)}
		change(h)
		return rawTar(t, h)
	}
	tests := []struct {
		name string
		tar  []byte
		want string
	}{
		{"name out of the root", file(func(h *tar.Header) { h.Name = "../x" }), `layer L: entry "../x": the name leaves the root`},
		{"name out of the root, later", file(func(h *tar.Header) { h.Name = "a/b/../../../x" }), `layer L: entry "a/b/../../../x": the name leaves the root`},
		{"absolute name out of the root", file(func(h *tar.Header) { h.Name = "/../x" }), `layer L: entry "/../x": the name leaves the root`},
		{"name that is the parent", file(func(h *tar.Header) { h.Name = ".." }), `layer L: entry "..": the name leaves the root`},
		{"whiteout out of the root", file(func(h *tar.Header) { h.Name = "../.wh.x" }), `layer L: entry "../.wh.x": the name leaves the root`},
		{"whiteout of no name", file(func(h *tar.Header) { h.Name = "a/.wh." }), `layer L: entry "a/.wh.": a whiteout of no name`},
		{"whiteout of the directory", file(func(h *tar.Header) { h.Name = "a/.wh.." }), `layer L: entry "a/.wh..": a whiteout of no name`},
		{"whiteout of the parent", file(func(h *tar.Header) { h.Name = "a/.wh..." }), `layer L: entry "a/.wh...": a whiteout of no name`},
		{"root that is a file", file(func(h *tar.Header) { h.Name = "." }), `layer L: entry ".": the root is not a directory`},
		{
			"root that is a symlink", file(func(h *tar.Header) { h.Typeflag, h.Name, h.Linkname = tar.TypeSymlink, "/", "/etc" }),
			`layer L: entry "/": the root is not a directory`,
		},
		{"no name", patch(file(func(*tar.Header) {}), 0, "\x00\x00\x00\x00\x00\x00"), `layer L: entry "": the name is empty`},
		{
			"name of 4096 bytes", file(func(h *tar.Header) { h.Name = strings.Repeat("/abc", 1024)[1:] + "d" }),
			`the name is longer than Linux takes: 4095 bytes, 255 between two slashes`,
		},
		{
			"name of 256 bytes", file(func(h *tar.Header) { h.Name = "a/" + strings.Repeat("n", 256) }),
			`the name is longer than Linux takes: 4095 bytes, 255 between two slashes`,
		},
		{
			"link out of the root", file(func(h *tar.Header) { h.Typeflag, h.Linkname = tar.TypeLink, "../../etc/shadow" }),
			`layer L: entry "dir/f": hard link to "../../etc/shadow": the name leaves the root`,
		},
		{
			"link to no name", file(func(h *tar.Header) { h.Typeflag = tar.TypeLink }),
			`layer L: entry "dir/f": hard link to "": the name is empty`,
		},
		{"symlink to nothing", file(func(h *tar.Header) { h.Typeflag = tar.TypeSymlink }), `layer L: entry "dir/f": symlink to ""`},
		{
			"symlink to 4096 bytes", file(func(h *tar.Header) { h.Typeflag, h.Linkname = tar.TypeSymlink, strings.Repeat("x", 4096) }),
			`layer L: entry "dir/f": symlink to 4096 bytes, and Linux takes 4095`,
		},
		{
			"a directory whose content is elsewhere", file(func(h *tar.Header) {
				h.Typeflag, h.PAXRecords = tar.TypeDir, map[string]string{"SCHILY.xattr.trusted.overlay.redirect": "/old"}
			}),
			`layer L: entry "dir/f": its xattr trusted.overlay.redirect says that its content is in another layer; make the layer without overlayfs's redirect_dir and metacopy`,
		},
		{
			"a file whose content is elsewhere", file(func(h *tar.Header) { h.PAXRecords = map[string]string{"SCHILY.xattr.user.overlay.metacopy": ""} }),
			`layer L: entry "dir/f": its xattr user.overlay.metacopy says that its content is in another layer; make the layer without overlayfs's redirect_dir and metacopy`,
		},
		{
			"a root that is a whiteout", file(func(h *tar.Header) { h.Typeflag, h.Name = tar.TypeChar, "." }),
			`layer L: entry ".": the root is not a directory`,
		},
		{"unknown type", patch(file(func(*tar.Header) {}), 156, "Z"), `layer L: entry "dir/f": unknown tar entry type "Z"`},
		{"a directory's dump", patch(file(func(*tar.Header) {}), 156, "D"), `layer L: entry "dir/f": unknown tar entry type "D"`},
		{"the rest of another volume", patch(file(func(*tar.Header) {}), 156, "M"), `layer L: entry "dir/f": unknown tar entry type "M"`},
		{"xattr of no name", file(func(h *tar.Header) { h.PAXRecords = map[string]string{"SCHILY.xattr.": "x"} }), `layer L: entry "dir/f": an extended attribute without a name`},
		{"uid below 0", patch(file(func(*tar.Header) {}), 108, "\xff\xff\xff\xff\xff\xff\xff\xfe"), `layer L: entry "dir/f": uid -2 is out of range`},
		{"uid that chown(2) does not take", file(func(h *tar.Header) { h.Uid = 1<<32 - 1 }), `layer L: entry "dir/f": uid 4294967295 is out of range`},
		{"gid over 32 bits", file(func(h *tar.Header) { h.Gid = 1 << 32 }), `layer L: entry "dir/f": gid 4294967296 is out of range`},
		{
			"device major over 12 bits", file(func(h *tar.Header) { h.Typeflag, h.Devmajor = tar.TypeChar, 4096 }),
			`layer L: entry "dir/f": device major 4096 is out of range`,
		},
		{
			"device minor over 20 bits", file(func(h *tar.Header) { h.Typeflag, h.Devminor = tar.TypeBlock, 1<<20 }),
			`layer L: entry "dir/f": device minor 1048576 is out of range`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := index(tt.tar)
			if err == nil || !strings.HasSuffix(err.Error(), tt.want) {
				t.Errorf("error\n%v, want\n%s", err, tt.want)
			}
		})
	}
}

// Names as PAX records hold what a ustar header cannot.
func TestIndexTarNULInPAXName(t *testing.T) {
	b := rawTar(t, &tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("n", 200), Format: tar.FormatPAX})
	i := bytes.Index(b, []byte("path=nnn"))
	b[i+len("path=nn")] = 0
	if _, err := index(b); err == nil {
		t.Error("a name with a NUL is taken")
	}
}

func TestIndexTarDamaged(t *testing.T) {
	whole, err := io.ReadAll(rootfstest.Tar(t, "dir d 0755\nfile d/a 0644 size=1000\nfile d/b 0644 size=2000\n"+
		"file "+strings.Repeat("long/", 60)+"x 0644"))
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Index(whole, rootfstest.Pattern(2000))
	tests := []struct {
		name string
		tar  []byte
		want string
	}{
		{"cut in a file", whole[:body+100], `reading layer L after "d/b": unexpected EOF`},
		{"cut at a block in a file", whole[:body+512], `reading layer L after "d/b": unexpected EOF`},
		{"cut in a header", whole[:body-500], `reading layer L after "d/a": unexpected EOF`},
		{"cut in a long name", whole[:bytes.Index(whole, []byte("path=long"))+20], `reading layer L after "d/b": unexpected EOF`},
		{"not a tar", []byte(strings.Repeat("no tar at all ", 100)), `reading layer L after its start: archive/tar: invalid tar header`},
		{"a wrong sum", append([]byte("E"), whole[1:]...), `reading layer L after its start: archive/tar: invalid tar header`},
		{"a size of 2^63-1", patch(whole, 124, "\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff"), `reading layer L after`},
		{"a size below 0", patch(whole, 124, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), `reading layer L after its start: archive/tar: invalid tar header`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tarball := tt.tar
			if strings.HasPrefix(tt.name, "a size") { // of a file, since a directory has none
				tarball = patch(tarball, 156, "0")
			}
			x, err := index(tarball)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("index %v, error\n%v, want\n%s", x, err, tt.want)
			}
		})
	}
}

func TestIndexTarSkips(t *testing.T) {
	b := rawTar(
		t,
		&tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": "a commit"}},
		&tar.Header{Typeflag: tar.TypeDir, Name: ".wh..wh.plnk/", Mode: 0o700},
		&tar.Header{Typeflag: tar.TypeReg, Name: ".wh..wh.plnk/123.456", Size: 700},
		&tar.Header{Typeflag: tar.TypeReg, Name: ".wh..wh.aufs"},
		&tar.Header{Typeflag: tar.TypeReg, Name: "d/.wh..wh.orph"},
		&tar.Header{Typeflag: tar.TypeReg, Name: "f", Mode: 0o644},
		&tar.Header{Typeflag: tar.TypeCont, Name: "g", Mode: 0o644, Size: 3},
	)
	rootfstest.Diff(t, merge(t, b), "dir . 0755\nfile f 0644\nfile g 0644 \"\\x00\\x00\\x00\"")
}

// Bits that are no permissions (GNU tar writes the file type there) are not kept.
func TestIndexTarMasksModes(t *testing.T) {
	b := patch(rawTar(t, &tar.Header{Typeflag: tar.TypeReg, Name: "f"}), 100, "0144755\x00")
	rootfstest.Diff(t, merge(t, b), "dir . 0755\nfile f 04755")
}

// Every format of sparse files that GNU tar writes, and what stands around them.
func TestIndexTarSparse(t *testing.T) {
	rootfstest.Need(t, "tar")
	dir := t.TempDir()
	type hole struct {
		at   int64
		data string
	}
	files := map[string][]hole{
		"a-holes": {{0, "start"}, {1 << 20, "middle"}, {3<<20 + 5, "end"}},
		"b-plain": {{0, "no hole"}},
		"c-empty": {{1 << 21, ""}},
		"d-many":  nil,
		"e-holes": {{1 << 22, "x"}},
	}
	for i := range int64(50) {
		files["d-many"] = append(files["d-many"], hole{i << 16, fmt.Sprint("piece ", i)})
	}
	want := map[string][]byte{}
	for name, holes := range files {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		var b []byte
		for _, h := range holes {
			b = append(b, make([]byte, h.at-int64(len(b)))...)
			b = append(b, h.data...)
			if _, err := f.WriteAt([]byte(h.data), h.at); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(f.Truncate(int64(len(b))), f.Close()); err != nil {
			t.Fatal(err)
		}
		want[name] = b
	}
	for _, format := range [][]string{{"--format=gnu"}, {"--format=pax", "--sparse-version=0.0"}, {"--format=pax", "--sparse-version=0.1"}, {"--format=pax", "--sparse-version=1.0"}} {
		t.Run(strings.Join(format, " "), func(t *testing.T) {
			args := append([]string{"--sparse", "-C", dir, "-cf", "-"}, format...)
			b, err := exec.Command("tar", append(args, "a-holes", "b-plain", "c-empty", "d-many", "e-holes")...).Output()
			if err != nil {
				t.Fatal(err)
			}
			if len(b) > 1<<20 {
				t.Fatalf("the tar has %d bytes: it is not sparse", len(b))
			}
			// A global header is no multiple of a block long.
			global := rawTar(t, &tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "a commit"}})
			for _, before := range [][]byte{nil, global[:len(global)-1024]} {
				tree := merge(t, append(bytes.Clone(before), b...))
				for name, body := range want {
					got, err := fsRead(tree, name)
					if err != nil || !bytes.Equal(got, body) {
						t.Errorf("%s: %d bytes, %v, want %d", name, len(got), err, len(body))
					}
					checkRanges(t, tree, name, body)
				}
			}
		})
	}
}

// checkRanges reads a file's content in parts; a part past its end is an error.
func checkRanges(t *testing.T, tree *rootfs.Tree, name string, body []byte) {
	t.Helper()
	for n, in := range tree.All() {
		if n != name {
			continue
		}
		for _, off := range []int{0, len(body) / 3, len(body) - 1, len(body)} {
			part := make([]byte, (len(body)-max(off, 0)+1)/2)
			if err := in.ReadRange(part, int64(off)); err != nil || !bytes.Equal(part, body[off:][:len(part)]) {
				t.Errorf("%s: %d bytes from %d on: %v", name, len(part), off, err)
			}
		}
		err := in.ReadRange(make([]byte, 10), int64(len(body)-4))
		if want := fmt.Sprintf("content ends at byte %d of %d", len(body), len(body)); len(body) > 4 && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: past its end: error %v", name, err)
		}
	}
}

func fsRead(tree *rootfs.Tree, name string) ([]byte, error) {
	for n, in := range tree.All() {
		if n == name {
			return io.ReadAll(in.Open())
		}
	}
	return nil, os.ErrNotExist
}

// A file whose tar shrank after it was indexed must not come out short.
func TestOpenOfTruncatedContent(t *testing.T) {
	b, err := io.ReadAll(rootfstest.Tar(t, "file a 0644 size=5000"))
	if err != nil {
		t.Fatal(err)
	}
	x, err := rootfs.IndexTar(t.Context(), rootfs.Layer{Name: "L", Tar: &shrinking{b: b, left: 4}, Size: int64(len(b))})
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadAll(x.Entries[0].Inode.Open())
	if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "content ends at byte 1000 of 5000") {
		t.Errorf("error %v", err)
	}
}

// shrinking loses all but its first KiB after some reads.
type shrinking struct {
	b    []byte
	left int
}

func (s *shrinking) ReadAt(p []byte, off int64) (int, error) {
	b := s.b
	if s.left--; s.left < 0 {
		b = b[:1512]
	}
	return bytes.NewReader(b).ReadAt(p, off)
}

func TestIndexTarIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := rootfstest.Tar(t, "file a 0644")
	if _, err := rootfs.IndexTar(ctx, rootfs.Layer{Name: "L", Tar: b, Size: b.Size()}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}
