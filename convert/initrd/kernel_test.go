package initrd_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/rootcast/rootcast/convert/initrd"
	"github.com/rootcast/rootcast/convert/kernel"
	"github.com/rootcast/rootcast/convert/kmod/kmodtest"
	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

const (
	version    = "6.1.0-test"
	modulesDir = "lib/modules/" + version
)

// small is what depmod wrote of a kernel that has something of each kind, by the
// names of its files: drivers of network cards and others, modules that need
// others or softly want them, aliases, and a vendor's module.
func small() map[string]string {
	return map[string]string{
		"modules.dep": `kernel/crypto/aes-fast.ko:
kernel/crypto/aes_generic.ko:
kernel/crypto/crc32c_fast.ko:
kernel/drivers/net/ethernet/intel/ice/ice.ko: kernel/drivers/ptp/ptp.ko
kernel/drivers/net/ethernet/mellanox/mlxsw/mlxsw_core.ko:
kernel/drivers/net/net_failover.ko: kernel/net/core/failover.ko
kernel/drivers/net/virtio_net.ko: kernel/drivers/net/net_failover.ko kernel/net/core/failover.ko
kernel/drivers/ptp/ptp.ko:
kernel/drivers/s390/net/qeth.ko:
kernel/drivers/scsi/qla2xxx/qla2xxx.ko: kernel/drivers/scsi/scsi_transport_fc.ko
kernel/drivers/scsi/scsi_transport_fc.ko:
kernel/fs/btrfs/btrfs.ko: kernel/lib/raid6/raid6_pq.ko
kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko
kernel/fs/jbd2/jbd2.ko:
kernel/fs/overlayfs/overlay.ko:
kernel/lib/raid6/raid6_pq.ko:
kernel/net/core/failover.ko:
kernel/sound/core/snd-pcm.ko: kernel/sound/core/snd.ko
kernel/sound/core/snd.ko:
updates/dkms/fabric.ko:
`,
		"modules.alias": `# Aliases extracted from modules themselves.
alias crypto-aes aes_fast
alias crypto-aes aes_generic
alias crypto-crc32c crc32c_fast
alias pci:v00008086d00001592sv*sd*bc*sc*i* ice
alias virtio:d00000001v* virtio_net
alias pci:v00001077d00002532sv*sd*bc*sc*i* qla2xxx
alias fs-btrfs btrfs
alias fs-ext4 ext4
`,
		"modules.softdep":         "softdep ext4 pre: crypto-crc32c\nsoftdep btrfs pre: crypto-aes\n",
		"modules.order":           "kernel/fs/jbd2/jbd2.ko\nkernel/fs/ext4/ext4.ko\nkernel/sound/core/snd.ko\nkernel/fs/overlayfs/overlay.ko\n",
		"modules.builtin":         "kernel/fs/squashfs/squashfs.ko\nkernel/drivers/nvme/host/nvme.ko\nkernel/drivers/video/vga16fb.ko\n",
		"modules.builtin.modinfo": "squashfs.alias=fs-squashfs\x00nvme.alias=pci:v*d*sv*sd*bc01sc08i02*\x00nvme.firmware=nvme.bin\x00vga16fb.firmware=vga.bin\x00",
	}
}

// standard is what a first stage carries of the small kernel.
const standard = "crc32c_fast ext4 failover ice jbd2 net_failover overlay ptp virtio_net"

// asks is the firmware that modules of the small kernel ask for.
func asks() map[string][]string {
	return map[string][]string{"ice": {"intel/ice/ddp/ice.pkg", "intel/ice/*.bin"}, "qla2xxx": {"ql2500_fw.bin"}, "virtio_net": {"nobody/has.bin"}}
}

