package statelite

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// newStore is a disk with a label.
func newStore(t *testing.T, size int64) (device, name string) {
	t.Helper()
	needLoop(t, "mkfs.ext4")
	device, name = loop(t, size), label("state")
	run(t, "mkfs.ext4", "-q", "-L", name, device)
	return device, name
}

// onDisk mounts the store as an administrator would, for a moment.
func onDisk(t *testing.T, device string, f func(*node)) {
	t.Helper()
	n := boot(t, func(*node) {})
	n.must(unix.Mount(device, n.root, "ext4", 0, ""))
	defer func() { n.must(unix.Unmount(n.root, 0)) }()
	f(n)
}

func populate(n *node) {
	n.write("etc/hostname", "image")
	n.write("var/lib/app/data", "image")
	n.must(os.Link(n.path("var/lib/app/data"), n.path("var/lib/app/same")))
	n.link("var/lib/app/link", "/nowhere")
	n.write("var/lib/app/sparse", "start")
	n.must(os.Truncate(n.path("var/lib/app/sparse"), 8<<30))
	n.must(unix.Lchown(n.path("var/lib/app/link"), 5, 6))
	n.must(unix.Mknod(n.path("var/lib/app/null"), unix.S_IFCHR|0o620, int(unix.Mkdev(1, 3))))
	n.must(os.Chmod(n.path("var/lib/app/null"), 0o620))
	n.must(unix.Mkfifo(n.path("var/lib/app/fifo"), 0o600))
	n.must(os.Chown(n.path("var/lib/app/data"), 1, 2))
	n.must(os.Chmod(n.path("var/lib/app/data"), os.ModeSetuid|0o710))
	n.must(unix.Setxattr(n.path("var/lib/app/data"), "trusted.note", []byte("kept"), 0))
	for _, name := range []string{"var/lib/app/link", "var/lib/app/data", "var/lib/app"} {
		n.must(unix.UtimesNanoAt(unix.AT_FDCWD, n.path(name), []unix.Timespec{{Sec: 1000}, {Sec: 2000, Nsec: 3}}, unix.AT_SYMLINK_NOFOLLOW))
	}
}

// off drops the root with all that is mounted in it, as switching the node off does.
func (n *node) off() {
	n.t.Helper()
	n.must(unix.Unmount(n.root, unix.MNT_DETACH))
}

const stateRules = "/etc/hostname persistent\n/var/lib/app/ persistent\n/var/lib/app/data persistent\n"

func TestPersistent(t *testing.T) {
	device, name := newStore(t, 32<<20)
	o := Options{Persistent: "LABEL=" + name, Node: "node7"}
	n := boot(t, populate)
	n.must(n.apply(stateRules, o))
	from := "from LABEL=" + name + " (" + device + ")/node7 "
	if diff := cmp.Diff([]string{
		"statelite: /etc/hostname persistent " + from + "(first boot: copied)",
		"statelite: /var/lib/app/ persistent " + from + "(first boot: copied)",
		"statelite: /var/lib/app/data persistent with /var/lib/app/",
	}, n.log); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/.statelite/persistent", "/etc/hostname", "/var/lib/app"}, n.mounts()); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
	checkCopy(n)
	n.write("etc/hostname", "node")
	n.write("var/lib/app/more", "more")
	n.off()

	// The second boot: the image has changed, the node's files have not.
	n = boot(t, func(n *node) {
		n.write("etc/hostname", "newer image")
		n.write("var/lib/app/newer", "newer image")
	})
	n.must(n.apply(stateRules+"/var/lib/app/later persistent\n", o))
	if want := "statelite: /etc/hostname persistent " + from + "(kept)"; n.log[0] != want {
		t.Errorf("log: %q", n.log)
	}
	n.has("etc/hostname", "node")
	n.has("var/lib/app/more", "more")
	n.has("var/lib/app/newer", "-")
	n.has("var/lib/app/later", "")
	n.off()

	// Another node has files of its own, and sees those of no other.
	n = boot(t, populate)
	n.must(n.apply(stateRules, Options{Persistent: "LABEL=" + name, Node: "node8"}))
	n.has("etc/hostname", "image")
	n.has(".statelite/persistent/etc/hostname", "image")
	n.has(".statelite/persistent/node7/etc/hostname", "-")
	n.off()
	onDisk(t, device, func(n *node) {
		n.has("node7/etc/hostname", "node")
		n.has("node8/etc/hostname", "image")
	})
}

