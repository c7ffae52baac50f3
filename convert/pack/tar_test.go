package pack_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/cpio/cpiotest"
	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// oddTar has what tar can get wrong beyond odd.
const oddTar = odd + `
	file    neg 0644 mtime=-5 x
	file    late 0644 mtime=9999999999 x
	file    cap 0755 mtime=3.5 xattr:security.capability="\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" program
	dir     acl 0755 xattr:user.odd="a\nb \xff"
	file    ` + "\"" + `acl/` + longName + "\"" + ` 0644 long
	link    long-link ` + "\"" + `acl/` + longName + "\"" + `
	symlink long-symlink ` + "\"" + `acl/` + longName + "\"" + `
	file    "-dash" 0644
	file    "é" 0644 utf-8`

const longName = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789/" +
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

// seconds is what a tree has when times are whole seconds.
func seconds(lines []string) []string {
	for i, line := range lines {
		lines[i] = strings.ReplaceAll(line, " mtime=3.500000000", " mtime=3")
	}
	return lines
}

func listTree(t testing.TB, tree *rootfs.Tree) []string {
	t.Helper()
	lines, err := rootfstest.List(tree)
	if err != nil {
		t.Fatal(err)
	}
	return seconds(lines)
}

// Each segment is a row of whole entries, and all of them are one tar that says
// the same as the tree.
func TestTar(t *testing.T) {
	trees := map[string]*rootfs.Tree{
		"empty": rootfstest.Tree(t),
		"odd":   rootfstest.Tree(t, oddTar),
		"many":  rootfstest.Tree(t, manyLayer(100, 12<<20)),
		"large": rootfstest.Tree(t, odd+"\nfile large 0644 size=20000000\nfile later 0644 size=5000000"),
	}
	for name, tree := range trees {
		for _, codec := range codecs {
			t.Run(name+"/"+string(codec), func(t *testing.T) {
				o := pack.Options{Method: pack.Tar, Codec: codec, Level: level(codec), Jobs: 1}
				b, info := pax(t, tree, o)
				checkInfo(t, b, info)
				o.Jobs = 3
				if again, _ := pax(t, tree, o); !bytes.Equal(b, again) {
					t.Error("3 jobs make other bytes than 1")
				}
				var plain []byte
				for _, s := range info.Segments {
					part := unpackOne(t, codec, b[s.Offset:s.Offset+s.Size])
					if int64(len(part)) != s.Unpacked || len(part)%512 != 0 {
						t.Errorf("a segment of %d bytes has %d", s.Unpacked, len(part))
					}
					plain = append(plain, part...)
				}
				// Read as a layer, it makes the same tree again.
				x, err := rootfs.IndexTar(t.Context(), rootfs.Layer{Name: "packed", Tar: bytes.NewReader(plain), Size: int64(len(plain))})
				if err != nil {
					t.Fatal(err)
				}
				again, err := rootfs.Merge(t.Context(), x)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(listTree(t, tree), listTree(t, again)); d != "" {
					t.Errorf("(-tree +tar):\n%s", d)
				}
				if !bytes.HasSuffix(plain, make([]byte, 1024)) || len(x.Entries) != info.Entries {
					t.Errorf("%d entries, Info has %d", len(x.Entries), info.Entries)
				}
			})
		}
	}
}

// GNU tar reads the file as one archive.
func TestTarByTool(t *testing.T) {
	rootfstest.Need(t, "tar", "zstd", "gzip", "xz", "lz4")
	tree := rootfstest.Tree(t, oddTar)
	for _, codec := range codecs {
		t.Run(string(codec), func(t *testing.T) {
			rootfstest.NeedRoot(t)
			b, _ := pax(t, tree, pack.Options{Method: pack.Tar, Codec: codec, Level: level(codec), Jobs: 2})
			dir := t.TempDir()
			cpiotest.Run(t, dir, decompress(t, codec, b), "tar", "--extract", "--same-owner", "--preserve-permissions",
				"--xattrs", "--xattrs-include=*", "--delay-directory-restore", "--warning=no-timestamp", "--file=-")
			got, err := rootfstest.ListDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(listTree(t, tree), got); d != "" {
				t.Errorf("(-tree +tar -x):\n%s", d)
			}
		})
	}
}

// A file of 4 GiB or more is no matter for tar; it is not read here to its end.
func TestTarLargeFile(t *testing.T) {
	for _, size := range []int64{1 << 32, 1 << 33, 1 << 40} {
		stop := errors.New("enough")
		head := &limited{left: 4 << 20, err: stop}
		_, err := pack.Archive(t.Context(), head, with(t, "big", &body{}, size), pack.Options{Method: pack.Tar})
		if !errors.Is(err, stop) {
			t.Fatal(err)
		}
		r := tar.NewReader(bytes.NewReader(head.b.Bytes()))
		for {
			h, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			if h.Name == "big" {
				if h.Size != size {
					t.Errorf("%d bytes of %d", h.Size, size)
				}
				break
			}
		}
	}
}

// limited keeps what is written until it is full.
type limited struct {
	b    bytes.Buffer
	left int
	err  error
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, l.err
	}
	return l.b.Write(p)
}

func TestTarRefuses(t *testing.T) {
	for _, tt := range []struct{ layer, want string }{
		{`file a 0644 xattr:user.100%=x`, `writing tar entry "a": no place for an extended attribute called "user.100%"`},
	} {
		var out bytes.Buffer
		_, err := pack.Archive(t.Context(), &out, rootfstest.Tree(t, tt.layer), pack.Options{Method: pack.Tar})
		if err == nil || err.Error() != tt.want || out.Len() > 0 {
			t.Errorf("error %v, want %s", err, tt.want)
		}
	}
}

func TestSeconds(t *testing.T) {
	for _, tt := range []struct {
		method pack.Method
		time   int64
		want   int64
	}{
		{pack.Tar, -5, -5},
		{pack.Tar, 1 << 33, 1 << 33},
		{pack.SquashFS, -5, 0},
		{pack.SquashFS, 1 << 33, math.MaxUint32},
		{pack.EROFS, 7, 7},
		{pack.CPIO, 1 << 33, math.MaxUint32},
	} {
		in := &rootfs.Inode{ModTime: time.Unix(tt.time, 5)}
		if got := tt.method.Seconds(in, time.Time{}); got != tt.want {
			t.Errorf("%s gives %d the time %d, want %d", tt.method, tt.time, got, tt.want)
		}
		if got := tt.method.Seconds(in, time.Unix(3, 0)); got != min(tt.want, 3) {
			t.Errorf("%s gives %d the time %d, not after 3", tt.method, tt.time, got)
		}
	}
}
