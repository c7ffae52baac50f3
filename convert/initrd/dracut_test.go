package initrd_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/initrd"
	"github.com/rootcast/rootcast/convert/kernel"
	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

const withDracut = `
	file usr/bin/dracut 0755 "#!"
	file usr/lib/firmware/site.bin 0644 firmware`

func TestDracut(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a site's"), 0o640); err != nil {
		t.Fatal(err)
	}
	run, report, err := initrd.Dracut(t.Context(), rootfstest.Tree(t, withDracut+"\nsymlink lib usr/lib"), initrd.Options{
		Kernel: kernel.Kernel{Version: "6.1"}, Architecture: "amd64", Init: []byte("#!init"),
		Firmware: []string{"site.bin"}, Include: []initrd.Include{{Src: secret, Dst: "etc/secret"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := run.Args[len(run.Args)-2:]; !slices.Equal(got, []string{"6.1", initrd.DracutResult}) {
		t.Errorf("dracut is told %q in the end", got)
	}
	if len(report.Warnings) != 1 || !strings.Contains(report.Warnings[0], "no modules of kernel 6.1") {
		t.Errorf("warnings %q", report.Warnings)
	}
	var names []string
	for name, in := range run.Files.All() {
		if !in.IsDir() {
			names = append(names, name)
		}
	}
	if diff := cmp.Diff([]string{
		"rootcast-dracut/include/etc/secret",
		"rootcast-dracut/include/lib/firmware/site.bin",
		"usr/lib/dracut/modules.d/99rootcast/cmdline.sh",
		"usr/lib/dracut/modules.d/99rootcast/module-setup.sh",
		"usr/lib/dracut/modules.d/99rootcast/modules",
		"usr/lib/dracut/modules.d/99rootcast/mount.sh",
		"usr/lib/dracut/modules.d/99rootcast/rootcast-init",
	}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// Of a real kernel, dracut is asked for what the other first stage carries.
func TestDracutModules(t *testing.T) {
	for _, f := range fixtures(t) {
		t.Run(f.arch+"/"+f.kernel.Version, func(t *testing.T) {
			image := f.tree(t)
			if err := image.Put("usr/bin/dracut", rootfs.NewText(0o755, []byte("#!"))); err != nil {
				t.Fatal(err)
			}
			o := initrd.Options{Kernel: f.kernel, Architecture: f.arch, Init: program(t), OmitModules: []string{"virtio_n?t"}}
			run, _, err := initrd.Dracut(t.Context(), image, o)
			if err != nil {
				t.Fatal(err)
			}
			asked, err := fs.ReadFile(run.Files, "usr/lib/dracut/modules.d/99rootcast/modules")
			if err != nil {
				t.Fatal(err)
			}
			_, report, err := initrd.Build(t.Context(), image, o)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(report.Modules, strings.Fields(string(asked))); diff != "" {
				t.Errorf("modules (-builtin +dracut):\n%s", diff)
			}
			if i := slices.Index(run.Args, "--omit-drivers"); i < 0 || run.Args[i+1] != "virtio_net" {
				t.Errorf("dracut is told %q", run.Args)
			}
		})
	}
}

func TestDracutErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, image, want string
		o                 initrd.Options
	}{
		{"no dracut", "dir usr/bin 0755", "the image has no dracut: add RUN apt-get install", initrd.Options{Init: []byte("#!")}},
		{"not a program", "dir usr/bin/dracut 0755", "the image has no dracut", initrd.Options{Init: []byte("#!")}},
		{"no first program", withDracut, "there is no first program", initrd.Options{}},
		{"module", withDracut, `adding module "nosuch"`, initrd.Options{Init: []byte("#!"), AddModules: []string{"nosuch"}}},
		{"firmware", withDracut, `adding firmware "nosuch"`, initrd.Options{Init: []byte("#!"), Firmware: []string{"nosuch"}}},
		{"include", withDracut, "including /nosuch at /etc/x", initrd.Options{Init: []byte("#!"), Include: []initrd.Include{{Src: "/nosuch", Dst: "/etc/x"}}}},
		{"certificates", withDracut, "reading the CA certificates", initrd.Options{Init: []byte("#!"), CA: []byte("rubbish")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := initrd.Dracut(t.Context(), rootfstest.Tree(t, tc.image), tc.o)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestCarried(t *testing.T) {
	t.Parallel()
	got := initrd.Carried(rootfstest.Tree(t, `
		symlink lib usr/lib
		file usr/lib/modules/6.1/kernel/net/virtio-net.ko.xz 0644 12345
		file usr/lib/modules/6.1/extra/zfs.ko 0644 1
		file usr/lib/modules/6.1/modules.dep 0644 1
		file usr/lib/firmware/bnx2/a.fw.zst 0644 123
		file usr/bin/x.ko 0755 1`))
	want := &initrd.Report{Modules: []string{"virtio_net", "zfs"}, Firmware: []string{"bnx2/a.fw"}, Unpacked: 11}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
