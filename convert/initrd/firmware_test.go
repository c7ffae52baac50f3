package initrd_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/cpio/cpiotest"
	"github.com/rootcast/rootcast/convert/initrd"
	"github.com/rootcast/rootcast/convert/kmod/kmodtest"
	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// firmware is a line for a file below /lib/firmware, compressed as its name says.
func firmware(t testing.TB, name, text string) string {
	t.Helper()
	ending := name[strings.LastIndexByte(name, '.'):]
	return fmt.Sprintf("file lib/firmware/%s 0600 3:4 mtime=7 %q\n", name, kmodtest.Pack(t, ending, []byte(text)))
}

// Of what modules ask for, and the user, what the image has is carried as the
// kernel will look for it.
func TestBuildFirmware(t *testing.T) {
	const loop = "symlink lib/firmware/dir/up ..\nsymlink lib/firmware/dir/self .\n"
	for name, tt := range map[string]struct {
		layer   string
		add     []string
		modules []string
		want    []string
		lacking int
	}{
		"none there": {lacking: 4},
		"asked for": {
			layer: firmware(t, "intel/ice/ddp/ice.pkg", "a") + firmware(t, "intel/ice/1.bin", "b") + firmware(t, "intel/ice/2.bin", "c") + firmware(t, "other.bin", "x"),
			want:  []string{`file intel/ice/1.bin 0644 "b"`, `file intel/ice/2.bin 0644 "c"`, `file intel/ice/ddp/ice.pkg 0644 "a"`}, lacking: 2,
		},
		"of a module that was added": {layer: firmware(t, "ql2500_fw.bin", "q"), modules: []string{"qla2xxx"}, want: []string{`file ql2500_fw.bin 0644 "q"`}, lacking: 4},
		"of one that was not":        {layer: firmware(t, "ql2500_fw.bin", "q"), lacking: 4},
		"compressed": {
			layer: firmware(t, "intel/ice/ddp/ice.pkg.xz", "a") + firmware(t, "intel/ice/1.bin.zst", "b") + firmware(t, "nobody/has.bin.gz", "c"),
			want:  []string{`file intel/ice/1.bin 0644 "b"`, `file intel/ice/ddp/ice.pkg 0644 "a"`, `file nobody/has.bin 0644 "c"`}, lacking: 1,
		},
		"plain before compressed": {
			layer: firmware(t, "nobody/has.bin.zst", "z") + firmware(t, "nobody/has.bin", "plain") + firmware(t, "nobody/has.bin.xz", "x"),
			want:  []string{`file nobody/has.bin 0644 "plain"`}, lacking: 3,
		},
		"updates first": {
			layer: firmware(t, "nobody/has.bin", "old") + firmware(t, version+"/nobody/has.bin", "of the kernel") + firmware(t, "updates/nobody/has.bin.xz", "new"),
			want:  []string{`file nobody/has.bin 0644 "new"`}, lacking: 3,
		},
		"updates of a kernel": {
			layer: firmware(t, "updates/nobody/has.bin", "new") + firmware(t, "updates/"+version+"/nobody/has.bin", "newest"),
			want:  []string{`file nobody/has.bin 0644 "newest"`}, lacking: 3,
		},
		"one file of two names": {
			layer: firmware(t, "intel/ice/1.bin.xz", "b") + "symlink lib/firmware/intel/ice/2.bin.xz 1.bin.xz\nlink lib/firmware/nobody/has.bin.xz lib/firmware/intel/ice/1.bin.xz\n",
			want:  []string{`file intel/ice/1.bin 0644 "b"`, "link intel/ice/2.bin lib/firmware/intel/ice/1.bin", "link nobody/has.bin lib/firmware/intel/ice/1.bin"}, lacking: 2,
		},
		"no files": {layer: "dir lib/firmware/nobody/has.bin 0755\nsymlink lib/firmware/intel/ice/1.bin gone\n", lacking: 4},
		"of what is built in": {
			layer: firmware(t, "nvme.bin", "n") + firmware(t, "vga.bin", "v"), // the table has no frame buffers
			want:  []string{`file nvme.bin 0644 "n"`}, lacking: 3,
		},

		"a file":            {layer: firmware(t, "my/a.bin", "a"), add: []string{"my/a.bin"}, want: []string{`file my/a.bin 0644 "a"`}, lacking: 4},
		"a compressed one":  {layer: firmware(t, "my/a.bin.xz", "a"), add: []string{"my/a.bin"}, want: []string{`file my/a.bin 0644 "a"`}, lacking: 4},
		"by its whole name": {layer: firmware(t, "my/a.bin.xz", "a"), add: []string{"my/a.bin.xz"}, want: []string{`file my/a.bin 0644 "a"`}, lacking: 4},
		"a path":            {layer: firmware(t, "my/a.bin", "a"), add: []string{"/lib/firmware/my/a.bin"}, want: []string{`file my/a.bin 0644 "a"`}, lacking: 4},
		"a path in /usr":    {layer: firmware(t, "my/a.bin", "a"), add: []string{"/usr/lib/firmware/my/a.bin"}, want: []string{`file my/a.bin 0644 "a"`}, lacking: 4},
		"a pattern":         {layer: firmware(t, "my/a.bin.xz", "a") + firmware(t, "my/b.bin", "b"), add: []string{"my/*"}, want: []string{`file my/a.bin 0644 "a"`, `file my/b.bin 0644 "b"`}, lacking: 4},
		"a directory": {
			layer: firmware(t, "dir/a.bin.xz", "a") + firmware(t, "dir/below/b.bin", "b") + loop + "symlink lib/firmware/dir/gone no/such\nfifo lib/firmware/dir/pipe 0600\n",
			add:   []string{"dir/"}, want: []string{`file dir/a.bin 0644 "a"`, `file dir/below/b.bin 0644 "b"`}, lacking: 4,
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.Firmware, o.AddModules = tt.add, tt.modules
			tree, report := build(t, image(t, tt.layer), o)
			if d := cmp.Diff(tt.want, lines(t, tree, "lib/firmware")); d != "" {
				t.Errorf("firmware (-want +got):\n%s", d)
			}
			if report.FirmwareLacking != tt.lacking || len(report.Firmware) != len(tt.want) || len(report.Warnings) > 0 {
				t.Errorf("%+v", report)
			}
		})
	}
}

