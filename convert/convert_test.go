package convert_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/rootcast/rootcast/convert"
	"github.com/rootcast/rootcast/convert/cpio"
	"github.com/rootcast/rootcast/convert/exlist"
	"github.com/rootcast/rootcast/convert/image"
	"github.com/rootcast/rootcast/convert/netboot"
	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
	"github.com/rootcast/rootcast/convert/statelite"
)

// A small image that has one of everything, with two kernels of which the
// lexically greater is the older.
const (
	lower = `
		dir  boot 0755
		file boot/vmlinuz-6.1.0-9-amd64 0644 "old kernel"
		file boot/vmlinuz-6.1.0-37-amd64 0644 "new kernel"
		dir  usr/lib/modules/6.1.0-37-amd64 0755
		dir  sbin 0755
		file sbin/init 0755 "#!init"
		dir  etc 0755
		file etc/gone 0644 "gone"
		file "etc/two words\nand a line" 0640 7:8 mtime=1000 "x"
		file etc/su 04755 "setuid"
		link etc/su2 etc/su
		symlink etc/link su
		dir dev 0755
		char dev/null 0666 1 3
		block dev/sda 0660 0:6 8 0
		fifo dev/pipe 0600
		file big 0644 size=3000000`
	upper = `
		wh   etc/gone
		file etc/new 0644 xattr:user.a=b mtime=4000000000 "new"`
)

// newImage is an image with the layers, of which none is on a disk by name.
func newImage(t *testing.T, layers ...string) *image.Image {
	t.Helper()
	created := time.Unix(1_700_000_000, 0).UTC()
	text := strings.Join(layers, "\x00")
	img := &image.Image{Name: "test", Digest: digest.FromString("m" + text), ID: digest.FromString("c" + text)}
	img.Config.OS, img.Config.Architecture, img.Config.Created = "linux", "amd64", &created
	img.Config.Config = v1.ImageConfig{Labels: map[string]string{convert.ArgumentsLabel: "console=ttyS0,115200  quiet"}}
	for i, text := range layers {
		r := rootfstest.Tar(t, text)
		f, err := os.Create(filepath.Join(t.TempDir(), fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.WriteTo(f); err != nil {
			t.Fatal(err)
		}
		img.Layers = append(img.Layers, image.Layer{Digest: digest.FromString(text), DiffID: digest.FromString(text), Tar: f, Size: r.Size()})
	}
	t.Cleanup(func() {
		if err := img.Close(); err != nil {
			t.Error(err)
		}
	})
	return img
}

// The rules of statelite are in the root, and what is odd about them is among the
// manifest's warnings.
func TestConvertStatelite(t *testing.T) {
	t.Parallel()
	const table = "#image,file,options,comments,disable\n\"ALL\",\"/etc/su\",\"persistent\",,\n\"ALL\",\"/var/new\",,,\n\"login\",\"/etc/new\",,,\n"
	rules, err := statelite.Parse(strings.NewReader(table), "litefile.csv")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "out")
	img := newImage(t, lower, upper)
	m, err := convert.Convert(t.Context(), img, convert.Options{Initrd: convert.InitrdNone, Dir: dir, Compress: pack.Zstd, State: rules})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"statelite: the rows for login are left out as those of other images: write ALL for what this one is to keep",
		"statelite: /var/new is not in the image: the node makes an empty file",
	}
	if diff := cmp.Diff(want, m.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if len(m.Statelite) != 2 || m.Statelite[0].Path != "/etc/su" || m.Statelite[1].Path != "/var/new" {
		t.Errorf("rules %+v", m.Statelite)
	}
	if err := convert.VerifyTree(t.Context(), dir, m, img, nil); err != nil {
		t.Errorf("verifying: %v", err)
	}
}

func TestConvertAndVerify(t *testing.T) {
	t.Parallel()
	for _, codec := range []pack.Codec{pack.Zstd, pack.Gzip, pack.None} {
		t.Run(string(codec), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "out")
			img := newImage(t, lower, upper)
			m, err := convert.Convert(t.Context(), img, convert.Options{Initrd: convert.InitrdNone, Dir: dir, Compress: codec, Append: "a=b", Tool: "test"})
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := os.ReadFile(filepath.Join(dir, "kernel")); string(got) != "new kernel" {
				t.Errorf("kernel is %q", got)
			}
			want := netboot.Manifest{
				Version: 1, Platform: "linux/amd64", Boot: "ramdisk", Init: "/sbin/init", Tool: "test",
				Arguments: "console=ttyS0,115200 quiet a=b",
				Kernel:    netboot.Kernel{Version: "6.1.0-37-amd64", Path: "/boot/vmlinuz-6.1.0-37-amd64", Modules: "usr/lib/modules/6.1.0-37-amd64"},
				Epoch:     *img.Config.Created,
				Xattrs:    &netboot.XattrList{Path: "/.rootcast/xattrs", Files: 1},
			}
			got := *m
			got.Image, got.Files, got.Memory = netboot.Image{}, nil, netboot.Memory{}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("manifest (-want +got):\n%s", diff)
			}
			if m.Memory.After < 3_000_000 || m.Memory.Peak < m.Memory.After {
				t.Errorf("memory %+v for a root of 3 MB", m.Memory)
			}
			read, err := netboot.ReadManifest(dir)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(m, read); diff != "" {
				t.Errorf("manifest as it was written (-want +got):\n%s", diff)
			}
			if err := errors.Join(convert.VerifyFiles(t.Context(), dir, read, nil), convert.VerifyTree(t.Context(), dir, read, img, nil)); err != nil {
				t.Errorf("verifying: %v", err)
			}
		})
	}
}

