package initrd_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"debug/elf"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/initrd"
	"github.com/rootcast/rootcast/convert/kmod"
	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// What a first stage is made of, each file with its owner, mode and time.
func TestBuild(t *testing.T) {
	text := map[string]string{
		"modules.dep":   "kernel/drivers/net/virtio_net.ko: kernel/net/core/failover.ko\nkernel/fs/overlayfs/overlay.ko:\nkernel/net/core/failover.ko:\nkernel/sound/snd.ko:\n",
		"modules.alias": "alias virtio:d00000001v* virtio_net\nalias char-major-116-* snd\n",
	}
	o := options()
	o.Firmware = []string{"wanted.bin"}
	tree, report := build(t, rootfstest.Tree(t, modules(t, text, ""), `
		file    lib/firmware/wanted.bin 0600 5:6 mtime=9 xattr:user.a=b code
		file    etc/passwd 0644 "the image's own"`), o)
	rootfstest.Diff(t, tree, fmt.Sprintf(`
		dir     . 0755
		dir     dev 0755
		char    dev/console 0600 5 1
		char    dev/null 0666 1 3
		dir     etc 0755
		file    init 0755 "#!init"
		dir     lib 0755
		dir     lib/firmware 0755
		file    lib/firmware/wanted.bin 0644 code
		dir     lib/modules 0755
		dir     lib/modules/6.1.0-test 0755
		dir     lib/modules/6.1.0-test/kernel 0755
		dir     lib/modules/6.1.0-test/kernel/drivers 0755
		dir     lib/modules/6.1.0-test/kernel/drivers/net 0755
		file    lib/modules/6.1.0-test/kernel/drivers/net/virtio_net.ko.zst 0644 %q
		dir     lib/modules/6.1.0-test/kernel/fs 0755
		dir     lib/modules/6.1.0-test/kernel/fs/overlayfs 0755
		file    lib/modules/6.1.0-test/kernel/fs/overlayfs/overlay.ko.zst 0644 %q
		dir     lib/modules/6.1.0-test/kernel/net 0755
		dir     lib/modules/6.1.0-test/kernel/net/core 0755
		file    lib/modules/6.1.0-test/kernel/net/core/failover.ko.zst 0644 %q
		file    lib/modules/6.1.0-test/modules.alias 0644 "alias virtio:d00000001v* virtio_net\n"
		file    lib/modules/6.1.0-test/modules.builtin 0644
		file    lib/modules/6.1.0-test/modules.builtin.modinfo 0644
		file    lib/modules/6.1.0-test/modules.dep 0644 "kernel/drivers/net/virtio_net.ko.zst: kernel/net/core/failover.ko.zst\nkernel/fs/overlayfs/overlay.ko.zst:\nkernel/net/core/failover.ko.zst:\n"
		file    lib/modules/6.1.0-test/modules.order 0644
		file    lib/modules/6.1.0-test/modules.softdep 0644
		dir     proc 0555
		dir     root 0700
		dir     run 0755
		dir     sys 0555
		dir     sysroot 0755
		dir     tmp 01777`, packed(t, module(t, "virtio_net", asks()["virtio_net"]...)), packed(t, module(t, "overlay")), packed(t, module(t, "failover"))))
	var bytes int64
	for _, in := range tree.All() {
		bytes += in.Size
	}
	want := &initrd.Report{
		Modules: []string{"failover", "overlay", "virtio_net"}, Firmware: []string{"wanted.bin"}, FirmwareLacking: 1,
		Unpacked: bytes, HasNetwork: true,
	}
	if d := cmp.Diff(want, report); d != "" {
		t.Errorf("report (-want +got):\n%s", d)
	}
}

// packed is a module as the first stage carries it.
func packed(t testing.TB, plain []byte) []byte {
	t.Helper()
	c, err := kmod.NewCompressor(1)
	if err != nil {
		t.Fatal(err)
	}
	return c.Compress(plain)
}

