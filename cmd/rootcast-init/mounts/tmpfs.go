package mounts

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// TmpfsOptions says how a tmpfs is mounted.
type TmpfsOptions struct {
	Limit string // its size: bytes, with k, m, g or %; "": half of the memory (Documentation/filesystems/tmpfs.rst)
	Flags string // further options, separated by commas
}

// interleave spreads the pages over all nodes of a NUMA machine: else the root
// would fill the memory beside one socket.
const interleave = "mpol=interleave"

// Tmpfs mounts a tmpfs for a root file system on dir.
func Tmpfs(dir string, o TmpfsOptions) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making a mount point: %w", err)
	}
	data := "mode=0755"
	if o.Limit != "" {
		data += ",size=" + o.Limit
	}
	if o.Flags != "" {
		data += "," + o.Flags
	}
	err := error(unix.EINVAL)
	if !strings.Contains(o.Flags, "mpol=") {
		err = mountTmpfs(dir, data+","+interleave)
	}
	if errors.Is(err, unix.EINVAL) { // a kernel without NUMA knows no policy
		err = mountTmpfs(dir, data)
	}
	if err != nil {
		return fmt.Errorf("mounting a tmpfs with %q: %w; check rootlimit= and rootflags=", data, err)
	}
	return nil
}

func mountTmpfs(dir, data string) error { return unix.Mount("rootfs", dir, "tmpfs", 0, data) }
