package extract

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// file makes all that is no directory and has one name.
func (w *writer) file(ctx context.Context, e *entry, c content) error {
	if e.kind() == unix.S_IFREG {
		return w.create(e.name, func(dir int, base string) error {
			fd, err := unix.Openat(dir, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
			if err != nil {
				return err
			}
			if err = copyAll(ctx, fd, e, c); err == nil {
				err = w.describe(place{fd, dir, base}, e)
			}
			return closed(fd, err)
		})
	}
	device, err := e.device()
	if err != nil {
		return err
	}
	return w.create(e.name, func(dir int, base string) error {
		var err error
		switch e.kind() {
		case unix.S_IFLNK:
			err = unix.Symlinkat(e.target, dir, base)
		case unix.S_IFCHR, unix.S_IFBLK, unix.S_IFIFO, unix.S_IFSOCK:
			err = unix.Mknodat(dir, base, e.kind()|0o600, device)
		default:
			err = fmt.Errorf("its mode %#o is no file's", e.mode)
		}
		if err != nil {
			return err
		}
		return w.describeSpecial(dir, base, e)
	})
}

// place is an open file and where it lies.
type place struct {
	fd, dir int
	base    string
}

// closed closes a file that was written, and returns the first error.
func closed(fd int, err error) error {
	if closing := unix.Close(fd); err == nil {
		return closing
	}
	return err
}

// copyAll writes the content.
func copyAll(ctx context.Context, fd int, e *entry, c content) error {
	var n int64
	for n < e.size {
		b, err := c.next()
		if err != nil {
			return err
		}
		if len(b) == 0 {
			return fmt.Errorf("its content ends after %d of %d bytes", n, e.size)
		}
		n += int64(len(b))
		if err := writeAll(fd, b); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	_, err := c.next() // which checks the sum, where there is one
	return err
}

func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		b = b[max(0, n):]
	}
	return nil
}

// describe sets the metadata of an open file: the owner first, because that
// takes setuid and capabilities away, and the time last.
func (w *writer) describe(at place, e *entry) error {
	if err := unix.Fchown(at.fd, e.uid, e.gid); err != nil {
		return fmt.Errorf("setting its owner: %w", err)
	}
	if err := unix.Fchmod(at.fd, e.mode&0o7777); err != nil {
		return fmt.Errorf("setting its mode: %w", err)
	}
	if len(e.xattrs) > 0 {
		set := func(attr, value string) error { return unix.Fsetxattr(at.fd, attr, []byte(value), 0) }
		if err := w.t.setXattrs(e.name, e.xattrs, set); err != nil {
			return err
		}
	}
	return setTime(at.dir, at.base, e.mtime)
}

// describeSpecial is describe for what cannot be opened. It follows no symlink.
func (w *writer) describeSpecial(dir int, base string, e *entry) error {
	if err := unix.Fchownat(dir, base, e.uid, e.gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("setting its owner: %w", err)
	}
	if e.kind() != unix.S_IFLNK {
		if err := unix.Fchmodat(dir, base, e.mode&0o7777, 0); err != nil {
			return fmt.Errorf("setting its mode: %w", err)
		}
	}
	if len(e.xattrs) > 0 {
		at := "/proc/self/fd/" + strconv.Itoa(dir) + "/" + base
		set := func(attr, value string) error { return unix.Lsetxattr(at, attr, []byte(value), 0) }
		if err := w.t.setXattrs(e.name, e.xattrs, set); err != nil {
			return err
		}
	}
	return setTime(dir, base, e.mtime)
}

// setTime sets both times of a file.
func setTime(dir int, base string, t unix.Timespec) error {
	if err := unix.UtimesNanoAt(dir, base, []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("setting its time: %w", err)
	}
	return nil
}
