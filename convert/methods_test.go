package convert_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert"
	"github.com/rootcast/rootcast/convert/cpio"
	"github.com/rootcast/rootcast/convert/image"
	"github.com/rootcast/rootcast/convert/netboot"
	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

const capable = lower + `
	file etc/ping 0755 xattr:security.capability="\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" program
	link etc/ping6 etc/ping
	dir  acl 0755 xattr:user.a="\x00\xff"`

var methods = []pack.Method{pack.CPIO, pack.Tar, pack.SquashFS, pack.EROFS}

// needs what the method needs to be packed and read back.
func needs(t *testing.T, m pack.Method) {
	t.Helper()
	if m == pack.EROFS {
		rootfstest.NeedEROFS(t)
		rootfstest.NeedRoot(t)
	}
}

// Every method and codec is verified, is the same for any number of jobs, and
// leaves no file beside its own.
func TestMethods(t *testing.T) {
	for _, m := range methods {
		for _, codec := range append([]pack.Codec{convert.Auto}, m.Codecs()...) {
			t.Run(string(m)+"/"+string(codec), func(t *testing.T) {
				needs(t, m)
				img := newImage(t, capable, upper)
				dir := filepath.Join(t.TempDir(), "out")
				o := convert.Options{Initrd: convert.InitrdNone, Dir: dir, Method: m, Compress: codec, Jobs: 1}
				made, err := convert.Convert(t.Context(), img, o)
				if err != nil {
					t.Fatal(err)
				}
				o.Dir, o.Jobs = filepath.Join(t.TempDir(), "again"), 2
				again, err := convert.Convert(t.Context(), img, o)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(made, again); d != "" {
					t.Errorf("2 jobs (-1 +2):\n%s", d)
				}
				root, _ := made.Root()
				want := netboot.RootName(made.Boot, m, pack.Codec(root.Compress), false)
				if root.Name != want || root.Size == 0 || (root.Made != "") != !m.IsArchive() || (made.Xattrs != nil) != (m == pack.CPIO) {
					t.Errorf("%+v, want the name %s; xattrs %+v", root, want, made.Xattrs)
				}
				names, err := filepath.Glob(filepath.Join(netboot.Current(dir), "[^.]*"))
				if err != nil || len(names) != 3 {
					t.Errorf("the version has %v, %v", names, err)
				}
				if err := errors.Join(convert.VerifyFiles(t.Context(), dir, made, nil), convert.VerifyTree(t.Context(), dir, made, img, nil)); err != nil {
					t.Errorf("verifying: %v", err)
				}
			})
		}
	}
}

// Verify finds in every method what is not as the image has it.
func TestVerifyEveryMethod(t *testing.T) {
	other := func(from, to string) string { return strings.Replace(capable, from, to, 1) }
	changes := []struct{ layer, want string }{
		{other(`"setuid"`, `"Setuid"`), "differs in content"},
		{other("etc/su 04755", "etc/su 0755"), "has mode"},
		{other("7:8", "9:8"), "has owner 7 in the packed root, 9 in the image"},
		{other("mtime=1000", "mtime=1001"), "has time 1000 in the packed root, 1001"},
		{other("0666 1 3", "0666 1 5"), "/dev/null has device minor 3 in the packed root, 5"},
		{other("link su", "link su2"), `leads to "su" in the packed root, to "su2"`},
		{other("size=3000000", "size=3000001"), "/big has 3000000 bytes in the packed root, 3000001"},
		{other(`file etc/gone 0644 "gone"`, ""), "/etc/gone is in the packed root, not in the image"},
		{capable + "\nfile etc/more 0644 x", "/etc/more is missing from the packed root"},
		{other("link etc/su2 etc/su", `file etc/su2 04755 "setuid"`), "in the packed root"},
		{other("link etc/ping6 etc/ping", "link etc/ping6 etc/su"), "in the packed root"},
		{other(`xattr:user.a="\x00\xff"`, `xattr:user.a="\x00\xfe"`), "acl"},
		{other(`xattr:user.a="\x00\xff"`, ""), "acl"},
		{other(`xattr:security.capability="\x01`, `xattr:security.capability="\x00`), "etc/ping"},
	}
	for _, m := range methods {
		t.Run(string(m), func(t *testing.T) {
			needs(t, m)
			dir := filepath.Join(t.TempDir(), "out")
			made, err := convert.Convert(t.Context(), newImage(t, capable), convert.Options{Initrd: convert.InitrdNone, Dir: dir, Method: m})
			if err != nil {
				t.Fatal(err)
			}
			for _, tt := range changes {
				want := tt.want
				if m == pack.CPIO && !strings.Contains(want, " ") {
					want = pack.XattrsName // whose list differs
				}
				if err := convert.VerifyTree(t.Context(), dir, made, newImage(t, tt.layer), nil); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want an error with %q", err, want)
				}
			}
		})
	}
}

