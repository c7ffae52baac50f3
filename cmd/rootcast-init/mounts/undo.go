package mounts

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Undo unmounts what an attempt to make the root has mounted, so that the next
// one starts with all of the memory.
func Undo(dir string) error {
	var errs []error
	for _, d := range []string{dir, upperDir, lowerDir, "/run/rootcast/image"} {
		for {
			err := unix.Unmount(d, unix.MNT_DETACH)
			if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) { // not mounted, never made
				break
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("unmounting %s: %w", d, err))
				break
			}
		}
	}
	return errors.Join(errs...)
}
