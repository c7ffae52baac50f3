package initrd_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/kernel"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// changed are the standard modules with those that a change names: "+snd -ice".
func changed(change string) []string {
	names := map[string]bool{}
	for name := range strings.FieldsSeq(standard) {
		names[name] = true
	}
	for word := range strings.FieldsSeq(change) {
		if name, ok := strings.CutPrefix(word, "-"); ok {
			delete(names, name)
			continue
		}
		names[word[1:]] = true
	}
	return slices.Sorted(maps.Keys(names))
}

func TestBuildChooses(t *testing.T) {
	small := image(t)
	for name, tt := range map[string]struct {
		add, omit string // words with a blank between
		want      string
		warning   string
	}{
		"by the table":         {},
		"a name":               {add: "btrfs", want: "+btrfs +raid6_pq +aes_fast +aes_generic"},
		"a name with a dash":   {add: "snd-pcm", want: "+snd +snd_pcm"},
		"an underscore for it": {add: "snd_pcm", want: "+snd +snd_pcm"},
		"what is there anyway": {add: "ext4 overlay"},
		"an alias":             {add: "fs-btrfs", want: "+btrfs +raid6_pq +aes_fast +aes_generic"},
		"an alias of two":      {add: "crypto-aes", want: "+aes_fast +aes_generic"},
		"a device":             {add: "pci:v00001077d00002532sv00001077sd0000015Cbc0Csc04i00", want: "+qla2xxx +scsi_transport_fc"},
		"a pattern":            {add: "s?d", want: "+snd"},
		"a pattern, dash":      {add: "snd-*", want: "+snd +snd_pcm"},
		"a pattern, range":     {add: "aes_[a-f]*", want: "+aes_fast"},
		"a directory":          {add: "kernel/drivers/scsi", want: "+qla2xxx +scsi_transport_fc"},
		"a shorter one":        {add: "drivers/scsi/", want: "+qla2xxx +scsi_transport_fc"},
		"a path of the image":  {add: "/usr/lib/modules/6.1.0-test/kernel/sound", want: "+snd +snd_pcm"},
		"a pattern of such":    {add: "kernel/*/core/snd*", want: "+snd +snd_pcm"},
		"a file":               {add: "kernel/crypto/aes-fast.ko.xz", want: "+aes_fast"},
		"outside of kernel":    {add: "updates/dkms", want: "+fabric"},
		"built in":             {add: "squashfs"},
		"built in, an alias":   {add: "fs-squashfs"},
		"built in, a pattern":  {add: "squash*"},
		"built in, a place":    {add: "drivers/nvme"},
		"several":              {add: "snd aes-fast updates/", want: "+snd +aes_fast +fabric"},

		"without one":            {omit: "ice", want: "-ice -ptp"},
		"without what others do": {omit: "failover", want: "-failover -net_failover -virtio_net"},
		"without an alias":       {omit: "fs-ext4", want: "-ext4 -jbd2 -crc32c_fast"},
		"without a soft one":     {omit: "crypto-crc32c", want: "-crc32c_fast"},
		"without a pattern":      {omit: "*_net", want: "-virtio_net"},
		"without a directory":    {omit: "drivers/net/ethernet", want: "-ice -ptp"},
		"without what is not":    {omit: "snd"},
		"without what is built":  {omit: "squashfs", warning: `omitting module "squashfs": it is built into kernel 6.1.0-test and cannot be left out`},
		"without nothing":        {omit: "nosuch", warning: `omitting module "nosuch": kernel 6.1.0-test has none of that name`},
		"both":                   {add: "snd-pcm", omit: "ext4", want: "+snd +snd_pcm -ext4 -jbd2 -crc32c_fast"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.AddModules, o.OmitModules = strings.Fields(tt.add), strings.Fields(tt.omit)
			_, report := build(t, small, o)
			if d := cmp.Diff(changed(tt.want), report.Modules); d != "" {
				t.Errorf("modules (-want +got):\n%s", d)
			}
			if got := strings.Join(report.Warnings, "\n"); got != tt.warning {
				t.Errorf("warnings\n%s, want\n%s", got, tt.warning)
			}
			if !report.HasNetwork {
				t.Error("no network")
			}
		})
	}
}

