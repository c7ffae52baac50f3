package statelite

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// fakeDisks are files in the place of devices, with what the kernel says of them.
func fakeDisks(t *testing.T) *finder {
	t.Helper()
	return &finder{sys: t.TempDir(), dev: t.TempDir(), wait: time.Nanosecond, root: t.TempDir(), log: t.Logf}
}

func (f *finder) add(t *testing.T, name string, content []byte, uevent string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(f.sys, name), 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(f.dev, strings.ReplaceAll(name, "!", "/"))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string][]byte{
		path: content, filepath.Join(f.sys, name, "size"): fmt.Append(nil, len(content)/512, "\n"), filepath.Join(f.sys, name, "uevent"): []byte(uevent),
	} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// fake is the start of a disk with a file system.
func fake(kind, label string, id byte) []byte {
	b := make([]byte, probeSize)
	switch kind {
	case "ext4":
		copy(b[1024+0x38:], "\x53\xef")
		copy(b[1024+0x78:1024+0x88], label)
		b[1024+0x68] = id
	case "xfs":
		copy(b, "XFSB")
		copy(b[108:120], label)
		b[32] = id
	case "btrfs":
		copy(b[0x10040:], "_BHRfS_M")
		copy(b[0x1012b:], label)
		b[0x10020] = id
	case "swap":
		copy(b[4086:], "SWAPSPACE2")
	}
	return b
}

func TestFind(t *testing.T) {
	t.Parallel()
	f := fakeDisks(t)
	f.add(t, "sda", make([]byte, probeSize), "MAJOR=8\n")
	f.add(t, "sda1", fake("ext4", "sixteen-bytes-lg", 1), "PARTN=1\nPARTNAME=one\nPARTUUID=AB-1\n")
	f.add(t, "sdb", fake("xfs", "twelve-bytes", 2), "")
	f.add(t, "cciss!c0d0", fake("btrfs", "slow", 3), "")
	f.add(t, "sdc", fake("ext4", "twice", 4), "")
	f.add(t, "sdd", fake("ext4", "twice", 5), "")
	f.add(t, "sde", fake("ext4", "paths", 6), "")
	f.add(t, "sdf", fake("ext4", "paths", 6), "")
	f.add(t, "sdg1", make([]byte, probeSize), "PARTNAME=empty\n")
	f.add(t, "sdg2", fake("swap", "", 0), "PARTNAME=swap\n")
	f.add(t, "sdg3", fake("ext4", "old", 7), "PARTNAME=named\n")
	f.add(t, "sdg4", make([]byte, probeSize), "PARTNAME=name-of-20-characters\n")
	f.add(t, "loop0", nil, "")
	for _, tc := range []struct{ source, want string }{
		{"LABEL=sixteen-bytes-lg", "sda1 ext4"},
		{"LABEL=twelve-bytes", "sdb xfs"},
		{"LABEL=slow", "cciss/c0d0 btrfs"},
		{"UUID=03000000-0000-0000-0000-000000000000", "cciss/c0d0 btrfs"},
		{"PARTLABEL=one", "sda1 ext4"},
		{"PARTUUID=ab-1", "sda1 ext4"},
		{"LABEL=paths", "sde ext4"},
		{"LABEL=twice", "two disks are LABEL=twice: DEV/sdc (ext4 labelled twice) and DEV/sdd (ext4 labelled twice); name one by its UUID="},
		{"LABEL=empty", "DEV/sdg1 is empty: to have it formatted boot with rootcast.format=yes"},
		{"PARTLABEL=empty", "DEV/sdg1 is empty: to have it formatted boot with rootcast.format=yes"},
		{"LABEL=swap", "DEV/sdg2 holds neither ext4, xfs nor btrfs, and is not empty: it is not formatted; use another one, or wipe it (blkdiscard -z, dd if=/dev/zero)"},
		{"LABEL=named", "DEV/sdg3 (ext4 labelled old) is the partition named but has another label: it is not formatted; label it (e2label, xfs_admin -L), or boot with PARTLABEL=named"},
		{"PARTLABEL=named", "sdg3 ext4"},
		{"LABEL=none", "no disk is LABEL=none after 1ns; there are DEV/cciss/c0d0 (btrfs labelled slow), DEV/sda (no file system known here), "},
		{"NAME=x", `"NAME=x" names no place: write SERVER:/DIR, LABEL=NAME, UUID=, PARTLABEL=, PARTUUID= or /dev/NAME`},
		{"LABEL=", `"LABEL=" names no place`},
		{"", `"" names no place`},
	} {
		d, err := f.find(t.Context(), tc.source)
		var got string
		if err != nil {
			got = strings.ReplaceAll(err.Error(), f.dev, "DEV")
		} else {
			got = strings.TrimPrefix(d.path, f.dev+"/") + " " + d.kind
		}
		if got != tc.want && (err == nil || !strings.HasPrefix(got, tc.want)) {
			t.Errorf("%s:\ngot  %s\nwant %s", tc.source, got, tc.want)
		}
	}
	f.format = true
	for source, want := range map[string]string{
		"LABEL=swap":                     "DEV/sdg2 holds neither ext4, xfs nor btrfs",
		"LABEL=named":                    "DEV/sdg3 (ext4 labelled old) is the partition named",
		"LABEL=name-of-20-characters":    "DEV/sdg4 is to be formatted, but LABEL=name-of-20-characters is longer than the 16 bytes",
		"PARTLABEL=empty":                "formatting DEV/sdg1: the image has no mkfs.ext4: add the package e2fsprogs to its recipe",
		"UUID=" + strings.Repeat("0", 8): "no disk is UUID=",
	} {
		if _, err := f.find(t.Context(), source); err == nil || !strings.HasPrefix(strings.ReplaceAll(err.Error(), f.dev, "DEV"), want) {
			t.Errorf("%s: got %v, want %s", source, err, want)
		}
	}
	none := fakeDisks(t)
	if _, err := none.find(t.Context(), "/dev/sda"); err == nil || !strings.Contains(err.Error(), "there are none: is the module for their controller in the initrd") {
		t.Errorf("got %v", err)
	}
}

