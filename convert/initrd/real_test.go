package initrd_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rootcast/rootcast/convert/initrd"
	"github.com/rootcast/rootcast/convert/kernel"
	"github.com/rootcast/rootcast/convert/kmod"
	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// maxInitrd is the target for Debian's generic kernels with a first program of
// 5 MB, after zstd.
const maxInitrd = 25_000_000

// fixture is a directory with the modules of a kernel, laid out as a root is.
type fixture struct {
	dir, arch string
	kernel    kernel.Kernel
}

// fixtures are the kernels of ROOTCAST_TEST_MODULES, a list of ARCH=DIRECTORY; else
// those of the repository's cache.
func fixtures(t testing.TB) []fixture {
	t.Helper()
	list := filepath.SplitList(os.Getenv("ROOTCAST_TEST_MODULES"))
	if len(list) == 0 {
		cached, err := filepath.Glob("../../.cache/kernels/root-*")
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range cached {
			list = append(list, strings.TrimPrefix(filepath.Base(dir), "root-")+"="+dir)
		}
	}
	var found []fixture
	for _, item := range list {
		arch, dir, _ := strings.Cut(item, "=")
		for _, modules := range []string{"usr/lib/modules", "lib/modules"} {
			lists, err := filepath.Glob(filepath.Join(dir, modules, "*", "modules.dep"))
			if err != nil {
				t.Fatal(err)
			}
			for _, list := range lists {
				v := filepath.Base(filepath.Dir(list))
				f := fixture{dir, arch, kernel.Kernel{Version: v, Modules: modules + "/" + v}}
				if !slices.ContainsFunc(found, func(g fixture) bool { return g.dir == f.dir && g.kernel.Version == v }) {
					found = append(found, f)
				}
			}
		}
	}
	if len(found) == 0 {
		rootfstest.Skip(t, "no kernel's modules here: hack/kernel.sh fetches some, ROOTCAST_TEST_MODULES=ARCH=DIRECTORY may name others")
	}
	return found
}

// tree is the fixture's modules and firmware as a tree.
func (f fixture) tree(t testing.TB) *rootfs.Tree {
	t.Helper()
	index := &rootfs.Index{Layer: "fixture"}
	for _, top := range []string{f.kernel.Modules, "usr/lib/firmware", "lib/firmware"} {
		if info, err := os.Lstat(filepath.Join(f.dir, filepath.Dir(top))); err != nil || !info.IsDir() {
			continue
		}
		err := filepath.WalkDir(filepath.Join(f.dir, top), func(file string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			name, err := filepath.Rel(f.dir, file)
			if err != nil {
				return err
			}
			switch info.Mode().Type() {
			case 0:
				index.Entries = append(index.Entries, rootfs.Entry{Path: name, Inode: rootfs.NewFile(0o644, hostFile(file), 0, info.Size())})
			case fs.ModeSymlink:
				target, err := os.Readlink(file)
				if err != nil {
					return err
				}
				index.Entries = append(index.Entries, rootfs.Entry{Path: name, Inode: rootfs.NewSymlink(target)})
			}
			return nil
		})
		if err != nil && top == f.kernel.Modules {
			t.Fatal(err)
		}
	}
	tree, err := rootfs.Merge(t.Context(), index)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// hostFile reads a file that stays closed between.
type hostFile string

func (f hostFile) ReadAt(p []byte, off int64) (int, error) {
	file, err := os.Open(string(f))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return file.ReadAt(p, off)
}

// program is 5 MB that compress as a Go program does: the test's own.
func program(t testing.TB) []byte {
	t.Helper()
	file, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte("#!"), b[:min(len(b), 5_000_000)]...)
}