func TestBuildRefusesWords(t *testing.T) {
	small := image(t)
	for name, tt := range map[string]struct{ add, omit, want string }{
		"unknown":      {add: "btfrs", want: `adding module "btfrs": kernel 6.1.0-test has none of that name, neither loadable nor built in; near it are btrfs`},
		"near a place": {add: "nvm", want: `adding module "nvm": kernel 6.1.0-test has none of that name, neither loadable nor built in; near it are nvme`},
		"near nothing": {add: "quite_something", want: `adding module "quite_something": kernel 6.1.0-test has none of that name, neither loadable nor built in`},
		"no device":    {add: "pci:v0000FFFFd0000FFFFsv*", want: `adding module "pci:v0000FFFFd0000FFFFsv*": kernel 6.1.0-test has none of that name, neither loadable nor built in`},
		"no directory": {add: "drivers/gpu", want: `adding module "drivers/gpu": kernel 6.1.0-test has none of that name, neither loadable nor built in`},
		"the root":     {add: "/", want: `adding module "/": kernel 6.1.0-test has none of that name, neither loadable nor built in`},
		"bad pattern":  {add: "snd[", want: `adding module "snd[": its pattern: syntax error in pattern`},
		"bad omit":     {omit: "drivers/[", want: `omitting module "drivers/[": its pattern: syntax error in pattern`},
		"at odds":      {add: "btrfs", omit: "raid6_pq", want: "adding module btrfs: it needs raid6_pq, which is omitted: check --omit-module"},
		"no network":   {omit: "drivers/net", want: "omitting modules: no driver of a network card is left, and a node needs one: check --omit-module"},
		"no overlay":   {omit: "over*", want: "omitting module overlay: a node's root needs it: check --omit-module"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.AddModules, o.OmitModules = strings.Fields(tt.add), strings.Fields(tt.omit)
			refuses(t, small, o, tt.want)
		})
	}
}

// lists is a kernel of these modules alone, with these built in.
func lists(dep, builtin string) map[string]string {
	return map[string]string{"modules.dep": dep, "modules.builtin": builtin}
}

// Kernels of other shapes, as distributions and vendors make them.
func TestBuildKernels(t *testing.T) {
	const (
		overlay = "kernel/fs/overlayfs/overlay.ko:\n"
		igb     = "kernel/drivers/net/ethernet/intel/igb/igb.ko"
	)
	for name, tt := range map[string]struct {
		lists   map[string]string
		arch    string
		add     []string
		want    string
		warning string
	}{
		"card built in":    {lists: lists(overlay, igb+"\n"), want: "overlay"},
		"overlay built in": {lists: lists(igb+":\n", "kernel/fs/overlayfs/overlay.ko\n"), want: "igb"},
		"of an architecture": {
			lists: lists(overlay+"kernel/drivers/s390/net/qeth.ko:\nkernel/drivers/s390/block/dasd_mod.ko:\n", ""), arch: "s390x", want: "dasd_mod overlay qeth",
		},
		"lacking a dependency": {
			lists: lists(overlay+igb+": kernel/drivers/i2c/i2c-core.ko\n", ""), want: "igb overlay",
			warning: "modules of kernel 6.1.0-test need i2c_core, which it does not have",
		},
		"replaced by a vendor's": { // which modules.order tells the place of
			lists: map[string]string{"modules.dep": overlay + "updates/dkms/igb.ko:\nextra/other.ko:\n", "modules.order": igb + "\n"}, want: "igb overlay",
		},
		"a vendor's directories": {lists: lists(overlay+"extra/mlnx-ofa_kernel/drivers/net/ethernet/mellanox/mlx5/core/mlx5_core.ko:\n", ""), want: "mlx5_core overlay"},
		"a vendor's card":        {lists: lists(overlay+"updates/dkms/fabric.ko:\n", ""), add: []string{"fabric"}, want: "fabric overlay"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.AddModules = tt.add
			if tt.arch != "" {
				o.Architecture = tt.arch
			}
			_, report := build(t, rootfstest.Tree(t, modules(t, tt.lists, "")), o)
			if got := strings.Join(report.Modules, " "); got != tt.want || !report.HasNetwork {
				t.Errorf("modules %s, want %s; network %t", got, tt.want, report.HasNetwork)
			}
			if got := strings.Join(report.Warnings, "\n"); got != tt.warning {
				t.Errorf("warnings %q, want %q", got, tt.warning)
			}
		})
	}
}