func TestConvertIsReproducible(t *testing.T) {
	t.Parallel()
	var manifests []string
	for _, jobs := range []int{1, 2, 7} {
		dir := filepath.Join(t.TempDir(), "out")
		if _, err := convert.Convert(t.Context(), newImage(t, lower, upper), convert.Options{Initrd: convert.InitrdNone, Dir: dir, Jobs: jobs}); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
		if err != nil {
			t.Fatal(err)
		}
		manifests = append(manifests, string(text))
	}
	for _, m := range manifests[1:] {
		if diff := cmp.Diff(manifests[0], m); diff != "" {
			t.Errorf("two converts differ (-one +other):\n%s", diff)
		}
	}
}

func TestConvertErrorsLeaveTheOldVersion(t *testing.T) {
	t.Parallel()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		name  string
		ctx   context.Context //nolint:containedctx // a table's column
		layer string
		o     convert.Options
		want  string
	}{
		{name: "no kernel", layer: "file sbin/init 0755 x", want: "the image has no kernel"},
		{name: "no init", layer: "file boot/vmlinuz-1 0644 x", want: "the image has no init"},
		{name: "an init that is no program", layer: "file boot/vmlinuz-1 0644 x\nfile sbin/init 0644 x", want: "the image has no init"},
		{name: "an init that leads nowhere", layer: "file boot/vmlinuz-1 0644 x\nsymlink sbin/init ../none", want: "the image has no init"},
		{name: "an init that is symlinks in a ring", layer: "file boot/vmlinuz-1 0644 x\nsymlink sbin/init a\nsymlink sbin/a init", want: "the image has no init"},
		{name: "a kernel that is a symlink to itself", layer: "file sbin/init 0755 x\nsymlink boot/vmlinuz-1 vmlinuz-1", want: "the image has no kernel"},
		{name: "a kernel behind symlinks in a ring", layer: "file sbin/init 0755 x\nsymlink boot a\nsymlink a boot", want: "the image has no kernel"},
		{name: "a file below symlinks in a ring", layer: lower + "\nsymlink a b\nsymlink b a\nfile a/x 0644", want: `entry "a/x": its parent "a": too many symlinks`},
		{name: "a path out of the root", layer: lower + "\nfile a/../../x 0644", want: `entry "a/../../x": the name leaves the root`},
		{name: "a link out of the root", layer: lower + "\nlink a ../../etc/shadow", want: `entry "a": hard link to "../../etc/shadow": the name leaves the root`},
		{name: "a name too long", layer: lower + "\nfile d/" + strings.Repeat("n", 256) + " 0644", want: "the name is longer than Linux takes: 4095 bytes, 255 between two slashes"},
		{name: "a path too long, by a symlink", layer: lower + longPath(), want: `its path, the symlinks in it followed, is longer than Linux takes: 4095 bytes`},
		{name: "unknown kernel", layer: lower, o: convert.Options{Initrd: convert.InitrdNone, Kernel: "5.10"}, want: "it has 6.1.0-37-amd64, 6.1.0-9-amd64"},
		{name: "level out of range", layer: lower, o: convert.Options{Initrd: convert.InitrdNone, Level: 22}, want: "zstd has 1 to 19"},
		{name: "cancelled", layer: lower, ctx: cancelled, want: "context canceled"},
		{name: "a link out of nowhere", layer: lower + "\nlink a nothing", want: `hard link to "nothing"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "out")
			if _, err := convert.Convert(t.Context(), newImage(t, lower), convert.Options{Initrd: convert.InitrdNone, Dir: dir}); err != nil {
				t.Fatal(err)
			}
			before := snapshot(t, dir)
			tc.o.Dir = dir
			ctx := tc.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			if _, err := convert.Convert(ctx, newImage(t, tc.layer), tc.o); err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
			if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
				t.Errorf("the rootimgdir changed (-before +after):\n%s", diff)
			}
		})
	}
}

// longPath makes of two paths that Linux takes one that it does not.
func longPath() string {
	deep := strings.Repeat("/"+strings.Repeat("d", 250), 12)[1:]
	return "\ndir " + deep + " 0755\nsymlink l " + deep + "\nfile l/" + deep + "/x 0644"
}

// snapshot lists every name below dir with what it holds.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.Type() == fs.ModeSymlink:
			files[path], err = os.Readlink(path)
		case d.Type().IsRegular():
			var b []byte
			b, err = os.ReadFile(path)
			files[path] = digest.FromBytes(b).String()
		default:
			files[path] = d.Type().String()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestVerifyFindsWhatChanged(t *testing.T) {
	t.Parallel()
	other := func(from, to string) string { return strings.Replace(lower, from, to, 1) }
	for _, tc := range []struct{ name, layer, want string }{
		{"content", other(`"setuid"`, `"Setuid"`), "/etc/su2 differs in content"},
		{"mode", other("etc/su 04755", "etc/su 0755"), "has mode"},
		{"owner", other("7:8", "9:8"), "has owner 7 in the packed root, 9 in the image"},
		{"group", other("7:8", "7:9"), "has group 8"},
		{"time", other("mtime=1000", "mtime=1001"), "has time 1000 in the packed root, 1001"},
		{"device", other("0666 1 3", "0666 1 5"), "/dev/null has device minor 3 in the packed root, 5"},
		{"target", other("link su", "link su2"), `leads to "su" in the packed root, to "su2"`},
		{"size", other("size=3000000", "size=3000001"), "/big has 3000000 bytes in the packed root, 3000001"},
		{"a file that the image has not", other(`file etc/gone 0644 "gone"`, ""), "/etc/gone is in the packed root, not in the image"},
		{"a file that the archive has not", lower + "\nfile etc/more 0644 x", "/etc/more is missing from the packed root"},
		{"a link that is none", other("link etc/su2 etc/su", `file etc/su2 04755 "setuid"`), "in the packed root"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "out")
			m, err := convert.Convert(t.Context(), newImage(t, lower), convert.Options{Initrd: convert.InitrdNone, Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			if err := convert.VerifyTree(t.Context(), dir, m, newImage(t, tc.layer), nil); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func TestExclude(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	img := newImage(t, lower)
	o := convert.Options{Initrd: convert.InitrdNone, Dir: dir, Exclude: exlist.New("./boot*", "./etc*", "+./etc/su2", "./big")}
	m, err := convert.Convert(t.Context(), img, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := convert.VerifyTree(t.Context(), dir, m, img, nil); err != nil {
		t.Error(err)
	}
	// root, etc, etc/su2, init, sbin, sbin/init, usr, lib, modules, 6.1…, dev and its three files
	if f, _ := m.File("ramdisk.img"); f.Entries != 14 || f.Unpacked > 10_000 {
		t.Errorf("%d entries of %d bytes stay", f.Entries, f.Unpacked)
	}
	o.Exclude = exlist.New("./sbin*")
	if _, err := convert.Convert(t.Context(), img, o); err == nil || !strings.Contains(err.Error(), "drops the image's init") {
		t.Errorf("without an init: %v", err)
	}
}

func TestVerifyFindsDamage(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		damage func(b []byte) []byte
		want   string
	}{
		{"a flipped bit", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, "has the sha256"},
		{"cut short", func(b []byte) []byte { return b[:len(b)-1] }, "its manifest says"},
		{"longer", func(b []byte) []byte { return append(b, 0) }, "its manifest says"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "out")
			m, err := convert.Convert(t.Context(), newImage(t, lower), convert.Options{Initrd: convert.InitrdNone, Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "ramdisk.img")
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, tc.damage(b), 0o600); err != nil {
				t.Fatal(err)
			}
			err = convert.VerifyFiles(t.Context(), dir, m, nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "ramdisk.img") {
				t.Errorf("got %v, want an error that names ramdisk.img with %q", err, tc.want)
			}
		})
	}
}

func TestTooLargeForCpio(t *testing.T) {
	t.Parallel()
	img := newImage(t, lower)
	tree, err := convert.Merge(t.Context(), img, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range tree.All() {
		if in.Size == 3_000_000 {
			in.Size = 1 << 32
		}
	}
	_, err = pack.Archive(t.Context(), failingWriter{t}, tree, pack.Options{})
	if !errors.Is(err, cpio.ErrTooLarge) || !strings.Contains(err.Error(), `"/big"`) {
		t.Errorf("got %v, want ErrTooLarge with the file's name", err)
	}
}

type failingWriter struct{ t *testing.T }

func (w failingWriter) Write([]byte) (int, error) {
	w.t.Error("something was written")
	return 0, errors.New("written")
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	d, err := convert.Describe(t.Context(), newImage(t, lower, upper))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"6.1.0-37-amd64", "6.1.0-9-amd64"}, d.Kernels); diff != "" {
		t.Errorf("kernels (-want +got):\n%s", diff)
	}
	if d.Init != "/sbin/init" || d.Platform != "linux/amd64" || len(d.Layers) != 2 || d.Size < 3_000_000 {
		t.Errorf("description %+v", d)
	}
}

// The kernel here is given no file system that is not the one of the manifest.
func TestDamagedFileSystemIsNotMounted(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	img := newImage(t, lower)
	m, err := convert.Convert(t.Context(), img, convert.Options{Initrd: convert.InitrdNone, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.Files {
		if m.Files[i].Method != "" {
			m.Files[i].Method, m.Files[i].SHA256 = string(pack.EROFS), strings.Repeat("0", 64)
		}
	}
	_, _, loadErr := convert.LoadDir(t.Context(), dir, m, t.TempDir(), nil)
	for what, err := range map[string]error{"verify": convert.VerifyTree(t.Context(), dir, m, img, nil), "load": loadErr} {
		if err == nil || !strings.Contains(err.Error(), "ramdisk.img is not mounted to be read: has the sha256") {
			t.Errorf("%s: got %v, want that it is not mounted", what, err)
		}
	}
}

// A kernel with large pages needs more memory for the same files: each takes whole ones.
func TestMemoryOfLargePages(t *testing.T) {
	t.Parallel()
	after := func(arch string) int64 {
		img := newImage(t, lower, upper)
		img.Config.Architecture = arch
		m, err := convert.Convert(t.Context(), img, convert.Options{Initrd: convert.InitrdNone, Dir: filepath.Join(t.TempDir(), "out")})
		if err != nil {
			t.Fatal(err)
		}
		return m.Memory.After
	}
	if small, large := after("arm64"), after("ppc64le"); large-small < 5*(64-4)<<10 {
		t.Errorf("the root keeps %d bytes with pages of 4 KiB and %d with pages of 64 KiB", small, large)
	}
}

// A kernel that its boot loader would have to unpack is unpacked, and the manifest says so.
func TestConvertPackedKernel(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte("an Image")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	img := newImage(t, lower, fmt.Sprintf("file boot/vmlinuz-6.1.0-38-arm64 0644 %q", packed.String()))
	img.Config.Architecture = "arm64"
	dir := filepath.Join(t.TempDir(), "out")
	m, err := convert.Convert(t.Context(), img, convert.Options{Initrd: convert.InitrdNone, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "kernel")); string(got) != "an Image" || m.Kernel.Packed != "gzip" {
		t.Errorf("kernel is %q, it was packed by %q, %v", got, m.Kernel.Packed, err)
	}
}