// checkCopy sees that everything of populate has arrived.
func checkCopy(n *node) {
	n.t.Helper()
	stat := func(name string) (st unix.Stat_t) {
		n.t.Helper()
		n.must(unix.Lstat(n.path(name), &st))
		return st
	}
	data, same := stat("var/lib/app/data"), stat("var/lib/app/same")
	if data.Ino != same.Ino || data.Nlink != 2 {
		n.t.Errorf("the hard link is gone: inodes %d and %d", data.Ino, same.Ino)
	}
	if data.Uid != 1 || data.Gid != 2 || data.Mode != unix.S_IFREG|unix.S_ISUID|0o710 {
		n.t.Errorf("data: %d:%d %o", data.Uid, data.Gid, data.Mode)
	}
	if null := stat("var/lib/app/null"); null.Rdev != unix.Mkdev(1, 3) || null.Mode != unix.S_IFCHR|0o620 {
		n.t.Errorf("null: %x %o", null.Rdev, null.Mode)
	}
	if fifo := stat("var/lib/app/fifo"); fifo.Mode != unix.S_IFIFO|0o600 {
		n.t.Errorf("fifo: %o", fifo.Mode)
	}
	if link := stat("var/lib/app/link"); link.Uid != 5 || link.Gid != 6 {
		n.t.Errorf("link: %d:%d", link.Uid, link.Gid)
	}
	if target, err := os.Readlink(n.path("var/lib/app/link")); target != "/nowhere" {
		n.t.Errorf("link: %q, %v", target, err)
	}
	for _, name := range []string{"var/lib/app", "var/lib/app/data", "var/lib/app/link"} {
		if st := stat(name); st.Mtim.Sec != 2000 || st.Mtim.Nsec != 3 {
			n.t.Errorf("%s: time %v", name, st.Mtim)
		}
	}
	if sparse := stat("var/lib/app/sparse"); sparse.Size != 8<<30 || sparse.Blocks > 128 {
		n.t.Errorf("sparse: %d bytes in %d blocks", sparse.Size, sparse.Blocks)
	}
	value := make([]byte, 10)
	if l, err := unix.Getxattr(n.path("var/lib/app/data"), "trusted.note", value); err != nil || string(value[:l]) != "kept" {
		n.t.Errorf("xattr: %q, %v", value, err)
	}
}

// A power cut between copy and rename has left half a copy.
func TestPersistentAfterCrash(t *testing.T) {
	device, name := newStore(t, 32<<20)
	onDisk(t, device, func(n *node) { n.write("node7/var/lib/.rootcast-new/data", "ha") })
	n := boot(t, populate)
	n.must(n.apply("/var/lib/app/ persistent", Options{Persistent: "LABEL=" + name, Node: "node7"}))
	checkCopy(n)
	n.off()
	onDisk(t, device, func(n *node) {
		entries, err := os.ReadDir(n.path("node7/var/lib"))
		if err != nil || len(entries) != 1 || entries[0].Name() != "app" {
			t.Errorf("in the store: %v, %v", entries, err)
		}
	})
}

// A store that is full gets nothing, and says so.
func TestPersistentFull(t *testing.T) {
	device, name := newStore(t, 2<<20)
	n := boot(t, func(n *node) { n.write("var/big/file", strings.Repeat("x", 8<<20)) })
	err := n.apply("/var/big/ persistent", Options{Persistent: "LABEL=" + name, Node: "node7"})
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "statelite: /var/big/ persistent: copying it to the store from LABEL="+name) ||
		!strings.Contains(err.Error(), "/node7: file: ") || !strings.Contains(err.Error(), "; make room there") {
		t.Errorf("got %v", err)
	}
	if mounts := n.mounts(); len(mounts) > 0 {
		t.Errorf("left mounted: %q", mounts)
	}
	onDisk(t, device, func(n *node) {
		if entries, err := os.ReadDir(n.path("node7/var")); err != nil || len(entries) != 0 {
			t.Errorf("in the store: %v, %v", entries, err)
		}
	})
}