// A disk that a controller finds late is waited for.
func TestFindWaits(t *testing.T) {
	t.Parallel()
	f := fakeDisks(t)
	f.wait = time.Minute
	f.log = func(format string, args ...any) {
		if got, want := fmt.Sprintf(format, args...), "statelite: waiting up to 1m0s for the disk LABEL=late"; got != want {
			t.Errorf("log: %s", got)
		}
		f.add(t, "sda", fake("xfs", "late", 1), "")
	}
	if d, err := f.find(t.Context(), "LABEL=late"); err != nil || d.kind != "xfs" {
		t.Errorf("got %v, %v", d, err)
	}
}

// What mkfs writes is what readSuperblock reads.
func TestReadSuperblock(t *testing.T) {
	t.Parallel()
	rootfstest.Need(t, "mkfs.ext4", "mkfs.ext2")
	const id = "01234567-89ab-cdef-0123-456789abcdef"
	mkfs := func(program, label string) superblock {
		file := filepath.Join(t.TempDir(), "disk")
		if err := os.WriteFile(file, make([]byte, 4<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, program, "-q", "-L", label, "-U", id, file)
		s, err := readDisk(file)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	// The starts of superblocks that mkfs.xfs 6.1 and mkfs.btrfs 6.2 have written.
	written := func(name string, at int) superblock {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		start, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, probeSize)
		copy(b[at:], start)
		s, err := readSuperblock(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for want, got := range map[superblock]superblock{
		{"ext4", "sixteen-bytes-lg", id}: mkfs("mkfs.ext4", "sixteen-bytes-lg"),
		{"ext4", "old", id}:              mkfs("mkfs.ext2", "old"),
		{"xfs", "xlabel", id}:            written("xfs.hex", 0),
		{"btrfs", "blabel", id}:          written("btrfs.hex", 0x10000),
	} {
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(superblock{})); diff != "" {
			t.Errorf("superblock (-want +got):\n%s", diff)
		}
	}
}

func TestIsEmpty(t *testing.T) {
	t.Parallel()
	disk := func(size int, at ...int) []byte {
		b := make([]byte, size)
		for _, i := range at {
			b[i] = 1
		}
		return b
	}
	for name, tc := range map[string]struct {
		disk []byte
		want bool
	}{
		"zeros":  {disk(4 << 20), true},
		"small":  {disk(4096), true},
		"none":   {nil, true},
		"start":  {disk(4<<20, 0), false},
		"MiB":    {disk(4<<20, 1<<20-1), false},
		"middle": {disk(4<<20, 2<<20), true},
		"end":    {disk(4<<20, 4<<20-1), false},
		"tail":   {disk(4<<20+512, 3<<20+512), false},
	} {
		got, err := isEmpty(bytes.NewReader(tc.disk), int64(len(tc.disk)))
		if err != nil || got != tc.want {
			t.Errorf("%s: %t, %v", name, got, err)
		}
	}
}

// An empty partition is formatted by the image's own mkfs, if that is allowed,
// and then used.
func TestApplyFormats(t *testing.T) {
	needLoop(t, "mkfs.ext4")
	device := loop(t, 16<<20)
	// What the kernel would say of a partition named scratch.
	sys := t.TempDir()
	says := filepath.Join(sys, filepath.Base(device))
	if err := os.Mkdir(says, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"size": "32768\n", "uevent": "DEVTYPE=partition\nPARTN=1\nPARTNAME=scratch\n"} {
		if err := os.WriteFile(filepath.Join(says, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	image := func() *node {
		n := boot(t, func(n *node) {
			n.dir("up")
			n.dir("work")
			n.dir("root")
		})
		parent := n.root
		n.root = n.path("root") // this machine's root is the image
		n.must(unix.Mount("root", n.root, "overlay", 0, "lowerdir=/,upperdir="+parent+"/up,workdir="+parent+"/work"))
		t.Cleanup(func() { _ = unix.Unmount(n.root, unix.MNT_DETACH) })
		n.write("state/file", "image")
		return n
	}
	n := image()
	const rule = "/state/ localdisk"
	for _, tc := range []struct {
		source, want string
		format       bool
	}{
		{"LABEL=scratch", device + " is empty: to have it formatted boot with rootcast.format=yes", false},
		{"PARTLABEL=scratch", device + " is empty: to have it formatted boot with rootcast.format=yes", false},
		{device, device + " is empty, and a disk is formatted only if its partition has the GPT name that LABEL= or PARTLABEL= asks for (sgdisk -c 1:NAME)", true},
		{"LABEL=other", "no disk is LABEL=other after 1ns; there are " + device + " (no file system known here)", true},
	} {
		err := n.apply(rule, Options{LocalDisk: tc.source, Format: tc.format, sys: sys, Wait: 1})
		if want := "statelite: files on the local disk " + tc.source + ": " + tc.want; err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	if empty, err := (&finder{}).empty(device); err != nil || !empty {
		t.Fatalf("the disk was written to (%v)", err)
	}
	n.log = nil
	n.must(n.apply(rule, Options{LocalDisk: "LABEL=scratch", Format: true, sys: sys}))
	if diff := cmp.Diff([]string{
		"statelite: formatting " + device + ", which is empty, with ext4 (rootcast.format=yes)",
		"statelite: /state/ localdisk on LABEL=scratch (" + device + ") (first boot: copied)",
	}, n.log); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if _, err := os.Stat(n.path("dev/loop-control")); err == nil {
		t.Error("/dev is left in the root")
	}
	n.write("state/file", "node")
	n.off()
	n = image()
	n.must(n.apply(rule, Options{LocalDisk: "LABEL=scratch", Format: true})) // as it is listed without us
	n.has("state/file", "node")
}

func FuzzReadSuperblock(f *testing.F) {
	for _, kind := range []string{"ext4", "xfs", "btrfs", "swap"} {
		f.Add(fake(kind, "label", 1))
	}
	f.Add([]byte("XFSB"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := readSuperblock(bytes.NewReader(b))
		if err != nil || (s.kind == "") != (s.uuid == "") || strings.Contains(s.label, "\x00") {
			t.Errorf("%+v, %v", s, err)
		}
	})
}
