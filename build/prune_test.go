package build

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRemoveTreeKeepsWhatIsMounted(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("in CI this test must run as root")
		}
		t.Skip("needs root to mount")
	}
	for name, flags := range map[string]uintptr{"one mount": unix.MS_BIND, "all mounts": unix.MS_BIND | unix.MS_REC} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			ctx, tmp := filepath.Join(base, "con text"), filepath.Join(base, "tmp")
			bind, link := filepath.Join(tmp, "a", "bi nd"), filepath.Join(base, "link")
			for _, dir := range []string{filepath.Join(ctx, "inner"), bind} {
				if err := os.MkdirAll(dir, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			mountAt(t, "tmpfs", ctx, "tmpfs", 0)
			// What is mounted in the context goes with it where all of it is bound.
			if err := unix.Mount("", ctx, "", unix.MS_SHARED, ""); err != nil {
				t.Fatal(err)
			}
			inner := filepath.Join(ctx, "inner")
			if err := os.Mkdir(inner, 0o700); err != nil {
				t.Fatal(err)
			}
			mountAt(t, "tmpfs", inner, "tmpfs", 0)
			mountAt(t, ctx, bind, "", flags)
			precious := filepath.Join(inner, "precious")
			if err := os.WriteFile(precious, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(tmp, link); err != nil {
				t.Fatal(err)
			}

			if err := removeTree(filepath.Join(link, "a")); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(precious); err != nil {
				t.Errorf("the context suffered: %v", err)
			}
			if left, err := mountsBelow(tmp); err != nil || len(left) > 0 {
				t.Errorf("left mounted: %v, %v", left, err)
			}
			if _, err := os.Stat(filepath.Join(tmp, "a")); !os.IsNotExist(err) {
				t.Errorf("the tree is still there: %v", err)
			}
		})
	}
}

func mountAt(t *testing.T, source, target, kind string, flags uintptr) {
	t.Helper()
	if err := unix.Mount(source, target, kind, flags, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil && err != unix.EINVAL && err != unix.ENOENT {
			t.Errorf("unmounting %s: %v", target, err)
		}
	})
}

func TestIsPart(t *testing.T) {
	const name = "/var/tmp/buildah-cache-0"
	for root, want := range map[string]bool{
		"/":                                false,
		"/var/tmp":                         false,
		"/var/tmp/buildah-cache-0":         true,
		"/var/tmp/buildah-cache-0/1234/a":  true,
		"/tmp/buildah-cache-0/1234":        true, // /var is a file system of its own
		"/buildah-cache-0":                 true, // and so is /var/tmp
		"/@/var/tmp/buildah-cache-0":       true, // a subvolume
		"/var/tmp/buildah-cache-01":        false,
		"/home/me/tmp/buildah-cache-0/123": false,
	} {
		if got := isPart(root, name); got != want {
			t.Errorf("isPart(%q) = %v", root, got)
		}
	}
}
