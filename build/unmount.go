package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.podman.io/storage/pkg/mount"
	"golang.org/x/sys/unix"
)

// unmountTries is how often unmountBelow looks again: a library that was left
// behind may unmount at the same time.
const unmountTries = 3

// removeTree removes dir with all that it holds, but not through a mount:
// below may be a build's context or the host's own /dev.
func removeTree(dir string) error {
	if err := unmountBelow(dir); err != nil {
		return fmt.Errorf("removing %s: %w", dir, err)
	}
	return os.RemoveAll(dir)
}

// unmountBelow unmounts what is mounted below dir, and fails if something
// stays.
func unmountBelow(dir string) error {
	// The kernel's list of mounts knows no symbolic links.
	dir, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for mounts below it: %w", err)
	}
	var failed error
	for range unmountTries {
		points, err := mountsBelow(dir)
		if err != nil {
			return fmt.Errorf("looking for mounts below it: %w", err)
		}
		if len(points) == 0 {
			return nil
		}
		failed = nil
		// Else what is unmounted here goes from the place it shows, too.
		for _, p := range points {
			if err := unix.Mount("", p, "", unix.MS_PRIVATE, ""); err != nil {
				failed = fmt.Errorf("unmounting %s: %w", p, err)
			}
		}
		if failed != nil {
			continue
		}
		for _, p := range slices.Backward(points) {
			if err := unix.Unmount(p, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
				failed = fmt.Errorf("unmounting %s: %w", p, err)
			}
		}
	}
	points, err := mountsBelow(dir)
	if err != nil {
		return fmt.Errorf("looking for mounts below it: %w", err)
	}
	if len(points) == 0 {
		return nil
	}
	if failed == nil {
		failed = errors.New("it comes back")
	}
	return fmt.Errorf("%s stays mounted: %w", points[0], failed)
}

// mountsBelow lists the mount points below dir, outer ones first.
func mountsBelow(dir string) ([]string, error) {
	mounts, err := mount.GetMounts()
	if err != nil {
		return nil, err
	}
	var points []string
	for _, m := range mounts {
		if strings.HasPrefix(m.Mountpoint, strings.TrimSuffix(dir, "/")+"/") {
			points = append(points, m.Mountpoint)
		}
	}
	return points, nil
}
