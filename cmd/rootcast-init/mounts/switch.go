package mounts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Switch makes dir, a mount, the root, frees what the initrd takes, and becomes
// the program there. It returns only if that failed. The old root cannot be
// unmounted, it can only be emptied (Documentation/filesystems/ramfs-rootfs-initramfs.rst).
func Switch(dir, program string, args, env []string) error {
	if err := Points(dir); err != nil {
		return err
	}
	for _, m := range kernelMounts {
		to := filepath.Join(dir, m.dir)
		if err := unix.Mount(m.dir, to, "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("switching to the root: moving %s: %w", m.dir, err)
		}
	}
	if err := os.Chdir(dir); err != nil {
		return fmt.Errorf("switching to the root: %w", err)
	}
	old, err := os.Open("/")
	if err != nil {
		return fmt.Errorf("switching to the root: %w", err)
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("switching to the root: moving it: %w", err)
	}
	if err := errors.Join(unix.Chroot("."), os.Chdir("/")); err != nil {
		return fmt.Errorf("switching to the root: %w", err)
	}
	empty(old)
	err = unix.Exec(program, append([]string{program}, args...), env)
	return fmt.Errorf("starting %s of the image: %w", program, err)
}

// Points makes the directories of the root in dir that /proc, /sys, /dev and /run
// move to.
func Points(dir string) error {
	for _, m := range kernelMounts {
		if err := mountPoint(dir, m.dir); err != nil {
			return fmt.Errorf("switching to the root: %w", err)
		}
	}
	return nil
}

// mountPoint makes a directory of the root to mount on, where it has none, and
// refuses a symlink, which would lead the mount elsewhere.
func mountPoint(dir, name string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // nothing is written by it
	name = name[1:]
	info, err := root.Lstat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return root.Mkdir(name, 0o755)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("/%s of the image is no directory", name)
	}
	return nil
}

// empty removes all files of the initrd, which hold memory, and leaves other
// mounts alone.
func empty(dir *os.File) {
	defer dir.Close() //nolint:errcheck // it was only read
	var top unix.Stat_t
	if unix.Fstat(int(dir.Fd()), &top) != nil {
		return
	}
	names, _ := dir.Readdirnames(-1) // what cannot be read cannot be freed
	for _, name := range names {
		remove(int(dir.Fd()), name, top.Dev)
	}
}

func remove(dir int, name string, dev uint64) {
	var st unix.Stat_t
	if unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil || st.Dev != dev {
		return
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		_ = unix.Unlinkat(dir, name, 0)
		return
	}
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	f := os.NewFile(uintptr(fd), name)
	names, _ := f.Readdirnames(-1)
	for _, n := range names {
		remove(fd, n, dev)
	}
	_ = f.Close()
	_ = unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
}
