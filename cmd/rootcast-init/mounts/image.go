package mounts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Where the parts of a root that is a packed file system stay visible in the
// booted system.
const (
	lowerDir = "/run/rootcast/lower"
	upperDir = "/run/rootcast/upper"
)

// Image mounts the packed file system in a file read-only and returns where. The
// file may lose its name afterwards.
func Image(path, kind string) (dir string, err error) {
	device, err := attachLoop(path)
	if err != nil {
		return "", fmt.Errorf("mounting a %s root: %w", kind, err)
	}
	defer device.Close() //nolint:errcheck // the mount keeps it
	if err := os.MkdirAll(lowerDir, 0o755); err != nil {
		return "", fmt.Errorf("mounting a %s root: %w", kind, err)
	}
	err = unix.Mount(device.Name(), lowerDir, kind, unix.MS_RDONLY, "")
	switch {
	case errors.Is(err, unix.ENODEV):
		return "", fmt.Errorf("mounting a %s root: this kernel has no %s: the image's kernel lacks the module, or convert left it out (--omit-module)", kind, kind)
	case err != nil:
		return "", fmt.Errorf("mounting a %s root from %s: %w; is it a %s image that this kernel's version can read?", kind, device.Name(), err, kind)
	}
	return lowerDir, nil
}

// Overlay mounts dir with lower below and what the node writes in upper, a
// directory of a file system that is mounted there.
func Overlay(dir, lower, upper string) error {
	up, work := filepath.Join(upper, "upper"), filepath.Join(upper, "work")
	for _, d := range []string{dir, up, work} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return fmt.Errorf("mounting the overlay root: %w", err)
		}
	}
	err := unix.Mount("rootcast", dir, "overlay", 0, "lowerdir="+lower+",upperdir="+up+",workdir="+work)
	switch {
	case errors.Is(err, unix.ENODEV):
		return errors.New("mounting the overlay root: this kernel has no overlay: the image's kernel lacks the module, or convert left it out (--omit-module)")
	case err != nil:
		return fmt.Errorf("mounting the overlay root: %w", err)
	}
	return nil
}

// UpperTmpfs mounts the tmpfs that takes what the node writes.
func UpperTmpfs(o TmpfsOptions) (dir string, err error) { return upperDir, Tmpfs(upperDir, o) }

// UpperDevice mounts a file system on a device for what the node writes.
func UpperDevice(device, kind string) (dir string, err error) {
	if err := os.MkdirAll(upperDir, 0o755); err != nil {
		return "", fmt.Errorf("making a mount point: %w", err)
	}
	if err := unix.Mount(device, upperDir, kind, unix.MS_NOATIME, ""); err != nil {
		return "", fmt.Errorf("mounting %s: %w", device, err)
	}
	return upperDir, nil
}