func TestPersistentRefuses(t *testing.T) {
	device, name := newStore(t, 8<<20)
	onDisk(t, device, func(n *node) {
		n.write("file", "a node's directory that is none")
		n.link("link", "node7")
		n.dir("node7/etc/hostname")
	})
	for node, want := range map[string]string{
		"file":  "statelite: persistent files from LABEL=" + name + ": file there is no directory: remove it",
		"link":  "statelite: persistent files from LABEL=" + name + ": link there is no directory: remove it",
		"node7": "statelite: /etc/hostname persistent: a directory and a file cannot stand in for each other",
	} {
		n := boot(t, populate)
		err := n.apply("/etc/hostname persistent", Options{Persistent: "LABEL=" + name, Node: node})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", node, err, want)
		}
		if mounts := n.mounts(); len(mounts) > 0 {
			t.Errorf("left mounted: %q", mounts)
		}
		n.off()
	}
	n := boot(t, populate)
	err := n.apply("/etc/issue persistent", Options{Persistent: "LABEL=" + name, PersistentOpts: "ro", Node: "new"})
	if !errors.Is(err, unix.EROFS) || !strings.HasSuffix(err.Error(), "; it is read-only: mount and export it with rw") {
		t.Errorf("a store that is read-only: %v", err)
	}
	// What has failed can be tried again.
	n.must(n.apply("/etc/issue persistent", Options{Persistent: "LABEL=" + name, Node: "new"}))
}

// A node that has been broken into leaves links in its store for the next boot.
func TestPersistentHostileStore(t *testing.T) {
	device, name := newStore(t, 8<<20)
	onDisk(t, device, func(n *node) {
		n.write("victim/secret", "of another node")
		n.link("node7/etc", "../victim")
		n.link("node7/var", "/../victim")
	})
	n := boot(t, func(n *node) {
		n.write("etc/secret", "image")
		n.write("var/secret", "image")
	})
	n.must(n.apply("/etc/secret persistent\n/var/secret persistent", Options{Persistent: "LABEL=" + name, Node: "node7"}))
	n.has("etc/secret", "image")
	n.has("var/secret", "image")
	n.has(".statelite/persistent/victim/secret", "image")
	n.off()
	onDisk(t, device, func(n *node) { n.has("victim/secret", "of another node") })
}

func TestLocalDisk(t *testing.T) {
	device, name := newStore(t, 16<<20)
	apply := func(image string) *node {
		n := boot(t, func(n *node) {
			n.write("scratch/a", image)
			n.write("scratch/tmp/b", image)
		})
		n.must(n.apply("/scratch/ localdisk\n/scratch/tmp/", Options{LocalDisk: "LABEL=" + name}))
		n.has("scratch/tmp/b", image) // the image's, not the disk's
		return n
	}
	n := apply("first")
	if want := "statelite: /scratch/ localdisk on LABEL=" + name + " (" + device + ") (first boot: copied)"; len(n.log) != 2 || n.log[0] != want {
		t.Errorf("log: %q, want %s", n.log, want)
	}
	n.write("scratch/a", "changed")
	n.write("scratch/tmp/b", "changed")
	n.has(".sllocal/localmnt/scratch/a", "changed")
	n.off()
	n = apply("second")
	n.has("scratch/a", "changed")
}

// A rule whose path a symlink leads out of the directory above is mounted by itself.
func TestPersistentLinkedChild(t *testing.T) {
	_, name := newStore(t, 8<<20)
	n := boot(t, func(n *node) {
		n.link("var/lib", "/data")
		n.write("data/x", "x")
	})
	n.must(n.apply("/var/ persistent\n/var/lib/x persistent", Options{Persistent: "LABEL=" + name, Node: "n"}))
	if diff := cmp.Diff([]string{"/.statelite/persistent", "/var", "/data/x"}, n.mounts()); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
	n.has("data/x", "x")
}
