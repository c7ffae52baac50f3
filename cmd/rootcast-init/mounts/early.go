package mounts

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// kernelMounts are what every program of the first stage relies on, and what the
// booted system takes over.
var kernelMounts = [...]struct { //nolint:gochecknoglobals // a constant table
	kind, dir, data string
	flags           uintptr
}{
	{"proc", "/proc", "", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
	{"sysfs", "/sys", "", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
	{"devtmpfs", "/dev", "mode=0755", unix.MS_NOSUID},
	{"tmpfs", "/run", "mode=0755", unix.MS_NOSUID | unix.MS_NODEV},
}

// Early mounts /proc, /sys, /dev and /run. What the kernel has mounted by itself
// (CONFIG_DEVTMPFS_MOUNT) stays as it is.
func Early() error {
	for _, m := range kernelMounts {
		if err := os.MkdirAll(m.dir, 0o755); err != nil {
			return fmt.Errorf("making a mount point: %w", err)
		}
		err := unix.Mount(m.kind, m.dir, m.kind, m.flags, m.data)
		if err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mounting %s on %s: %w", m.kind, m.dir, err)
		}
	}
	return nil
}