// What real kernels give: the drivers that nodes are known to need, a size that a
// TFTP server can bear, and the same bytes each time.
func TestRealKernels(t *testing.T) {
	for _, f := range fixtures(t) {
		t.Run(f.arch+"/"+f.kernel.Version, func(t *testing.T) {
			image := f.tree(t)
			o := initrd.Options{Kernel: f.kernel, Architecture: f.arch, Init: program(t)}
			start := time.Now()
			tree, rep, err := initrd.Build(t.Context(), image, o)
			if err != nil {
				t.Fatal(err)
			}
			took := time.Since(start)
			b := archive(t, tree, pack.None)
			packed := len(archive(t, tree, pack.Zstd))
			t.Logf("%d modules, %d firmware files (%d lacking), %d bytes, %d after zstd, in %v; warnings %q",
				len(rep.Modules), len(rep.Firmware), rep.FirmwareLacking, rep.Unpacked, packed, took, rep.Warnings)
			if packed > maxInitrd && len(rep.Firmware) == 0 {
				t.Errorf("%d bytes after zstd, more than %d", packed, maxInitrd)
			}
			if !rep.HasNetwork {
				t.Error("no network")
			}
			have := func(name string) bool {
				return slices.Contains(rep.Modules, name) || slices.Contains(builtin(t, image, f.kernel), name)
			}
			wanted := []string{
				"overlay", "loop", "squashfs", "zram", "ext4", "xfs", "nfs", "nfsv4", "bonding", "8021q", "virtio_net", "virtio_blk",
				"mlx5_core", "mlx5_ib", "nvme", "sd_mod",
			}
			if !strings.Contains(f.kernel.Version, "cloud") { // whose kernels leave out what virtual machines have not
				wanted = append(wanted, "ib_ipoib", "igb", "ice", "i40e", "e1000e", "tg3", "bnxt_en", "ahci", "xhci_hcd", "usbhid")
			}
			for _, name := range wanted {
				if !have(name) {
					t.Errorf("neither carried nor built in: %s", name)
				}
			}
			for _, name := range []string{"amdgpu", "iwlwifi", "snd", "drm", "can", "btrfs", "kvm"} {
				if slices.Contains(rep.Modules, name) {
					t.Errorf("carried: %s", name)
				}
			}
			checkDeps(t, tree, f.kernel.Version)
			checkModules(t, image, tree, f.kernel)
			o.Jobs = 7
			again, _, err := initrd.Build(t.Context(), image, o)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b, archive(t, again, pack.None)) {
				t.Error("another number of jobs gives other bytes")
			}
		})
	}
}

// builtin are the names in modules.builtin.
func builtin(t testing.TB, image fs.FS, k kernel.Kernel) []string {
	t.Helper()
	text, err := fs.ReadFile(image, k.Modules+"/modules.builtin")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, line := range strings.Fields(string(text)) {
		names = append(names, strings.ReplaceAll(strings.TrimSuffix(filepath.Base(line), ".ko"), "-", "_"))
	}
	return names
}

// checkDeps tells whether every file that modules.dep names is there, and no other.
func checkDeps(t *testing.T, tree *rootfs.Tree, version string) {
	t.Helper()
	dir := "lib/modules/" + version + "/"
	text, err := fs.ReadFile(tree, dir+"modules.dep")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		file, deps, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			t.Errorf("modules.dep says %q", line)
		}
		for _, f := range append(strings.Fields(deps), file) {
			if _, err := tree.Stat(dir + f); err != nil {
				t.Errorf("modules.dep: %v", err)
			}
		}
		named[file] = true
	}
	for name := range tree.All() {
		if file, ok := strings.CutPrefix(name, dir); ok && strings.Contains(file, ".ko") && !named[file] {
			t.Errorf("%s is not in modules.dep", name)
		}
	}
}

// checkModules compares the carried modules with the image's by the zstd program.
func checkModules(t *testing.T, image, tree *rootfs.Tree, k kernel.Kernel) {
	t.Helper()
	n := 0
	for name, in := range tree.All() {
		file, ok := strings.CutPrefix(name, "lib/modules/"+k.Version+"/")
		if !ok || !strings.HasSuffix(file, ".ko.zst") {
			continue
		}
		if n++; n%10 != 1 { // a tenth of them tells
			continue
		}
		var want []byte
		for _, ending := range []string{"", ".xz", ".zst", ".gz"} {
			if packed, err := fs.ReadFile(image, k.Modules+"/"+strings.TrimSuffix(file, ".zst")+ending); err == nil {
				want, err = kmod.Decompress(ending, packed)
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		packed := make([]byte, in.Size)
		if err := in.ReadRange(packed, 0); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("zstd", "-dc")
		cmd.Stdin = bytes.NewReader(packed)
		if got, err := cmd.Output(); err != nil || !bytes.Equal(got, want) || len(want) == 0 {
			t.Errorf("%s: other bytes than the image's module; %v", name, err)
		}
	}
	if n == 0 {
		t.Error("no module is carried as .ko.zst")
	}
}

func archive(t testing.TB, tree *rootfs.Tree, codec pack.Codec) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := pack.Archive(t.Context(), &b, tree, pack.Options{Codec: codec}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func BenchmarkBuild(b *testing.B) {
	for _, f := range fixtures(b) {
		b.Run(f.arch+"/"+f.kernel.Version, func(b *testing.B) {
			image := f.tree(b)
			o := initrd.Options{Kernel: f.kernel, Architecture: f.arch, Init: []byte("#!")}
			for b.Loop() {
				if _, _, err := initrd.Build(b.Context(), image, o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
