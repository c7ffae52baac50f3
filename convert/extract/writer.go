package extract

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// parentMode is a directory's that the archive does not name, or not yet.
const parentMode = 0o755

// writer makes the files of one worker.
type writer struct {
	t     *tree
	dirs  dirs
	metas map[string]meta
	// made is the names of the segment at hand, where workers share the archive: a
	// file that is there already and not among them cannot be replaced, because
	// nobody knows which of the two is the later one. Nil: there is only one worker.
	made map[string]struct{}
}

func newWriter(t *tree, shared bool) *writer {
	w := &writer{t: t, metas: map[string]meta{}}
	if shared {
		w.made = map[string]struct{}{}
	}
	return w
}

// close hands over what is left to do for directories.
func (w *writer) close() {
	w.dirs.close()
	w.t.adopt(w.metas)
}

// put makes an entry's file.
func (w *writer) put(ctx context.Context, e *entry, c content) error {
	if err := w.write(ctx, e, c); err != nil {
		return fmt.Errorf("writing /%s: %w", e.name, explain(err))
	}
	if w.made != nil {
		w.made[e.name] = struct{}{}
	}
	return nil
}

// explain says what to do about a full file system.
func explain(err error) error {
	if errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("%w: the root does not fit into its tmpfs: give that more by rootlimit=, or the node more memory", err)
	}
	return err
}

func (w *writer) write(ctx context.Context, e *entry, c content) error {
	switch {
	case e.kind() == unix.S_IFDIR:
		return w.directory(e)
	case e.name == ".":
		return errors.New("the root is a directory")
	case e.link != "":
		return w.link(e.link, e.name)
	case e.linked:
		return w.member(ctx, e, c)
	default:
		return w.file(ctx, e, c)
	}
}

// enter opens the directory that a file lies in.
func (w *writer) enter(name string) (dir int, base string, err error) {
	i := len(name)
	for i > 0 && name[i-1] != '/' {
		i--
	}
	if i == 0 {
		return w.t.root, name, nil
	}
	dir, err = w.dir(name[:i-1])
	return dir, name[i:], err
}

// dir opens a directory and makes it where it is missing, and those above it.
func (w *writer) dir(name string) (int, error) {
	if name == "." {
		return w.t.root, nil
	}
	if fd, ok := w.dirs.get(name); ok {
		return fd, nil
	}
	parent, base, err := w.enter(name)
	if err != nil {
		return -1, err
	}
	fd, err := openAt(parent, base)
	if errors.Is(err, unix.ENOENT) {
		if err = unix.Mkdirat(parent, base, parentMode); err == nil {
			w.metas[name] = meta{mode: parentMode, implied: true}
		} else if !errors.Is(err, unix.EEXIST) { // by another worker, just now
			return -1, fmt.Errorf("making its parent /%s: %w", name, err)
		}
		fd, err = openAt(parent, base)
	}
	if err != nil {
		return -1, fmt.Errorf("opening its parent /%s, as no symlink or file may be: %w", name, err)
	}
	w.dirs.add(name, fd)
	return fd, nil
}

// directory makes a directory; its metadata waits until nothing more is written in it.
func (w *writer) directory(e *entry) error {
	if e.name != "." {
		if err := w.mkdir(e.name); err != nil {
			return err
		}
	}
	w.metas[e.name] = meta{mode: e.mode & 0o7777, uid: e.uid, gid: e.gid, mtime: e.mtime, xattrs: e.xattrs, order: e.order}
	return nil
}

func (w *writer) mkdir(name string) error {
	dir, base, err := w.enter(name)
	if err != nil {
		return err
	}
	err = unix.Mkdirat(dir, base, parentMode)
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return nil
	}
	if err := w.remove(dir, base, name); err != nil {
		return err
	}
	return unix.Mkdirat(dir, base, parentMode)
}

// create calls f, which makes a file, and again once it has removed what was there.
func (w *writer) create(name string, f func(dir int, base string) error) error {
	dir, base, err := w.enter(name)
	if err != nil {
		return err
	}
	err = f(dir, base)
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	if err := w.remove(dir, base, name); err != nil {
		return err
	}
	return f(dir, base)
}

// remove removes what another file takes the place of: a directory only where it
// is empty, as the kernel does (init/initramfs.c, clean_path).
func (w *writer) remove(dir int, base, name string) error {
	if _, ok := w.made[name]; w.made != nil && !ok {
		return errors.New("there is such a file already: a name that an archive has twice, or a directory that was not empty, takes one job")
	}
	err := unix.Unlinkat(dir, base, 0)
	if errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EPERM) {
		err = unix.Unlinkat(dir, base, unix.AT_REMOVEDIR)
		delete(w.metas, name)
		w.dirs.forget(name)
	}
	if err != nil {
		return fmt.Errorf("removing what it replaces: %w", err)
	}
	return nil
}