// modules is a layer with the files of a kernel, its modules compressed as the
// ending says.
func modules(t testing.TB, lists map[string]string, ending string) string {
	t.Helper()
	var b strings.Builder
	for name, text := range lists {
		if name == "modules.dep" {
			text = strings.ReplaceAll(text, ".ko", ".ko"+ending)
		}
		fmt.Fprintf(&b, "file %s/%s 0644 mtime=5 %q\n", modulesDir, name, text)
	}
	for line := range strings.Lines(lists["modules.dep"]) {
		file, _, _ := strings.Cut(line, ":")
		name := strings.ReplaceAll(strings.TrimSuffix(file[strings.LastIndexByte(file, '/')+1:], ".ko"), "-", "_")
		packed := kmodtest.Pack(t, ending, module(t, name, asks()[name]...))
		fmt.Fprintf(&b, "file %s/%s%s 0600 1:2 mtime=6 %q\n", modulesDir, file, ending, packed)
	}
	return b.String()
}

// image has the small kernel, and layers above.
func image(t testing.TB, layers ...string) *rootfs.Tree {
	t.Helper()
	return rootfstest.Tree(t, append([]string{modules(t, small(), "")}, layers...)...)
}

// options are those for the small kernel.
func options() initrd.Options {
	return initrd.Options{Kernel: kernel.Kernel{Version: version, Modules: modulesDir}, Architecture: "amd64", Init: []byte("#!init")}
}

// build builds what must not fail.
func build(t testing.TB, image *rootfs.Tree, o initrd.Options) (*rootfs.Tree, *initrd.Report) {
	t.Helper()
	tree, report, err := initrd.Build(t.Context(), image, o)
	if err != nil {
		t.Fatal(err)
	}
	return tree, report
}

// refuses fails the test where building does anything but fail with the message.
func refuses(t testing.TB, image *rootfs.Tree, o initrd.Options, want string) {
	t.Helper()
	if _, _, err := initrd.Build(t.Context(), image, o); err == nil || err.Error() != "building the initrd: "+want {
		t.Errorf("error\n%v, want\nbuilding the initrd: %s", err, want)
	}
}

// lines describes what the tree has below a directory, which itself is left out
// like all others.
func lines(t testing.TB, tree *rootfs.Tree, dir string) (found []string) {
	t.Helper()
	all, err := rootfstest.List(tree)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range all {
		if verb, rest, _ := strings.Cut(line, " "); verb != "dir" && strings.HasPrefix(rest, dir+"/") {
			found = append(found, verb+" "+strings.TrimPrefix(rest, dir+"/"))
		}
	}
	return found
}

// module is a kernel module that says of itself which firmware it asks for.
func module(t testing.TB, name string, firmware ...string) []byte {
	t.Helper()
	info := "name=" + name + "\x00"
	for _, f := range firmware {
		info += "firmware=" + f + "\x00"
	}
	const names = "\x00.modinfo\x00.shstrtab\x00"
	h := header(elf.EM_X86_64, elf.ET_REL)
	h.Shoff, h.Shentsize, h.Shnum, h.Shstrndx = uint64(64+len(info)+len(names)), 64, 3, 2
	return object(t, h, []byte(info+names), []elf.Section64{
		{},
		{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: 64, Size: uint64(len(info))},
		{Name: uint32(strings.Index(names, ".shstrtab")), Type: uint32(elf.SHT_STRTAB), Off: 64 + uint64(len(info)), Size: uint64(len(names))},
	})
}

// executable is a program that needs no other file, or, with elf.PT_INTERP, one
// that needs ld.so.
func executable(t testing.TB, machine elf.Machine, needs elf.ProgType) []byte {
	t.Helper()
	h := header(machine, elf.ET_EXEC)
	h.Phoff, h.Phentsize, h.Phnum = 64, 56, 1
	return object(t, h, elf.Prog64{Type: uint32(needs)})
}

func header(machine elf.Machine, typ elf.Type) elf.Header64 {
	return elf.Header64{
		Ident:  [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:   uint16(typ),
		Ehsize: 64, Machine: uint16(machine), Version: uint32(elf.EV_CURRENT),
	}
}

func object(t testing.TB, parts ...any) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, p := range parts {
		if err := binary.Write(&b, binary.LittleEndian, p); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}