// A kernel with which no node boots is refused with the name of the package to
// install.
func TestBuildRefusesKernel(t *testing.T) {
	const nic = "kernel/drivers/net/ethernet/intel/igb/igb.ko:\n"
	noOverlay := "kernel 6.1.0-test has no overlay file system, neither loadable nor built in, and a node's root needs one: install %s in the recipe"
	noNetwork := "kernel 6.1.0-test has no driver of a network card below /lib/modules/6.1.0-test, neither loadable nor built in: install %s in the recipe"
	for name, tt := range map[string]struct{ dep, arch, release, want string }{
		"no overlay":     {nic, "amd64", "ID=debian\n", fmt.Sprintf(noOverlay, "linux-image-amd64")},
		"no card":        {"kernel/fs/overlayfs/overlay.ko:\nkernel/drivers/net/phy/realtek.ko:\n", "amd64", "", fmt.Sprintf(noNetwork, "the distribution's full kernel package")},
		"nothing":        {"", "arm64", "ID=debian", fmt.Sprintf(noOverlay, "linux-image-arm64")},
		"debian ppc64le": {nic, "ppc64le", "NAME=x\nID=debian\n", fmt.Sprintf(noOverlay, "linux-image-powerpc64le")},
		"ubuntu":         {nic, "amd64", "ID=ubuntu\nID_LIKE=debian\n", fmt.Sprintf(noOverlay, "linux-image-generic")},
		"rocky":          {nic, "amd64", "ID=\"rocky\"\n", fmt.Sprintf(noOverlay, "kernel-modules")},
		"leap":           {nic, "amd64", "ID='opensuse-leap'\n", fmt.Sprintf(noOverlay, "kernel-default")},
		"like some":      {nic, "amd64", "ID=own\nID_LIKE=\"unheard-of rhel fedora\"\n", fmt.Sprintf(noOverlay, "kernel-modules")},
		"like none":      {nic, "amd64", "ID=own\nVERSION_ID=debian\n", fmt.Sprintf(noOverlay, "the distribution's full kernel package")},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.Architecture = tt.arch
			tree := rootfstest.Tree(t, modules(t, lists(tt.dep, ""), ""), fmt.Sprintf("file usr/lib/os-release 0644 %q\nsymlink etc/os-release ../usr/lib/os-release", tt.release))
			refuses(t, tree, o, tt.want)
		})
	}
}

// An image without modules of its kernel gives an initrd without, and a warning.
func TestBuildWithoutModules(t *testing.T) {
	o := options()
	o.Kernel = kernel.Kernel{Version: version}
	tree, report := build(t, rootfstest.Tree(t, "dir etc 0755"), o)
	want := "the image has no modules of kernel 6.1.0-test: the initrd has none, and the kernel must have everything built in that a node needs"
	if got := strings.Join(report.Warnings, "\n"); got != want || len(report.Modules) > 0 || report.HasNetwork {
		t.Errorf("%+v", report)
	}
	if got := lines(t, tree, "lib"); got != nil {
		t.Errorf("%q", got)
	}
	o.AddModules = []string{"btrfs"}
	refuses(t, rootfstest.Tree(t, "dir etc 0755"), o, `adding module "btrfs": the image has no modules of kernel 6.1.0-test at all`)
}
