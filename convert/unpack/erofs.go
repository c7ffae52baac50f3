package unpack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/convert/ctxio"
)

// walkEROFS mounts the file system where no path leads, and walks it. The mount
// and its loop device are gone when the last file of it is closed.
func (r Root) walkEROFS(ctx context.Context, f func(*Entry) error) error {
	if os.Geteuid() != 0 {
		return errors.New("reading an erofs back takes root, who may mount it")
	}
	root, err := mountEROFS(r.Path)
	if err != nil {
		return fmt.Errorf("mounting the erofs: %w", err)
	}
	defer root.Close() //nolint:errcheck // it was only read
	w := erofsWalker{ctx: ctx, f: f, count: r.Count, first: map[uint64]string{}}
	return w.entry(".", int(root.Fd()), ".")
}

// mountEROFS returns the root directory of a mount that is in no directory.
func mountEROFS(file string) (*os.File, error) {
	image, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer image.Close() //nolint:errcheck // it was only read
	loop, err := loopDevice(image)
	if err != nil {
		return nil, fmt.Errorf("attaching it to a loop device: %w", err)
	}
	defer loop.Close() //nolint:errcheck // the mount keeps the device
	fs, err := unix.Fsopen("erofs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("the kernel here has no erofs: %w", err)
	}
	defer unix.Close(fs) //nolint:errcheck // nothing was written
	err = unix.FsconfigSetString(fs, "source", loop.Name())
	if err == nil {
		err = unix.FsconfigSetFlag(fs, "ro")
	}
	if err == nil {
		err = unix.FsconfigCreate(fs)
	}
	if err != nil {
		return nil, fmt.Errorf("the kernel here cannot read it, or not its compression: %w", err)
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(mount), file), nil
}

// loopDevice attaches a file to a device that is free again once nobody uses it.
func loopDevice(file *os.File) (*os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close() //nolint:errcheck // nothing was written
	for range 100 {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, err
		}
		device, err := os.OpenFile("/dev/loop"+strconv.Itoa(n), os.O_RDONLY, 0)
		if err != nil {
			return nil, err
		}
		config := unix.LoopConfig{Fd: uint32(file.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_READ_ONLY | unix.LO_FLAGS_AUTOCLEAR}} //nolint:gosec // a file descriptor
		err = unix.IoctlLoopConfigure(int(device.Fd()), &config)
		if err == nil {
			return device, nil
		}
		if err := errors.Join(err, device.Close()); !errors.Is(err, unix.EBUSY) { // another process was faster
			return nil, err
		}
	}
	return nil, unix.EBUSY
}

type erofsWalker struct {
	ctx   context.Context //nolint:containedctx // of one walk
	f     func(*Entry) error
	count func(int)
	first map[uint64]string // names of the inodes seen
}

// entry walks the file base of the directory dir.
func (w *erofsWalker) entry(name string, dir int, base string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	// Paths stay short this way, however deep the directory.
	file := "/proc/self/fd/" + strconv.Itoa(dir) + "/" + base
	e, err := w.describe(name, file)
	if err != nil {
		return fmt.Errorf("reading %q: %w", "/"+name, err)
	}
	kind := e.Mode & fileType
	if kind != typeDir && (kind != typeRegular || e.First != name) {
		return w.f(e)
	}
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("reading %q: %w", "/"+name, err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	if kind == typeRegular {
		e.Body = io.LimitReader(ctxio.NewReader(w.ctx, f, w.count), e.Size)
		return w.f(e)
	}
	if err := w.f(e); err != nil {
		return err
	}
	names, err := f.Readdirnames(-1)
	if err != nil {
		return fmt.Errorf("reading %q: %w", "/"+name, err)
	}
	slices.Sort(names)
	for _, n := range names {
		if err := w.entry(path.Join(name, n), int(f.Fd()), n); err != nil {
			return err
		}
	}
	return nil
}

func (w *erofsWalker) describe(name, file string) (*Entry, error) {
	var st unix.Stat_t
	if err := unix.Lstat(file, &st); err != nil {
		return nil, err
	}
	e := &Entry{
		Name: name, First: name, Mode: st.Mode, UID: st.Uid, GID: st.Gid, ModTime: st.Mtim.Sec,
		Major: unix.Major(st.Rdev), Minor: unix.Minor(st.Rdev),
	}
	if e.Mode&fileType == typeRegular {
		e.Size = st.Size
	}
	if e.Mode&fileType != typeDir {
		e.Links = int(st.Nlink) //nolint:gosec // a count of names
		if first, ok := w.first[st.Ino]; ok {
			e.First = first
		} else {
			w.first[st.Ino] = name
		}
	}
	var err error
	if e.Mode&fileType == typeSymlink {
		if e.Target, err = os.Readlink(file); err != nil {
			return nil, err
		}
	}
	e.Xattrs, err = xattrsOf(file)
	return e, err
}

func xattrsOf(file string) (map[string]string, error) {
	list := make([]byte, 64<<10) // XATTR_LIST_MAX
	n, err := unix.Llistxattr(file, list)
	if errors.Is(err, unix.ENOTSUP) || n == 0 && err == nil {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing its extended attributes: %w", err)
	}
	attrs := map[string]string{}
	value := make([]byte, 64<<10) // XATTR_SIZE_MAX
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00") {
		n, err := unix.Lgetxattr(file, name, value)
		if err != nil {
			return nil, fmt.Errorf("reading its extended attribute %s: %w", name, err)
		}
		attrs[name] = string(value[:n])
	}
	return attrs, nil
}