// What depmod wrote is reduced to what is carried.
func TestBuildLists(t *testing.T) {
	tree, _ := build(t, image(t), options())
	for name, want := range map[string]string{
		"modules.dep": `kernel/crypto/crc32c_fast.ko.zst:
kernel/drivers/net/ethernet/intel/ice/ice.ko.zst: kernel/drivers/ptp/ptp.ko.zst
kernel/drivers/net/net_failover.ko.zst: kernel/net/core/failover.ko.zst
kernel/drivers/net/virtio_net.ko.zst: kernel/drivers/net/net_failover.ko.zst kernel/net/core/failover.ko.zst
kernel/drivers/ptp/ptp.ko.zst:
kernel/fs/ext4/ext4.ko.zst: kernel/fs/jbd2/jbd2.ko.zst
kernel/fs/jbd2/jbd2.ko.zst:
kernel/fs/overlayfs/overlay.ko.zst:
kernel/net/core/failover.ko.zst:
`,
		"modules.alias": `alias crypto-crc32c crc32c_fast
alias pci:v00008086d00001592sv*sd*bc*sc*i* ice
alias virtio:d00000001v* virtio_net
alias fs-ext4 ext4
`,
		"modules.softdep":         "softdep ext4 pre: crypto-crc32c\n",
		"modules.order":           "kernel/fs/jbd2/jbd2.ko\nkernel/fs/ext4/ext4.ko\nkernel/fs/overlayfs/overlay.ko\n",
		"modules.builtin":         small()["modules.builtin"],
		"modules.builtin.modinfo": "squashfs.alias=fs-squashfs\x00",
	} {
		got, err := fs.ReadFile(tree, modulesDir+"/"+name)
		if err != nil {
			t.Error(err)
		}
		if d := cmp.Diff(want, string(got)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// However the image's modules are compressed and however many are read at a
// time, the initrd has the same bytes.
func TestBuildSameBytes(t *testing.T) {
	var want []byte
	for _, ending := range []string{"", ".gz", ".xz", ".zst"} {
		tree := rootfstest.Tree(t, modules(t, small(), ending))
		for _, jobs := range []int{1, 4} {
			o := options()
			o.Jobs = jobs
			built, _ := build(t, tree, o)
			got := archive(t, built, pack.None)
			if want == nil {
				want = got
			}
			if !bytes.Equal(got, want) {
				t.Errorf("other bytes with modules .ko%s and %d jobs", ending, jobs)
			}
		}
	}
}

func TestBuildRefusesModules(t *testing.T) {
	ice := modulesDir + "/kernel/drivers/net/ethernet/intel/ice/ice.ko"
	packed := rootfstest.Tree(t, modules(t, small(), ".xz"), fmt.Sprintf("file %s.xz 0644 %q", ice, "\xfd7zXZ\x00 and then something else"))
	for name, tt := range map[string]struct {
		layer string
		want  string
	}{
		"no list":  {"wh " + modulesDir + "/modules.dep", modulesDir + " has no modules.dep: depmod was never run for this kernel; its package does that, or RUN depmod VERSION in the recipe: open lib/modules/6.1.0-test/modules.dep: file does not exist"},
		"bad list": {"file " + modulesDir + "/modules.dep 0644 overlay.ko", `reading lib/modules/6.1.0-test/modules.dep: line 1: "overlay.ko" is not PATH: DEPENDENCIES`},
		"no file":  {"wh " + ice, "carrying module ice: stat " + ice + ": file does not exist"},
		"no ELF":   {"file " + ice + ` 0644 "#!/bin/sh, and no module"`, "carrying module ice from /" + ice + ": reading what a module says of itself: bad magic number '[35 33 47 98]' in record at byte 0x0"},
		"a dir":    {"dir " + ice + " 0755", "carrying module ice: reading " + ice + ": invalid argument"},
	} {
		t.Run(name, func(t *testing.T) { refuses(t, image(t, tt.layer), options(), tt.want) })
	}
	if _, _, err := initrd.Build(t.Context(), packed, options()); err == nil ||
		!strings.HasPrefix(err.Error(), "building the initrd: carrying module ice: decompressing "+ice+".xz: ") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := initrd.Build(ctx, image(t), options()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// The first program must be one that the kernel can start with nothing else there.
func TestBuildInit(t *testing.T) {
	for name, tt := range map[string]struct {
		program []byte
		arch    string
		want    string
	}{
		"static":          {executable(t, elf.EM_X86_64, elf.PT_LOAD), "amd64", ""},
		"another's":       {executable(t, elf.EM_X86_64, elf.PT_LOAD), "arm64", "the first program is not a static one for arm64"},
		"of arm64":        {executable(t, elf.EM_AARCH64, elf.PT_LOAD), "arm64", ""},
		"of ppc64le":      {executable(t, elf.EM_PPC64, elf.PT_LOAD), "ppc64le", ""},
		"of riscv64":      {executable(t, elf.EM_RISCV, elf.PT_LOAD), "riscv64", ""},
		"order of bytes":  {executable(t, elf.EM_S390, elf.PT_LOAD), "s390x", "the first program is not a static one for s390x"},
		"an architecture": {executable(t, elf.EM_LOONGARCH, elf.PT_LOAD), "loong64", ""}, // of which nothing is known
		"dynamic":         {executable(t, elf.EM_X86_64, elf.PT_INTERP), "amd64", "the first program is not a static one for amd64"},
		"a module":        {module(t, "x"), "amd64", "the first program is not a static one for amd64"},
		"cut off":         {executable(t, elf.EM_X86_64, elf.PT_LOAD)[:80], "amd64", "the first program is not a static one for amd64"},
		"nothing":         {nil, "amd64", "there is no first program"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.Init, o.Architecture = tt.program, tt.arch
			if tt.want != "" {
				refuses(t, image(t), o, tt.want)
				return
			}
			tree, _ := build(t, image(t), o)
			if got, err := fs.ReadFile(tree, "init"); err != nil || !bytes.Equal(got, tt.program) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

// The image's busybox becomes the shell where it runs by itself.
func TestBuildShell(t *testing.T) {
	static, dynamic := executable(t, elf.EM_X86_64, elf.PT_LOAD), executable(t, elf.EM_X86_64, elf.PT_INTERP)
	carried := []string{fmt.Sprintf("file busybox 0755 %q", static), "symlink sh busybox"}
	for name, tt := range map[string]struct {
		layer string
		want  []string
	}{
		"static":       {fmt.Sprintf("file bin/busybox 0700 1:1 %q", static), carried},
		"usr-merge":    {fmt.Sprintf("symlink bin usr/bin\nfile usr/bin/busybox 0755 %q", static), carried},
		"a symlink":    {fmt.Sprintf("symlink bin/busybox /opt/busybox\nfile opt/busybox 0755 %q", static), carried},
		"second place": {fmt.Sprintf("file bin/busybox 0755 %q\nfile usr/sbin/busybox 0755 %q", dynamic, static), carried},
		"dynamic":      {fmt.Sprintf("file bin/busybox 0755 %q", dynamic), nil},
		"another's":    {fmt.Sprintf("file bin/busybox 0755 %q", executable(t, elf.EM_AARCH64, elf.PT_LOAD)), nil},
		"a script":     {"file bin/busybox 0755 #!/bin/sh", nil},
		"a directory":  {"dir bin/busybox 0755", nil},
		"dangling":     {"symlink bin/busybox gone", nil},
	} {
		t.Run(name, func(t *testing.T) {
			tree, _ := build(t, image(t, tt.layer), options())
			if d := cmp.Diff(tt.want, lines(t, tree, "bin")); d != "" {
				t.Errorf("/bin (-want +got):\n%s", d)
			}
		})
	}
}

// certificate is one in PEM.
func certificate(t testing.TB, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	made := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}}
	der, err := x509.CreateCertificate(rand.Reader, made, made, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestBuildCA(t *testing.T) {
	first, second := certificate(t, "first"), certificate(t, "second")
	key := "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
	for name, tt := range map[string]struct{ text, want, err string }{
		"one":         {first, first, ""},
		"two":         {"a comment\n" + first + "\nanother\n" + second + "\n", first + second, ""},
		"none":        {"a comment", "", "reading the CA certificates: no PEM certificate among them (-----BEGIN CERTIFICATE-----)"},
		"a key":       {first + key, "", "reading the CA certificates: PEM block 2 is a PRIVATE KEY: give certificates alone, and never a private key"},
		"no contents": {"-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----\n", "", "reading the CA certificates: PEM block 1: x509: malformed certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.CA = []byte(tt.text)
			if tt.err != "" {
				refuses(t, image(t), o, tt.err)
				return
			}
			tree, _ := build(t, image(t), o)
			if got, err := fs.ReadFile(tree, initrd.CAPath); err != nil || string(got) != tt.want {
				t.Errorf("%v, %q", err, got)
			}
		})
	}
}
