package statelite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// chunk is how many bytes are copied between two looks at the context.
const chunk = 16 << 20

// copier copies files as they are: owners, modes, times, hard links among them,
// devices and extended attributes.
type copier struct {
	ctx   context.Context //nolint:containedctx // of one copy
	top   int             // the directory that the copy is made in
	at    []string        // names below it
	first map[inode]string
	lost  int // extended attributes that the file system does not take
}

// inode is a file that several names may lead to.
type inode struct{ dev, ino uint64 }

// pair is a file in an open directory, and what its copy is called in another one.
type pair struct {
	from int
	base string
	dir  int
	to   string
}

// original and copied are the paths, for calls that take no directory.
func (p pair) original() string { return join(p.from, p.base) }
func (p pair) copied() string   { return join(p.dir, p.to) }

func join(dir int, name string) string { return "/proc/self/fd/" + strconv.Itoa(dir) + "/" + name }

// copy copies a file with everything that is in it.
func (c *copier) copy(p pair) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	c.at = append(c.at, p.to)
	defer func() { c.at = c.at[:len(c.at)-1] }()
	err := c.one(p)
	if err != nil && !isNamed(err) {
		err = &copyError{strings.Join(c.at[1:], "/"), err}
	}
	return err
}

func (c *copier) one(p pair) error {
	var st unix.Stat_t
	if err := unix.Fstatat(p.from, p.base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if linked, err := c.link(p, &st); linked || err != nil {
		return err
	}
	if err := c.make(p, &st); err != nil {
		return err
	}
	return c.meta(p.original(), p.copied(), &st)
}

// copyError names the file that an error is about, once.
type copyError struct {
	name string
	err  error
}

func (e *copyError) Error() string { return strings.TrimPrefix(e.name+": ", ": ") + e.err.Error() }
func (e *copyError) Unwrap() error { return e.err }

func isNamed(err error) bool {
	var named *copyError
	return errors.As(err, &named)
}

// link makes a further name of a file that has been copied already.
func (c *copier) link(p pair, st *unix.Stat_t) (bool, error) {
	if st.Mode&unix.S_IFMT == unix.S_IFDIR || st.Nlink < 2 {
		return false, nil
	}
	id := inode{uint64(st.Dev), st.Ino} //nolint:unconvert // not of that type everywhere
	if first, ok := c.first[id]; ok {
		return true, unix.Linkat(c.top, first, p.dir, p.to, 0)
	}
	if c.first == nil {
		c.first = map[inode]string{}
	}
	c.first[id] = path.Join(c.at...)
	return false, nil
}

// make makes the file and its contents.
func (c *copier) make(p pair, st *unix.Stat_t) error {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		if err := unix.Mkdirat(p.dir, p.to, 0o700); err != nil {
			return err
		}
		return c.children(p)
	case unix.S_IFREG:
		return c.contents(p, st.Size)
	case unix.S_IFLNK:
		target, err := os.Readlink(p.original())
		if err != nil {
			return err
		}
		return unix.Symlinkat(target, p.dir, p.to)
	default:
		return unix.Mknodat(p.dir, p.to, st.Mode&unix.S_IFMT|0o600, int(st.Rdev)) //nolint:gosec // a device number
	}
}

func (c *copier) children(p pair) error {
	in, err := openDir(p.from, p.base)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // it was only read
	out, err := openDir(p.dir, p.to)
	if err != nil {
		return err
	}
	defer out.Close() //nolint:errcheck // nothing was written by it
	names, err := in.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := c.copy(pair{int(in.Fd()), name, int(out.Fd()), name}); err != nil {
			return err
		}
	}
	return nil
}

func openDir(dir int, name string) (*os.File, error) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func (c *copier) contents(p pair, size int64) (err error) {
	fd, err := unix.Openat(p.from, p.base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	in := os.NewFile(uintptr(fd), p.base)
	defer in.Close() //nolint:errcheck // it was only read
	fd, err = unix.Openat(p.dir, p.to, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	out := os.NewFile(uintptr(fd), p.to)
	defer func() { err = errors.Join(err, out.Close()) }() // NFS says there that it has no room
	return sparse(c.ctx, out, in, size)
}

// sparse copies a file without filling its holes: /var/log/lastlog may have some of
// many gigabytes.
func sparse(ctx context.Context, out, in *os.File, size int64) error {
	for at := int64(0); at < size; {
		data, err := in.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) { // a hole up to the end
			break
		}
		if err != nil {
			return err
		}
		if at, err = in.Seek(data, unix.SEEK_HOLE); err != nil {
			return err
		}
		for _, f := range []*os.File{in, out} {
			if _, err := f.Seek(data, io.SeekStart); err != nil {
				return err
			}
		}
		if err := stream(ctx, out, in, at-data); err != nil {
			return err
		}
	}
	return out.Truncate(size)
}

// stream copies up to n bytes in pieces, in the kernel where it can.
func stream(ctx context.Context, out, in *os.File, n int64) error {
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		copied, err := io.CopyN(out, in, min(n, chunk))
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		n -= copied
	}
	return nil
}

// meta gives a copy what the original has. The order matters: a new owner costs
// setuid bits and capabilities, and whatever is written the time.
func (c *copier) meta(from, to string, st *unix.Stat_t) error {
	if st == nil {
		st = &unix.Stat_t{}
		if err := unix.Lstat(from, st); err != nil {
			return err
		}
	}
	if err := unix.Lchown(to, int(st.Uid), int(st.Gid)); err != nil {
		return fmt.Errorf("setting its owner: %w", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		if err := unix.Chmod(to, st.Mode&0o7777); err != nil {
			return fmt.Errorf("setting its mode: %w", err)
		}
	}
	if err := c.xattrs(from, to); err != nil {
		return err
	}
	times := []unix.Timespec{st.Atim, st.Mtim}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, to, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("setting its time: %w", err)
	}
	return nil
}

// maxXattr is the longest value and the longest list (XATTR_SIZE_MAX, XATTR_LIST_MAX, linux/limits.h).
const maxXattr = 64 << 10

func (c *copier) xattrs(from, to string) error {
	n, err := unix.Llistxattr(from, nil)
	if n == 0 || errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	list := make([]byte, maxXattr)
	if n, err = unix.Llistxattr(from, list); err != nil {
		return fmt.Errorf("listing its extended attributes: %w", err)
	}
	value := make([]byte, maxXattr)
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00") {
		n, err := unix.Lgetxattr(from, name, value)
		if err != nil {
			return fmt.Errorf("reading its extended attribute %s: %w", name, err)
		}
		err = unix.Lsetxattr(to, name, value[:n], 0)
		if errors.Is(err, unix.EOPNOTSUPP) {
			c.lost++
			continue
		}
		if err != nil {
			return fmt.Errorf("setting its extended attribute %s: %w", name, err)
		}
	}
	return nil
}