func TestBuildRefusesFirmware(t *testing.T) {
	const none = "the image has nothing of that name below /lib/firmware: install its package in the recipe, or correct --firmware"
	for name, tt := range map[string]struct{ layer, add, want string }{
		"no such file": {"", "my/a.bin", `adding firmware "my/a.bin": ` + none},
		"outside":      {`file etc/shadow 0600 "root:x"`, "../../etc/shadow", `adding firmware "../../etc/shadow": ` + none},
		"bad pattern":  {"", "my/[", `adding firmware "my/[": its pattern: syntax error in pattern`},
		"damaged":      {"file lib/firmware/my/a.bin.gz 0644 garbage", "my", "carrying firmware my/a.bin: decompressing lib/firmware/my/a.bin.gz: unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.Firmware = []string{tt.add}
			refuses(t, image(t, tt.layer), o, tt.want)
		})
	}
	bad := rootfstest.Tree(t, modules(t, small(), ""), fmt.Sprintf("file %s/kernel/fs/overlayfs/overlay.ko 0644 %q", modulesDir, module(t, "overlay", "bad[")))
	refuses(t, bad, options(), `looking for the firmware "bad[" of a module: its pattern: syntax error in pattern`)
}

// cpioLines describes the entries of an archive, which must end with its trailer
// or be empty.
func cpioLines(t testing.TB, b []byte) (lines []string) {
	t.Helper()
	entries, rest, err := cpiotest.Parse(b)
	if err != nil || len(rest) > 0 || len(b) > 0 && entries[len(entries)-1].Name != cpiotest.Trailer {
		t.Fatalf("%d entries, %d bytes behind them, %v", len(entries), len(rest), err)
	}
	for _, e := range entries[:max(len(entries)-1, 0)] {
		verb := map[uint32]string{rootfs.TypeDir: "dir", rootfs.TypeRegular: "file"}[e.Mode&rootfs.TypeMask]
		lines = append(lines, rootfstest.Entry{
			Verb: verb, Path: e.Name, Mode: int64(e.Mode & 0o7777), UID: int(e.UID), GID: int(e.GID), ModTime: time.Unix(int64(e.ModTime), 0), Content: string(e.Body),
		}.String())
	}
	return lines
}

// The archive of microcode has what the kernel looks for, uncompressed.
func TestEarly(t *testing.T) {
	amd := firmware(t, "amd-ucode/microcode_amd_fam17h.bin.xz", "seventeen,") + firmware(t, "amd-ucode/microcode_amd.bin", "amd,") +
		firmware(t, "amd-ucode/microcode_amd_fam17h.bin.asc", "a signature") + firmware(t, "amd-ucode/README.md", "text")
	intel := firmware(t, "intel-ucode/06-55-04.zst", "second") + firmware(t, "intel-ucode/06-55-03.gz", "packed") + "file lib/firmware/intel-ucode/06-55-03 0644 first,\n" +
		"file lib/firmware/intel-ucode/06-55-05.initramfs 0644 other\n"
	top := []string{"dir kernel 0755", "dir kernel/x86 0755", "dir kernel/x86/microcode 0755"}
	amdLine, intelLine := `file kernel/x86/microcode/AuthenticAMD.bin 0644 "amd,seventeen,"`, `file kernel/x86/microcode/GenuineIntel.bin 0644 "first,second"`
	for name, tt := range map[string]struct {
		layer, arch string
		want        []string
	}{
		"none":       {"dir lib/firmware/amd-ucode 0755", "amd64", nil},
		"amd":        {amd, "amd64", append(top, amdLine)},
		"intel":      {intel, "amd64", append(top, intelLine)},
		"both":       {amd + intel, "amd64", append(top, amdLine, intelLine)},
		"usr-merge":  {"symlink lib usr/lib\n" + strings.ReplaceAll(intel, "lib/firmware", "usr/lib/firmware"), "amd64", append(top, intelLine)},
		"other CPUs": {amd + intel, "arm64", nil},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := initrd.Early(rootfstest.Tree(t, tt.layer), tt.arch)
			if err != nil {
				t.Fatal(err)
			}
			if len(b)%4 != 0 || (b == nil) != (tt.want == nil) {
				t.Errorf("%d bytes", len(b))
			}
			if d := cmp.Diff(tt.want, cpioLines(t, b)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
	for layer, want := range map[string]string{
		"file lib/firmware/amd-ucode/microcode_amd.bin.xz 0644 garbage": "reading CPU microcode: decompressing lib/firmware/amd-ucode/microcode_amd.bin.xz: ",
		"file lib/firmware/intel-ucode 0644 x":                          "reading CPU microcode: readdir lib/firmware/intel-ucode: not a directory",
	} {
		if _, err := initrd.Early(rootfstest.Tree(t, layer), "amd64"); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}
