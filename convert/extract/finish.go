package extract

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/convert/xattrs"
)

// setXattrs sets the attributes that a tar has for a file. User attributes that
// the file system does not take are counted.
func (t *tree) setXattrs(name string, attrs map[string]string, set func(attr, value string) error) error {
	lost := false
	for _, attr := range slices.Sorted(maps.Keys(attrs)) {
		err := set(attr, attrs[attr])
		if errors.Is(err, unix.ENOTSUP) && strings.HasPrefix(attr, "user.") {
			lost = true
		} else if err != nil {
			return fmt.Errorf("setting its %s: %w", attr, err)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !lost {
		t.without.Files++
		return nil
	}
	if t.without.Without++; t.without.Without == 1 || name < t.without.First {
		t.without.First = name
	}
	return nil
}

// applyList sets the extended attributes of the list in a cpio root, if there is
// one, and takes the list away: the image has none.
func (t *tree) applyList(ctx context.Context, dir string, keep bool) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // it was only looked through
	list, err := readList(root)
	if err != nil {
		return fmt.Errorf("reading /%s: %w", xattrs.Name, err)
	}
	if list == nil {
		return nil
	}
	if t.without, err = xattrs.Apply(ctx, root, list); err != nil || keep {
		return err
	}
	if err := root.Remove(xattrs.Name); err != nil {
		return err
	}
	holder := path.Dir(xattrs.Name)
	if err := root.Remove(holder); err == nil {
		delete(t.metas, holder)
	} else if !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// readList returns nil where there is no list. Only a regular file is opened:
// others might wait for something.
func readList(root *os.Root) (map[string]map[string]string, error) {
	if is, err := hasType(root, path.Dir(xattrs.Name), fs.ModeDir); err != nil || !is {
		return nil, err
	}
	if is, err := hasType(root, xattrs.Name, 0); err != nil || !is {
		return nil, err
	}
	f, err := root.Open(xattrs.Name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	return xattrs.Read(f)
}

// hasType says whether there is such a file, of that type.
func hasType(root *os.Root, name string, kind fs.FileMode) (bool, error) {
	info, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.Mode().Type() == kind, err
}

// describeDirs sets the metadata of directories, those within others first: a
// name sorts behind its parent's.
func (t *tree) describeDirs(ctx context.Context) error {
	w := newWriter(t, false)
	defer w.dirs.close()
	names := slices.Sorted(maps.Keys(t.metas))
	for _, name := range slices.Backward(names) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if name == "." {
			continue // it sorts anywhere
		}
		dir, base, err := w.enter(name)
		if err == nil {
			err = w.describeDir(dir, base, name)
		}
		if err != nil {
			return fmt.Errorf("writing /%s: %w", name, explain(err))
		}
	}
	if _, ok := t.metas["."]; ok {
		if err := w.describeDir(t.root, ".", "."); err != nil {
			return fmt.Errorf("writing /: %w", err)
		}
	}
	return nil
}

func (w *writer) describeDir(dir int, base, name string) error {
	m := w.t.metas[name]
	fd, err := unix.Openat(dir, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // it was only read
	if m.implied {
		return unix.Fchmod(fd, m.mode) // whatever the umask made of it
	}
	e := entry{name: name, mode: m.mode, uid: m.uid, gid: m.gid, mtime: m.mtime, xattrs: m.xattrs}
	return w.describe(place{fd, dir, base}, &e)
}
