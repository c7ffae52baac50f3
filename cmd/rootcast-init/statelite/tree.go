package statelite

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxSymlinks is how many symlinks one path may pass (MAXSYMLINKS, linux/namei.h).
const maxSymlinks = 40

// tree is a directory that none of its symlinks leads out of. It is what openat2
// does with RESOLVE_IN_ROOT, which Linux has since 5.6 and the kernels of
// Enterprise Linux 8 have not; besides, missing directories are made on the way.
type tree struct{ top *os.File }

func openTree(dir string) (*tree, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return &tree{os.NewFile(uintptr(fd), dir)}, nil
}

func (t *tree) close() {
	if t != nil && t.top != nil {
		_ = t.top.Close() // it was only read
	}
}

// subtree is the tree of a directory, which a mount may be on.
func (t *tree) subtree(name string) (*tree, error) {
	at, err := t.find(name, nothing)
	if err != nil {
		return nil, err
	}
	defer at.close()
	return openTree(at.path())
}

// sync writes everything of the tree's file system out.
func (t *tree) sync() error {
	if err := unix.Syncfs(int(t.top.Fd())); err != nil {
		return fmt.Errorf("writing out what was copied: %w", err)
	}
	return nil
}

// missing says what to make where there is nothing.
type missing int

const (
	nothing missing = iota
	directory
	file
)

// place is a file that was found. It is held open, but not for reading.
type place struct {
	name string // its path without symlinks, relative to the top of the tree
	kind uint32 // its type, of S_IFMT
	file *os.File
	dir  *os.File // where it is; nil for the top itself
}

// path names the file itself, for system calls that take paths only.
func (p *place) path() string { return "/proc/self/fd/" + strconv.Itoa(int(p.file.Fd())) }

func (p *place) isDir() bool { return p.kind == unix.S_IFDIR }

func (p *place) close() {
	_ = p.file.Close()
	if p.dir != nil {
		_ = p.dir.Close()
	}
}

// find follows a name. Where nothing is, it makes what it is asked for, or returns
// os.ErrNotExist, but always a place with the name that it came to.
func (t *tree) find(name string, mk missing) (*place, error) {
	w := walk{top: t.top, todo: parts(name), mk: mk}
	defer w.close()
	for len(w.todo) > 0 {
		if err := w.step(); err != nil {
			return &place{name: w.name()}, fmt.Errorf("/%s: %w", w.name(), err)
		}
	}
	at := &place{name: w.name(), kind: unix.S_IFDIR}
	var err error
	if n := len(w.files); n > 0 {
		at.kind = w.files[n-1].kind
		at.dir, err = dup(w.dir(n - 1))
	}
	if err == nil {
		at.file, err = dup(w.dir(len(w.files)))
	}
	if err != nil {
		return at, err
	}
	return at, nil
}

func parts(name string) []string {
	return strings.FieldsFunc(name, func(c rune) bool { return c == '/' })
}

func dup(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// walk is a path that is being followed.
type walk struct {
	top   *os.File
	files []step   // from the top down
	todo  []string // parts of the path
	mk    missing
	links int
}

type step struct {
	name string
	kind uint32
	file *os.File
}

func (w *walk) close() { w.cut(0) }

// cut goes up to n parts below the top.
func (w *walk) cut(n int) {
	for _, s := range w.files[n:] {
		_ = s.file.Close()
	}
	w.files = w.files[:n]
}

// dir is the n-th file from the top, which is the 0th.
func (w *walk) dir(n int) *os.File {
	if n == 0 {
		return w.top
	}
	return w.files[n-1].file
}

// name is where the walk is, with what it has not followed yet.
func (w *walk) name() string {
	name := "/"
	for _, s := range w.files {
		name = path.Join(name, s.name)
	}
	name = path.Join(name, strings.Join(w.todo, "/"))
	if name == "/" {
		return "."
	}
	return name[1:]
}

// step follows one part; it stays in todo if that fails.
func (w *walk) step() error {
	part := w.todo[0]
	switch part {
	case ".":
		w.todo = w.todo[1:]
		return nil
	case "..":
		w.todo = w.todo[1:]
		w.cut(max(len(w.files)-1, 0))
		return nil
	}
	dir := int(w.dir(len(w.files)).Fd())
	fd, err := unix.Openat(dir, part, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) && w.mk != nothing {
		if err := w.makeMissing(dir, part); err != nil {
			return err
		}
		fd, err = unix.Openat(dir, part, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return err
	}
	s := step{part, 0, os.NewFile(uintptr(fd), part)}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = s.file.Close()
		return err
	}
	if s.kind = st.Mode & unix.S_IFMT; s.kind == unix.S_IFLNK {
		defer s.file.Close() //nolint:errcheck // it was only read
		return w.follow(fd)
	}
	w.files = append(w.files, s)
	w.todo = w.todo[1:]
	return nil
}

func (w *walk) makeMissing(dir int, part string) error {
	if w.mk == directory || len(w.todo) > 1 {
		return unix.Mkdirat(dir, part, 0o755)
	}
	fd, err := unix.Openat(dir, part, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func (w *walk) follow(link int) error {
	if w.links++; w.links > maxSymlinks {
		return unix.ELOOP
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(link, "", buf)
	if err != nil {
		return err
	}
	target := string(buf[:n])
	if path.IsAbs(target) {
		w.cut(0)
	}
	w.todo = append(parts(target), w.todo[1:]...)
	return nil
}
