package kernel_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/kernel"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// files makes a file system: names with "/" at their end are directories, "a -> b" a symlink.
func files(names ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for _, name := range names {
		if link, target, ok := strings.Cut(name, " -> "); ok {
			fsys[link] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
			continue
		}
		if dir, ok := strings.CutSuffix(name, "/"); ok {
			fsys[dir] = &fstest.MapFile{Mode: fs.ModeDir | 0o755}
			continue
		}
		fsys[name] = &fstest.MapFile{Data: []byte("kernel " + name), Mode: 0o644}
	}
	return fsys
}

func TestFind(t *testing.T) {
	tests := []struct {
		name  string
		files fstest.MapFS
		want  []kernel.Kernel
	}{
		{"nothing", files("etc/hosts", "boot/"), nil},
		{
			"Debian", files("boot/vmlinuz-6.1.0-9-amd64", "boot/vmlinuz-6.1.0-37-amd64", "boot/config-6.1.0-37-amd64", "boot/System.map-6.1.0-37-amd64",
				"boot/initrd.img-6.1.0-37-amd64", "usr/lib/modules/6.1.0-37-amd64/kernel/", "usr/lib/modules/6.1.0-9-amd64/kernel/",
				"lib -> usr/lib", "vmlinuz -> boot/vmlinuz-6.1.0-37-amd64", "vmlinuz.old -> boot/vmlinuz-6.1.0-9-amd64"),
			[]kernel.Kernel{
				{Version: "6.1.0-37-amd64", Path: "boot/vmlinuz-6.1.0-37-amd64", Modules: "usr/lib/modules/6.1.0-37-amd64"},
				{Version: "6.1.0-9-amd64", Path: "boot/vmlinuz-6.1.0-9-amd64", Modules: "usr/lib/modules/6.1.0-9-amd64"},
			},
		},
		{
			"Debian before the merged /usr", files("boot/vmlinuz-5.10.0-30-amd64", "lib/modules/5.10.0-30-amd64/kernel/"),
			[]kernel.Kernel{{Version: "5.10.0-30-amd64", Path: "boot/vmlinuz-5.10.0-30-amd64", Modules: "lib/modules/5.10.0-30-amd64"}},
		},
		{
			"Enterprise Linux, kernel-core in a container", files("usr/lib/modules/5.14.0-70.13.1.el9_0.x86_64/vmlinuz", "usr/lib/modules/5.14.0-427.13.1.el9_4.x86_64/vmlinuz",
				"usr/lib/modules/5.14.0-427.13.1.el9_4.x86_64/.vmlinuz.hmac", "usr/lib/modules/5.14.0-427.13.1.el9_4.x86_64/config", "lib -> usr/lib"),
			[]kernel.Kernel{
				{Version: "5.14.0-427.13.1.el9_4.x86_64", Path: "usr/lib/modules/5.14.0-427.13.1.el9_4.x86_64/vmlinuz", Modules: "usr/lib/modules/5.14.0-427.13.1.el9_4.x86_64"},
				{Version: "5.14.0-70.13.1.el9_0.x86_64", Path: "usr/lib/modules/5.14.0-70.13.1.el9_0.x86_64/vmlinuz", Modules: "usr/lib/modules/5.14.0-70.13.1.el9_0.x86_64"},
			},
		},
		{
			"Enterprise Linux, installed, with rescue and debug kernels", files(
				"boot/vmlinuz-0-rescue-3f2504e04f8911d39a0c0305e82c3301", "boot/.vmlinuz-5.14.0-427.el9.x86_64.hmac",
				"boot/vmlinuz-5.14.0-427.el9.x86_64", "usr/lib/modules/5.14.0-427.el9.x86_64/vmlinuz",
				"boot/vmlinuz-5.14.0-503.el9.x86_64+debug", "usr/lib/modules/5.14.0-503.el9.x86_64+debug/vmlinuz",
			),
			[]kernel.Kernel{
				{Version: "5.14.0-427.el9.x86_64", Path: "boot/vmlinuz-5.14.0-427.el9.x86_64", Modules: "usr/lib/modules/5.14.0-427.el9.x86_64"},
				{Version: "5.14.0-503.el9.x86_64+debug", Path: "boot/vmlinuz-5.14.0-503.el9.x86_64+debug", Modules: "usr/lib/modules/5.14.0-503.el9.x86_64+debug"},
			},
		},
		{
			"ppc64le", files("boot/vmlinux-6.1.0-37-powerpc64le", "usr/lib/modules/6.1.0-37-powerpc64le/kernel/"),
			[]kernel.Kernel{{Version: "6.1.0-37-powerpc64le", Path: "boot/vmlinux-6.1.0-37-powerpc64le", Modules: "usr/lib/modules/6.1.0-37-powerpc64le"}},
		},
		{
			"SUSE, whose vmlinux is for debuggers", files("boot/vmlinuz-6.4.0-150600.21-default", "boot/vmlinux-6.4.0-150600.21-default.gz", "boot/.vmlinuz-6.4.0-150600.21-default.hmac",
				"boot/vmlinux-6.4.0-150600.22-default.xz", "boot/symvers-6.4.0-150600.21-default.gz"),
			[]kernel.Kernel{{Version: "6.4.0-150600.21-default", Path: "boot/vmlinuz-6.4.0-150600.21-default"}},
		},
		{
			"SUSE on aarch64", files("boot/Image-6.4.0-150600.21-default", "usr/lib/modules/6.4.0-150600.21-default/Image", "usr/lib/modules/6.4.0-150600.21-default/kernel/"),
			[]kernel.Kernel{{Version: "6.4.0-150600.21-default", Path: "boot/Image-6.4.0-150600.21-default", Modules: "usr/lib/modules/6.4.0-150600.21-default"}},
		},
		{
			"left over by hand and by package managers", files("boot/vmlinuz-6.1.0-37-amd64", "boot/vmlinuz-6.1.0-38-amd64.dpkg-new", "boot/vmlinuz-6.1.0-38-amd64.old", "boot/vmlinuz-6.1.0-38-amd64.bak",
				"boot/vmlinuz-6.1.0-38-amd64~", "boot/vmlinuz-6.1.0-38-amd64.rpmsave", "boot/vmlinuz-6.1.0-38-amd64.sig", "boot/vmlinuz-"),
			[]kernel.Kernel{{Version: "6.1.0-37-amd64", Path: "boot/vmlinuz-6.1.0-37-amd64"}},
		},
		{
			"a symlink into the modules", files("usr/lib/modules/6.9.1/vmlinuz", "boot/vmlinuz-6.9.1 -> ../usr/lib/modules/6.9.1/vmlinuz"),
			[]kernel.Kernel{{Version: "6.9.1", Path: "boot/vmlinuz-6.9.1", Modules: "usr/lib/modules/6.9.1"}},
		},
		{
			"a dangling symlink and a directory", files("boot/vmlinuz-6.9.1 -> gone", "boot/vmlinuz-6.9.2/", "usr/lib/modules/6.9.1/vmlinuz"),
			[]kernel.Kernel{{Version: "6.9.1", Path: "usr/lib/modules/6.9.1/vmlinuz", Modules: "usr/lib/modules/6.9.1"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := kernel.Find(tt.files)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// A merged tree follows symlinks inside the image, absolute ones too.
func TestFindInTree(t *testing.T) {
	tree := rootfstest.Tree(t, `
		dir     usr/lib/modules/6.1.0-9-amd64 0755
		file    usr/lib/modules/6.1.0-37-amd64/vmlinuz 0644 new
		symlink lib usr/lib
		symlink boot/vmlinuz-6.1.0-37-amd64 /lib/modules/6.1.0-37-amd64/vmlinuz
		file    boot/vmlinuz-6.1.0-9-amd64 0644 old`)
	k, err := kernel.Choose(tree, "")
	want := kernel.Kernel{Version: "6.1.0-37-amd64", Path: "boot/vmlinuz-6.1.0-37-amd64", Modules: "usr/lib/modules/6.1.0-37-amd64"}
	if d := cmp.Diff(want, k); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	if b, err := fs.ReadFile(tree, k.Path); err != nil || string(b) != "new" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestChoose(t *testing.T) {
	fsys := files("boot/vmlinuz-6.1.0-9-amd64", "boot/vmlinuz-6.1.0-37-amd64", "boot/vmlinuz-6.1.0-40-amd64+debug", "boot/vmlinuz-5.10.0-1-amd64")
	tests := []struct{ version, want, err string }{
		{"", "6.1.0-37-amd64", ""},
		{"6.1.0-9-amd64", "6.1.0-9-amd64", ""},
		{"6.1.0-9", "6.1.0-9-amd64", ""},
		{"6.1", "6.1.0-37-amd64", ""},
		{"5", "5.10.0-1-amd64", ""},
		{"6.1.0-40-amd64+debug", "6.1.0-40-amd64+debug", ""},
		{"6.1.0-3", "6.1.0-37-amd64", ""},
		{"7", "", `the image has no kernel "7"; it has 6.1.0-37-amd64, 6.1.0-9-amd64, 5.10.0-1-amd64, 6.1.0-40-amd64+debug`},
		{"amd64", "", `the image has no kernel "amd64"; it has 6.1.0-37-amd64, 6.1.0-9-amd64, 5.10.0-1-amd64, 6.1.0-40-amd64+debug`},
	}
	for _, tt := range tests {
		t.Run(tt.version, func(t *testing.T) {
			k, err := kernel.Choose(fsys, tt.version)
			if k.Version != tt.want || (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
				t.Errorf("%q, %v, want %q, %s", k.Version, err, tt.want, tt.err)
			}
		})
	}
	if _, err := kernel.Choose(files("etc/hosts"), ""); !errors.Is(err, kernel.ErrNone) {
		t.Errorf("without a kernel: %v", err)
	}
	if _, err := kernel.Choose(files("etc/hosts"), "6.1"); !errors.Is(err, kernel.ErrNone) {
		t.Errorf("without a kernel, one asked for: %v", err)
	}
}
