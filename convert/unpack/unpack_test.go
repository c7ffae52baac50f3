package unpack_test

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

	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
	"github.com/rootcast/rootcast/convert/unpack"
)

// odd has everything that a format can get wrong.
var odd = `
	dir     . 0711 7:8 mtime=5 xattr:user.root=r
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
	file    cap 0755 xattr:security.capability="\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" xattr:user.empty= program
	file    large 0644 size=3000000
	dir     deep 0755
	file    deep/` + strings.Repeat("d/", 60) + `file 0644 x
	file    deep/` + strings.Repeat("long", 60) + ` 0644 x
	file    "-dash" 0644 xattr:user.big="` + strings.Repeat("0123456789", 300) + `"`

// methods are all ways to pack.
func methods() (all []pack.Options) {
	for _, m := range []pack.Method{pack.CPIO, pack.Tar, pack.SquashFS, pack.EROFS} {
		for _, c := range m.Codecs() {
			o := pack.Options{Method: m, Codec: c}
			if c == pack.XZ || c == pack.Gzip {
				o.Level = 1
			}
			all = append(all, o)
		}
	}
	return all
}

// packed packs the tree into a file.
func packed(t testing.TB, tree *rootfs.Tree, o pack.Options) string {
	t.Helper()
	if o.Method == pack.EROFS {
		rootfstest.NeedEROFS(t)
	}
	file := filepath.Join(t.TempDir(), "root")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if o.Method.IsArchive() {
		_, err = pack.Archive(t.Context(), f, tree, o)
	} else {
		_, err = pack.Image(t.Context(), file, tree, o)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return file
}

// lines lists a packed root in the language of rootfstest.
func lines(t testing.TB, root unpack.Root) []string {
	t.Helper()
	verbs := map[uint32]string{0o040000: "dir", 0o100000: "file", 0o120000: "symlink", 0o020000: "char", 0o060000: "block", 0o010000: "fifo"}
	var entries []rootfstest.Entry
	at := map[string]int{}
	err := root.Walk(t.Context(), func(e *unpack.Entry) error {
		line := rootfstest.Entry{
			Verb: verbs[e.Mode&0o170000], Path: e.Name, Mode: int64(e.Mode & 0o7777), UID: int(e.UID), GID: int(e.GID),
			Major: int64(e.Major), Minor: int64(e.Minor), ModTime: time.Unix(e.ModTime, 0), Target: e.Target, Xattrs: e.Xattrs,
		}
		var body []byte
		if e.Body != nil {
			var err error
			if body, err = io.ReadAll(e.Body); err != nil || int64(len(body)) != e.Size {
				return fmt.Errorf("%s: %d bytes of %d, %w", e.Name, len(body), e.Size, err)
			}
		}
		first := e.First
		if first != e.Name {
			line = rootfstest.Entry{Verb: "link", Path: e.Name, Target: first}
		} else {
			at[first] = len(entries)
			if line.Verb == "symlink" {
				line.Mode = 0
			}
		}
		entries = append(entries, line)
		if len(body) > 0 {
			entries[at[first]].Content = string(body)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.String())
	}
	return list
}

// Every format holds what the tree has, and the same bytes at any number of jobs.
func TestWalk(t *testing.T) {
	tree := rootfstest.Tree(t, odd)
	want, err := rootfstest.List(tree)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range methods() {
		t.Run(string(o.Method)+"/"+string(o.Codec), func(t *testing.T) {
			o.Jobs = 1
			file := packed(t, tree, o)
			o.Jobs = 2
			first, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := os.ReadFile(packed(t, tree, o)); err != nil || !bytes.Equal(first, again) {
				t.Errorf("2 jobs make other bytes than 1: %v", err)
			}
			if o.Method == pack.EROFS {
				rootfstest.NeedRoot(t)
			}
			want := slices.Clone(want)
			if o.Method == pack.CPIO {
				for i, line := range want {
					if e, err := rootfstest.Parse(line); err == nil && len(e) == 1 {
						e[0].Xattrs = nil
						want[i] = e[0].String()
					}
				}
			}
			got := lines(t, unpack.Root{Path: file, Method: o.Method, Codec: o.Codec})
			if d := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got))); d != "" {
				t.Errorf("(-tree +%s):\n%s", o.Method, d)
			}
		})
	}
}

// A file that is cut off, or longer, or of another kind, is an error.
func TestWalkDamaged(t *testing.T) {
	tree := rootfstest.Tree(t, odd)
	for _, o := range methods() {
		if o.Method == pack.EROFS {
			continue // its kernel's own business
		}
		t.Run(string(o.Method)+"/"+string(o.Codec), func(t *testing.T) {
			file := packed(t, tree, o)
			good, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for name, bad := range map[string][]byte{
				"half": good[:len(good)/2], "other": []byte(strings.Repeat("no such thing", 1000)), "longer": append(bytes.Clone(good), good...),
			} {
				if name == "longer" && (o.Method == pack.SquashFS || o.Codec != pack.None && o.Method == pack.Tar) {
					continue // a squashfs may be followed by anything
				}
				if err := os.WriteFile(file, bad, 0o600); err != nil {
					t.Fatal(err)
				}
				root := unpack.Root{Path: file, Method: o.Method, Codec: o.Codec}
				if err := root.Walk(t.Context(), func(e *unpack.Entry) error {
					if e.Body == nil {
						return nil
					}
					_, err := io.Copy(io.Discard, e.Body)
					return err
				}); err == nil {
					t.Errorf("%s is read as whole", name)
				}
			}
		})
	}
}

func TestWalkEnds(t *testing.T) {
	tree := rootfstest.Tree(t, odd)
	for _, o := range []pack.Options{{Method: pack.CPIO, Codec: pack.None}, {Method: pack.Tar, Codec: pack.None}, {Method: pack.SquashFS, Codec: pack.Zstd}, {Method: pack.EROFS, Codec: pack.LZ4}} {
		t.Run(string(o.Method), func(t *testing.T) {
			root := unpack.Root{Path: packed(t, tree, o), Method: o.Method, Codec: o.Codec}
			if o.Method == pack.EROFS {
				rootfstest.NeedRoot(t)
			}
			enough := errors.New("enough")
			if err := root.Walk(t.Context(), func(*unpack.Entry) error { return enough }); !errors.Is(err, enough) {
				t.Errorf("error %v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			if err := root.Walk(ctx, func(*unpack.Entry) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v after its end", err)
			}
			root.Path += "not"
			if err := root.Walk(t.Context(), func(*unpack.Entry) error { return nil }); err == nil {
				t.Error("a file that is not there is read")
			}
		})
	}
	if err := (unpack.Root{Method: "zip"}).Walk(t.Context(), nil); err == nil {
		t.Error("zip is read")
	}
}
