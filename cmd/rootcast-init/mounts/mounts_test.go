package mounts

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// The device stays for as long as the mount does, although nobody holds it open,
// and goes with it.
func TestLoop(t *testing.T) {
	rootfstest.NeedRoot(t)
	rootfstest.Need(t, "mkfs.ext4")
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		rootfstest.Skip(t, "there are no loop devices")
	}
	image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	if err := os.WriteFile(image, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "mkfs.ext4", "-q", image).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	device, err := attachLoop(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(device.Name(), dir, "ext4", unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if err := device.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "lost+found")); err != nil {
		t.Error(err)
	}
	if err := unix.Unmount(dir, 0); err != nil {
		t.Fatal(err)
	}
}

func TestTmpfs(t *testing.T) {
	rootfstest.NeedRoot(t)
	for name, tt := range map[string]struct {
		o  TmpfsOptions
		ok bool
	}{
		"default": {TmpfsOptions{}, true}, "limit": {TmpfsOptions{Limit: "8m"}, true},
		"flags": {TmpfsOptions{Flags: "nr_inodes=100,noswap=no"}, false}, "bad limit": {TmpfsOptions{Limit: "lots"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "made")
			err := Tmpfs(dir, tt.o)
			if (err == nil) != tt.ok {
				t.Errorf("got %v", err)
			}
			if err != nil {
				return
			}
			var st unix.Statfs_t
			if err := unix.Statfs(dir, &st); err != nil || st.Type != unix.TMPFS_MAGIC {
				t.Errorf("%x, %v", st.Type, err)
			}
			if err := unix.Unmount(dir, 0); err != nil {
				t.Error(err)
			}
		})
	}
}

// What the kernel unpacked is removed, and nothing of another file system.
func TestEmpty(t *testing.T) {
	rootfstest.NeedRoot(t)
	dir := t.TempDir()
	for _, d := range []string{"a/b", "other"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := Tmpfs(filepath.Join(dir, "other"), TmpfsOptions{}); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(filepath.Join(dir, "other"), 0) //nolint:errcheck // the test's directory cannot be removed then
	for _, f := range []string{"a/b/file", "file", "other/kept"} {
		if err := os.WriteFile(filepath.Join(dir, f), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("other", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	empty(f)
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "other", "kept")); err != nil {
		t.Error(err)
	}
}

// A mount point that is a symlink would lead the mount out of the root.
func TestMountPoint(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/tmp", filepath.Join(dir, "run")); err != nil {
		t.Fatal(err)
	}
	if err := mountPoint(dir, "/run"); err == nil {
		t.Error("a symlink was taken for a mount point")
	}
	for range 2 {
		if err := mountPoint(dir, "/proc"); err != nil {
			t.Error(err)
		}
	}
}

func TestPoints(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // directories that are there are fine
		if err := Points(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"proc", "sys", "dev", "run"} {
		if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || !info.IsDir() {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	linked := t.TempDir()
	if err := os.Symlink("/run", filepath.Join(linked, "run")); err != nil {
		t.Fatal(err)
	}
	if err := Points(linked); err == nil {
		t.Error("a symlink is taken for a mount point")
	}
}
