// Package spool makes files for what is too large for memory and wanted for a
// while only: they have no name, and vanish with the process however it ends.
//
//	f, err := spool.File(dir)
//	defer f.Close()
package spool

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// File makes a file without a name on the file system of dir ("": the system's
// directory for temporary files). Close gives its room back.
func File(dir string) (*os.File, error) {
	if dir == "" {
		dir = os.TempDir()
	}
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return os.NewFile(uintptr(fd), dir+" (a file without a name)"), nil
	}
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) { // of a file system, or a kernel, without such files
		return nil, fmt.Errorf("making a spool file in %s: %w", dir, err)
	}
	f, err := os.CreateTemp(dir, "rootcast-spool-")
	if err != nil {
		return nil, fmt.Errorf("making a spool file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("unlinking a spool file: %w", err), f.Close())
	}
	return f, nil
}