const config = "\nfile boot/config-6.1.0-37-amd64 0644 \"CONFIG_BLK_DEV_INITRD=y\\nCONFIG_RD_GZIP=y\\nCONFIG_RD_XZ=y\\nCONFIG_SQUASHFS=m\\nCONFIG_SQUASHFS_LZ4=y\\n\""

func TestAuto(t *testing.T) {
	for _, tt := range []struct {
		layer    string
		o        convert.Options
		compress string // that is chosen
		err      string
	}{
		{lower + config, convert.Options{Initrd: convert.InitrdNone}, "gzip", ""},
		{lower + config, convert.Options{Initrd: convert.InitrdNone, Exclude: nil, Method: pack.SquashFS}, "lz4", ""},
		{lower + config, convert.Options{Initrd: convert.InitrdNone, Method: pack.Tar}, "zstd", ""}, // the first stage unpacks it
		{lower + config, convert.Options{Initrd: convert.InitrdNone, Boot: "netroot"}, "zstd", ""},
		{lower + config, convert.Options{Initrd: convert.InitrdNone, Boot: "netroot", Compress: pack.LZ4}, "lz4", ""},
		{lower + config, convert.Options{Initrd: convert.InitrdNone, Compress: pack.XZ}, "xz", ""},
		{lower + config, convert.Options{Initrd: convert.InitrdNone, Compress: pack.Zstd}, "", "cannot read cpio compressed by zstd, as its configuration /boot/config-6.1.0-37-amd64 says: use --compress gzip, xz, none"},
		{lower + config, convert.Options{Initrd: convert.InitrdNone, Method: pack.SquashFS, Compress: pack.XZ}, "", "use --compress lz4"},
		{lower + config, convert.Options{Initrd: convert.InitrdNone, Method: pack.EROFS}, "", "cannot mount erofs by its configuration"},
		{lower + config, convert.Options{Initrd: convert.InitrdNone, Boot: "ramdisk", Method: pack.Tar}, "", "the kernel itself unpacks the ramdisk, which must be a cpio archive: --method tar needs --initrd builtin, or --boot netroot"},
		{lower + config, convert.Options{Initrd: convert.InitrdNone, Method: pack.SquashFS, Compress: pack.None}, "", `squashfs cannot be compressed by "none": one of zstd, gzip, xz, lz4`},
		{lower + config, convert.Options{Initrd: convert.InitrdNone, Boot: "disk"}, "", `unknown way to boot "disk": one of ramdisk, netroot`},
		{lower + config, convert.Options{Initrd: convert.InitrdNone, Level: 19}, "", "gzip has 1 to 9"},
		{strings.ReplaceAll(lower, "6.1.0-37", "4.18.0"), convert.Options{Initrd: convert.InitrdNone, Kernel: "4.18"}, "gzip", ""},
		{strings.ReplaceAll(lower, "6.1.0-37", "4.18.0"), convert.Options{Initrd: convert.InitrdNone, Kernel: "4.18", Method: pack.EROFS}, "", "the kernel 4.18.0-amd64 is too old for erofs: use another --method"},
	} {
		t.Run(fmt.Sprint(tt.o.Boot, tt.o.Method, tt.o.Compress, tt.compress), func(t *testing.T) {
			tt.o.Dir = filepath.Join(t.TempDir(), "out")
			m, err := convert.Convert(t.Context(), newImage(t, tt.layer), tt.o)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if root, _ := m.Root(); root.Compress != tt.compress {
				t.Errorf("compressed by %s, want %s", root.Compress, tt.compress)
			}
			guessed := slices.ContainsFunc(m.Warnings, func(w string) bool { return strings.Contains(w, "no configuration of its kernel") })
			if guessed != !strings.Contains(tt.layer, "config-") {
				t.Errorf("warnings %q", m.Warnings)
			}
		})
	}
}

// An image's own file is not replaced by the list of extended attributes.
func TestXattrsCollision(t *testing.T) {
	t.Parallel()
	for _, layer := range []string{"file .rootcast/xattrs 0644 x", "file .rootcast 0644 x", "symlink .rootcast etc"} {
		_, err := convert.Convert(t.Context(), newImage(t, capable, layer), convert.Options{Initrd: convert.InitrdNone, Dir: filepath.Join(t.TempDir(), "out")})
		if err == nil || !strings.Contains(err.Error(), "the image has a file /.rootcast") {
			t.Errorf("%s: %v", layer, err)
		}
		if _, err := convert.Convert(t.Context(), newImage(t, capable, layer), convert.Options{Initrd: convert.InitrdNone, Dir: filepath.Join(t.TempDir(), "out"), Method: pack.Tar}); err != nil {
			t.Errorf("%s in a tar: %v", layer, err)
		}
	}
}

