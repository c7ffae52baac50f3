package statelite

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/convert/statelite"
)

func TestApplyTmpfs(t *testing.T) {
	needMounts(t)
	n := boot(t, func(n *node) {
		n.write("etc/hosts", "hosts")
		n.must(os.Chown(n.path("etc/hosts"), 7, 8))
		n.must(os.Chmod(n.path("etc/hosts"), os.ModeSetgid|0o640))
		n.write("var/log/a", "a")
		n.write("var/log/b", "b")
		n.must(os.Chown(n.path("var"), 3, 4))
		n.must(os.Chmod(n.path("var"), os.ModeSticky|0o751))
	})
	n.must(n.apply("/etc/hosts\n/var/ rw\n/var/log/a\n/srv/new/\n/srv/empty link\n", Options{}))
	if diff := cmp.Diff([]string{
		"statelite: /etc/hosts tmpfs (copied)",
		"statelite: /srv/empty link (copied)",
		"statelite: /srv/new/ tmpfs (overlay)",
		"statelite: /var/ tmpfs (overlay)",
		"statelite: /var/log/a tmpfs with /var/",
	}, n.log); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/.statelite/tmpfs", "/etc/hosts", "/srv/empty", "/srv/new", "/var"}, n.mounts()); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
	n.has("etc/hosts", "hosts")
	n.has("var/log/a", "a")
	n.has("srv/empty", "")
	for name, want := range map[string]struct {
		uid, gid, mode uint32
	}{"etc/hosts": {7, 8, unix.S_IFREG | 0o2640}, "var": {3, 4, unix.S_IFDIR | 0o1751}, "srv/new": {0, 0, unix.S_IFDIR | 0o755}} {
		var st unix.Stat_t
		n.must(unix.Lstat(n.path(name), &st))
		if st.Uid != want.uid || st.Gid != want.gid || st.Mode != want.mode {
			t.Errorf("%s: %d:%d %o", name, st.Uid, st.Gid, st.Mode)
		}
	}
	if got := n.fstype("var"); got != unix.OVERLAYFS_SUPER_MAGIC {
		t.Errorf("/var is on %x, and no overlay", got)
	}
	// What the node writes stays off the image.
	n.write("etc/hosts", "changed")
	n.write("var/log/a", "changed")
	n.must(os.Remove(n.path("var/log/b")))
	n.has(".statelite/tmpfs/etc/hosts", "changed")
	n.has(".statelite/tmpfs/.overlay/2/upper/log/a", "changed")
	for _, name := range []string{"etc/hosts", "var"} {
		n.must(unix.Unmount(n.path(name), 0))
	}
	n.has("etc/hosts", "hosts")
	n.has("var/log/a", "a")
	n.has("var/log/b", "b")
	for _, name := range []string{imageDir, storeDir} {
		if _, err := os.Lstat(n.path(name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
}

// A root of squashfs or erofs is an overlay itself, and overlays lie over it.
func TestApplyOnOverlay(t *testing.T) {
	needMounts(t)
	n := boot(t, func(n *node) {
		n.write("lower/var/lib/x", "x")
		n.dir("up")
		n.dir("work")
		n.dir("root")
	})
	image := n.root
	n.root = n.path("root")
	n.must(unix.Mount("root", n.root, "overlay", 0, "lowerdir="+image+"/lower,upperdir="+image+"/up,workdir="+image+"/work"))
	t.Cleanup(func() { _ = unix.Unmount(n.root, unix.MNT_DETACH) })
	n.must(n.apply("/var/\n/var/lib/x ro\n", Options{}))
	if !slices.Contains(n.log, "statelite: /var/ tmpfs (overlay)") {
		t.Errorf("log: %q", n.log)
	}
	n.has("var/lib/x", "x")
	n.write("var/lib/y", "y")
	if err := os.WriteFile(n.path("var/lib/x"), nil, 0); !errors.Is(err, unix.EROFS) {
		t.Errorf("writing a file of rule ro: %v", err)
	}
	if _, err := os.Lstat(image + "/up/var/lib/y"); err == nil {
		t.Error("the root was written to")
	}
}

// Where overlays are stacked too high for one more, directories are copied.
func TestApplyWithoutOverlay(t *testing.T) {
	needMounts(t)
	n := boot(t, func(n *node) { n.write("lower/var/lib/x", "x") })
	for _, layer := range []string{"first", "second"} { // FILESYSTEM_MAX_STACK_DEPTH, linux/fs.h
		lower := n.path("lower")
		n = boot(t, func(n *node) {
			n.dir("up")
			n.dir("work")
			n.dir("lower")
		})
		n.must(unix.Mount(layer, n.path("lower"), "overlay", 0, "lowerdir="+lower+",upperdir="+n.path("up")+",workdir="+n.path("work")))
	}
	n.root = n.path("lower")
	n.must(n.apply("/var/\n", Options{}))
	if len(n.log) != 2 || !strings.HasPrefix(n.log[0], "statelite: /var: copying it, since no overlay can be mounted: ") || n.log[1] != "statelite: /var/ tmpfs (copied)" {
		t.Errorf("log: %q", n.log)
	}
	n.has("var/lib/x", "x")
	n.write("var/lib/x", "changed")
	n.has(".statelite/tmpfs/var/lib/x", "changed")
	n.must(unix.Unmount(n.path("var"), 0))
	n.has("var/lib/x", "x")
}

func TestApplyReadOnly(t *testing.T) {
	needMounts(t)
	n := boot(t, func(n *node) { n.write("opt/a/b", "b") })
	n.must(n.apply("/opt/ link,ro\n", Options{}))
	if diff := cmp.Diff([]string{"statelite: /opt/ link,ro from the image"}, n.log); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	n.has("opt/a/b", "b")
	if err := os.Mkdir(n.path("opt/new"), 0o755); !errors.Is(err, unix.EROFS) {
		t.Errorf("writing to it: %v", err)
	}
	n.write("other", "the rest of the root is writable")
}

// No link of the image leads out of it.
func TestApplyHostileLinks(t *testing.T) {
	needMounts(t)
	outside := t.TempDir()
	const tmpfs = "/.statelite/tmpfs"
	for name, tc := range map[string]struct{ link, target, rule, tmpfs, at string }{
		"dots":       {"etc", "/../../../../../../../.." + outside, "/etc/passwd", tmpfs, outside + "/passwd"},
		"absolute":   {"etc", outside, "/etc/passwd", tmpfs, outside + "/passwd"},
		"relative":   {"a/b", "../../../../../../../.." + outside, "/a/b/passwd", tmpfs, outside + "/passwd"},
		"the file":   {"etc/passwd", outside + "/passwd", "/etc/passwd", tmpfs, outside + "/passwd"},
		"the state":  {".statelite", outside, "/file", outside + "/tmpfs", "/file"},
		"directory":  {"d/e", outside, "/d/e/f/", tmpfs, outside + "/f"},
		"to proc":    {"x", "/proc/self/root", "/x/tmp/file", tmpfs, ""},
		"to run":     {"var/run", "/run", "/var/run/x", tmpfs, ""},
		"to nothing": {"data", "srv/../srv/./data", "/data/", tmpfs, "/srv/data"},
	} {
		t.Run(name, func(t *testing.T) {
			n := boot(t, func(n *node) { n.link(tc.link, tc.target) })
			n.must(n.apply(tc.rule+"\n", Options{}))
			mounts, want := n.mounts(), []string{tc.tmpfs}
			if tc.at != "" {
				want = append(want, tc.at)
			} else if !strings.Contains(n.log[0], "left out: it leads to /") {
				t.Errorf("log: %q", n.log)
			}
			if diff := cmp.Diff(want, mounts); diff != "" {
				t.Errorf("mounts (-want +got):\n%s", diff)
			}
			if names, err := os.ReadDir(outside); err != nil || len(names) > 0 {
				t.Errorf("outside: %v, %v", names, err)
			}
		})
	}
	n := boot(t, func(n *node) { n.link("loop", "loop"); n.link("top", "/") })
	if err := n.apply("/loop", Options{}); err == nil || !strings.Contains(err.Error(), "statelite: /loop tmpfs: /loop: too many levels of symbolic links") {
		t.Errorf("a loop of links: %v", err)
	}
	if err := n.apply("/top/", Options{}); err == nil || !strings.Contains(err.Error(), "it leads to the root itself") {
		t.Errorf("a link to the root: %v", err)
	}
	if mounts := n.mounts(); len(mounts) > 0 {
		t.Errorf("left mounted: %q", mounts)
	}
}

func TestApplyConcat(t *testing.T) {
	needLoop(t, "mkfs.ext4")
	device := loop(t, 16<<20)
	name := label("con")
	run(t, "mkfs.ext4", "-q", "-L", name, device)
	state := boot(t, func(*node) {}) // the store as an administrator sees it
	n := boot(t, func(n *node) {
		n.write("etc/group", "root\n")
		n.write("etc/motd", "hello\n")
		n.dir("etc/dir")
	})
	n.must(n.apply("/etc/group con\n/etc/dir con", Options{Persistent: "LABEL=" + name, Node: "n1"}))
	n.has("etc/group", "root\n")
	n.must(unix.Mount(device, state.root, "ext4", 0, ""))
	state.write("n2/etc/group", "users\n")
	state.must(unix.Unmount(state.root, 0))
	n = boot(t, func(n *node) {
		n.write("etc/group", "root\n")
		n.write("etc/motd", "hello\n")
		n.dir("etc/dir")
	})
	n.must(n.apply("/etc/group con\n/etc/motd link,con\n/etc/dir con", Options{Persistent: "LABEL=" + name, Node: "n2"}))
	from := "from LABEL=" + name + " (" + device + ")/n2"
	if diff := cmp.Diff([]string{
		"statelite: /etc/dir con left out: it is a directory, which this option cannot be for",
		"statelite: /etc/group con (the image's, and " + from + ")",
		"statelite: /etc/motd link,con (the image's alone, " + from + " has none)",
	}, n.log); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	n.has("etc/group", "root\nusers\n")
	n.has("etc/motd", "hello\n")
	n = boot(t, func(n *node) { n.write("etc/group", "root\n") })
	n.must(n.apply("/etc/group con", Options{}))
	n.has("etc/group", "root\n")
}

func TestApplyRefuses(t *testing.T) {
	t.Parallel()
	rules := func(text string) *statelite.Rules {
		r, err := statelite.Parse(strings.NewReader(text), "rules")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	root := t.TempDir()
	for name, tc := range map[string]struct {
		o    Options
		want string
	}{
		"no store":  {Options{Rules: rules("/a persistent")}, "statelite: there are rules for persistent files and no place for them: boot with rootcast.persistent="},
		"no disk":   {Options{Rules: rules("/a localdisk")}, "statelite: there are rules for the local disk and no disk for them"},
		"no name":   {Options{Rules: rules("/a persistent"), Persistent: "s:/d"}, `statelite: "" names no directory for this node in s:/d: boot with NODE=NAME`},
		"dots":      {Options{Rules: rules("/a con"), Persistent: "s:/d", Node: ".."}, `statelite: ".." names no directory`},
		"slash":     {Options{Rules: rules("/a con"), Persistent: "s:/d", Node: "a/b"}, `statelite: "a/b" names no directory`},
		"no root":   {Options{Rules: rules("/a"), Root: root + "/none"}, "statelite: opening the new root: " + root + "/none: no such file"},
		"file root": {Options{Rules: rules("/a"), Root: "/proc/version"}, "statelite: opening the new root: /proc/version: not a directory"},
	} {
		if _, err := Apply(t.Context(), tc.o); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
	}
	for name, o := range map[string]Options{"no rules": {}, "empty rules": {Rules: &statelite.Rules{}}} {
		if report, err := Apply(t.Context(), o); err != nil || len(report.Applied) != 0 {
			t.Errorf("%s: %v, %v", name, report, err)
		}
	}
}

func TestApplyCancelled(t *testing.T) {
	needMounts(t)
	n := boot(t, func(n *node) { n.write("etc/a", "a") })
	rules, err := statelite.Parse(strings.NewReader("/etc/a"), "rules")
	n.must(err)
	ctx, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	if _, err := Apply(ctx, Options{Root: n.root, Rules: rules}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if mounts := n.mounts(); len(mounts) > 0 {
		t.Errorf("left mounted: %q", mounts)
	}
}

func TestApplyNFSWithoutServer(t *testing.T) {
	needMounts(t)
	n := boot(t, func(*node) {})
	err := n.apply("/a persistent", Options{Persistent: "127.0.0.1:/state", PersistentOpts: "port=1", Node: "n1"})
	if err == nil || !strings.Contains(err.Error(), "statelite: persistent files from 127.0.0.1:/state: reaching the server: ") || !strings.Contains(err.Error(), "check its name, that it serves NFS on port 1") {
		t.Errorf("got %v", err)
	}
	if mounts := n.mounts(); len(mounts) > 0 {
		t.Errorf("left mounted: %q", mounts)
	}
}
