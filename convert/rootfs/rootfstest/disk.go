package rootfstest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ListDir describes the files below dir as [List] describes a tree. It stays
// on dir's own file system.
func ListDir(dir string) ([]string, error) {
	l := lister{root: dir, first: map[uint64]string{}}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return nil, fmt.Errorf("listing %s: %w", dir, err)
	}
	l.dev = st.Dev
	err := l.list(".")
	return l.lines, err
}

// WithoutTimes leaves out the times of directories and symlinks in lines of
// [List] or [ListDir].
func WithoutTimes(lines []string) []string {
	times := regexp.MustCompile(` mtime=-?[0-9.]+`)
	lines = slices.Clone(lines)
	for i, line := range lines {
		if strings.HasPrefix(line, "dir ") || strings.HasPrefix(line, "symlink ") {
			lines[i] = times.ReplaceAllString(line, "")
		}
	}
	return lines
}

type lister struct {
	root  string
	dev   uint64
	first map[uint64]string
	lines []string
}

func (l *lister) list(name string) error {
	file := filepath.Join(l.root, name)
	var st unix.Stat_t
	err := unix.Lstat(file, &st)
	if errors.Is(err, unix.ENOENT) { // a whiteout over nothing: overlayfs lists it
		return nil
	}
	if err != nil {
		return fmt.Errorf("describing %s: %w", file, err)
	}
	if st.Dev != l.dev {
		return nil
	}
	isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	if target, ok := l.first[st.Ino]; ok && !isDir {
		l.lines = append(l.lines, Entry{Verb: "link", Path: name, Target: target}.String())
		return nil
	}
	l.first[st.Ino] = name
	e, err := onDisk(file, name, &st)
	if err != nil {
		return err
	}
	l.lines = append(l.lines, e.String())
	if !isDir {
		return nil
	}
	f, err := os.Open(file) //nolint:gosec // a test's own
	if err != nil {
		return err
	}
	names, err := f.Readdirnames(-1)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	slices.Sort(names)
	for _, n := range names {
		if err := l.list(path.Join(name, n)); err != nil {
			return err
		}
	}
	return nil
}

// onDisk is one file's entry.
func onDisk(file, name string, st *unix.Stat_t) (Entry, error) {
	e := Entry{Path: name, Mode: int64(st.Mode & 0o7777), UID: int(st.Uid), GID: int(st.Gid), ModTime: time.Unix(st.Mtim.Unix())}
	var err error
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		e.Verb = "dir"
	case unix.S_IFREG:
		var b []byte
		e.Verb = "file"
		b, err = os.ReadFile(file) //nolint:gosec // a test's own
		e.Content = string(b)
	case unix.S_IFLNK:
		e.Verb = "symlink"
		e.Target, err = os.Readlink(file)
	case unix.S_IFCHR:
		e.Verb = "char"
	case unix.S_IFBLK:
		e.Verb = "block"
	case unix.S_IFIFO:
		e.Verb = "fifo"
	default:
		err = fmt.Errorf("%s has mode %o", file, st.Mode)
	}
	if e.Verb == "char" || e.Verb == "block" {
		e.Major, e.Minor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	}
	if err == nil {
		e.Xattrs, err = xattrs(file)
	}
	return e, err
}

func xattrs(file string) (map[string]string, error) {
	list := make([]byte, 1<<16)
	n, err := unix.Llistxattr(file, list)
	if errors.Is(err, unix.ENOTSUP) || n == 0 && err == nil {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the xattrs of %s: %w", file, err)
	}
	attrs := map[string]string{}
	for _, name := range strings.Split(string(bytes.TrimSuffix(list[:n], []byte{0})), "\x00") {
		if name == "security.selinux" || strings.HasPrefix(name, "trusted.overlay.") {
			continue // the machine's own
		}
		value := make([]byte, 1<<16)
		n, err := unix.Lgetxattr(file, name, value)
		if err != nil {
			return nil, fmt.Errorf("reading the xattr %s of %s: %w", name, file, err)
		}
		attrs[name] = string(value[:n])
	}
	return attrs, nil
}

// WriteDir makes a layer's entries below dir as overlayfs wants an upper
// directory: whiteouts are devices 0/0, opaque directories have an xattr. Each
// directory must have an entry of its own before what is in it.
func WriteDir(dir string, layer []Entry) error {
	for _, e := range layer {
		if err := e.write(dir); err != nil {
			return fmt.Errorf("making %s: %w", e, err)
		}
	}
	for _, e := range slices.Backward(layer) { // files change the times of their directories
		if e.Verb == "dir" || e.Verb == "opq" {
			if err := e.attributes(dir); err != nil {
				return fmt.Errorf("setting %s: %w", e, err)
			}
		}
	}
	return nil
}

func (e Entry) write(dir string) error {
	file := filepath.Join(dir, e.Path)
	var err error
	switch e.Verb {
	case "opq":
		return nil
	case "dir":
		if err := os.Mkdir(file, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		return nil
	case "wh":
		return unix.Mknod(file, unix.S_IFCHR, 0)
	case "link":
		return os.Link(filepath.Join(dir, e.Target), file)
	case "file":
		err = os.WriteFile(file, []byte(e.Content), 0o600)
	case "symlink":
		err = os.Symlink(e.Target, file)
	case "char":
		err = unix.Mknod(file, unix.S_IFCHR, int(unix.Mkdev(uint32(e.Major), uint32(e.Minor)))) //nolint:gosec // small
	case "block":
		err = unix.Mknod(file, unix.S_IFBLK, int(unix.Mkdev(uint32(e.Major), uint32(e.Minor)))) //nolint:gosec // small
	case "fifo":
		err = unix.Mkfifo(file, 0o600)
	}
	if err != nil {
		return err
	}
	return e.attributes(dir)
}

// attributes gives the file everything that its type does not say.
func (e Entry) attributes(dir string) error {
	file := filepath.Join(dir, e.Path)
	if e.Verb == "opq" {
		return unix.Setxattr(file, "trusted.overlay.opaque", []byte("y"), 0)
	}
	if os.Geteuid() == 0 || e.UID != 0 || e.GID != 0 { // others make files of their own alone
		if err := os.Lchown(file, e.UID, e.GID); err != nil {
			return err
		}
	}
	if e.Verb != "symlink" {
		if err := unix.Chmod(file, uint32(e.Mode)); err != nil { //nolint:gosec // a mode
			return err
		}
	}
	for k, v := range e.Xattrs {
		if err := unix.Lsetxattr(file, k, []byte(v), 0); err != nil {
			return err
		}
	}
	ts := unix.Timespec{Sec: e.ModTime.Unix(), Nsec: int64(e.ModTime.Nanosecond())}
	return unix.UtimesNanoAt(unix.AT_FDCWD, file, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}