// A tool that is missing, or too old, is named with the package that brings it,
// before anything is made.
func TestMissingTools(t *testing.T) {
	empty := t.TempDir()
	old := t.TempDir()
	if err := os.WriteFile(filepath.Join(old, "mkfs.erofs"), []byte("#!/bin/sh\necho 'mkfs.erofs 1.5'\nexit 1\n"), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path string
		o    convert.Options
		want string
	}{
		{empty, convert.Options{Initrd: convert.InitrdNone, Method: pack.SquashFS}, "tar2sqfs is not installed here: install the package squashfs-tools-ng"},
		{empty, convert.Options{Initrd: convert.InitrdNone, Method: pack.EROFS}, "mkfs.erofs is not installed here: install the package erofs-utils, 1.8 or newer"},
		{old, convert.Options{Initrd: convert.InitrdNone, Method: pack.EROFS}, `says "mkfs.erofs 1.5": erofs-utils 1.8 or newer is needed`},
		{empty, convert.Options{Initrd: convert.InitrdNone, Compress: pack.XZ}, "xz is not installed here: install the package xz-utils (Debian) or xz"},
	} {
		t.Setenv("PATH", tt.path)
		tt.o.Dir = filepath.Join(t.TempDir(), "out")
		_, err := convert.Convert(t.Context(), newImage(t, lower), tt.o)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want %s", err, tt.want)
		}
		if _, err := os.Stat(tt.o.Dir); !os.IsNotExist(err) {
			t.Errorf("%s was made: %v", tt.o.Dir, err)
		}
	}
}

// A tool that fails says why, and leaves nothing.
func TestFailingTool(t *testing.T) {
	bin := t.TempDir()
	for name, program := range map[string]string{
		"tar2sqfs":   "[ \"$1\" = --version ] && echo tar2sqfs 1 && exit\nhead -c 1000 >/dev/null\necho 'no space on the moon' >&2\nexit 3\n",
		"mkfs.erofs": "[ \"$1\" = --version ] && echo mkfs.erofs 1.8 && echo compressors: lz4 && exit\ncat >/dev/null\necho broken >&2\nexit 1\n",
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+program), 0o700); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	for m, want := range map[pack.Method]string{pack.SquashFS: "exit status 3: no space on the moon", pack.EROFS: "exit status 1: broken"} {
		dir := filepath.Join(t.TempDir(), "out")
		_, err := convert.Convert(t.Context(), newImage(t, lower), convert.Options{Initrd: convert.InitrdNone, Dir: dir, Method: m, Compress: pack.LZ4})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want %s", err, want)
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", dir, err)
		}
	}
	_, err := convert.Convert(t.Context(), newImage(t, lower), convert.Options{Initrd: convert.InitrdNone, Dir: t.TempDir(), Method: pack.EROFS, Compress: pack.Zstd})
	if err == nil || !strings.Contains(err.Error(), "was built without zstd, which --compress zstd takes") {
		t.Errorf("error %v", err)
	}
}

// hugeImage has a file of 4 GiB and more, all of it a hole.
func hugeImage(t *testing.T) *image.Image {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "layer"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() }) //nolint:errcheck // it was only read
	if err := rootfstest.WriteHuge(f, "var/huge", 4<<30+5, lower); err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	img := newImage(t)
	img.Layers = append(img.Layers, image.Layer{Digest: "huge", Tar: f, Size: info.Size()})
	return img
}

func TestHugeFile(t *testing.T) {
	if testing.Short() {
		t.Skip("it packs files of 4 GiB")
	}
	img := hugeImage(t)
	dir := filepath.Join(t.TempDir(), "out")
	_, err := convert.Convert(t.Context(), img, convert.Options{Initrd: convert.InitrdNone, Dir: dir})
	if !errors.Is(err, cpio.ErrTooLarge) || !strings.HasSuffix(err.Error(), fmt.Sprintf(`"/var/huge" has %d bytes: %v; --method tar, squashfs or erofs can carry it`, 4<<30+5, cpio.ErrTooLarge)) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s was made: %v", dir, err)
	}
	for _, m := range []pack.Method{pack.Tar, pack.SquashFS} {
		made, err := convert.Convert(t.Context(), img, convert.Options{Initrd: convert.InitrdNone, Dir: dir, Method: m})
		if err != nil {
			t.Fatal(err)
		}
		if err := convert.VerifyTree(t.Context(), dir, made, img, nil); err != nil {
			t.Errorf("%s: %v", m, err)
		}
	}
}
