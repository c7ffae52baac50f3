package extract

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// entry is one name of an archive.
type entry struct {
	name         string // relative and clean; "." is the root
	mode         uint32 // st_mode
	uid, gid     int
	mtime        unix.Timespec
	size         int64 // of the content of a regular file
	major, minor uint32
	target       string            // of a symlink
	link         string            // of a tar: the name that this is one more of
	group        linkID            // of a cpio: the file that this is a name of
	linked       bool              // group is set
	xattrs       map[string]string // of a tar
	order        int64             // where it stands in the archive
}

// linkID says which entries of a cpio are one file (init/initramfs.c, find_link).
type linkID struct{ ino, major, minor, kind uint32 }

func (e *entry) kind() uint32 { return e.mode & unix.S_IFMT }

// content is the bytes of a regular file, in pieces that are valid until the next.
type content interface {
	// next returns nil at the end.
	next() ([]byte, error)
}

// clean is a name of an archive as a path below the root. A leading slash is the
// root's, as it is to the kernel.
func clean(name string) (string, error) {
	if strings.Contains(name, "..") && slices.Contains(strings.Split(name, "/"), "..") {
		return "", errors.New("its name has a part \"..\", which might leave the root")
	}
	if strings.IndexByte(name, 0) >= 0 {
		return "", errors.New("its name holds a NUL")
	}
	return path.Clean(strings.TrimLeft(name, "/")), nil
}

// device is the number that mknod(2) takes: 12 bits and 20 bits.
func (e *entry) device() (int, error) {
	if e.major >= 1<<12 || e.minor >= 1<<20 {
		return 0, fmt.Errorf("there is no device %d:%d", e.major, e.minor)
	}
	return int(unix.Mkdev(e.major, e.minor)), nil //nolint:gosec // of 32 bits, as checked
}
