package xattrs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Applied is what became of a list.
type Applied struct {
	Files int // that got all their attributes
	// Without counts the files that did without their user.* attributes, because
	// their file system takes none: a tmpfs before Linux 6.6. First is one of them.
	Without int
	First   string
}

// Warning says in a line what the files lack, "" where they lack nothing.
func (a Applied) Warning() string {
	if a.Without == 0 {
		return ""
	}
	return fmt.Sprintf("%d files are without their user.* extended attributes, /%s first: a tmpfs takes them from Linux 6.6 on", a.Without, a.First)
}

// Apply sets the attributes of a list on the files below root. Names are sorted,
// so that the same list gives the same error. No symlink leads out of root, and
// the attributes of a symlink are its own. A file that is listed and missing is an
// error that names it, as is an attribute that the file system refuses, but for
// user.* ones that it has no place for: they are counted.
func Apply(ctx context.Context, root *os.Root, list map[string]map[string]string) (Applied, error) {
	var done Applied
	a := applier{root: root}
	defer a.close()
	for _, name := range slices.Sorted(maps.Keys(list)) {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		without, err := a.file(name, list[name])
		if err != nil {
			return done, fmt.Errorf("setting the extended attributes of /%s: %w", name, err)
		}
		if !without {
			done.Files++
			continue
		}
		if done.Without++; done.Without == 1 {
			done.First = name
		}
	}
	return done, nil
}

// applier keeps the directory of the last file open: the next one mostly lies there, too.
type applier struct {
	root *os.Root
	dir  *os.File
	name string // of dir
}

func (a *applier) close() {
	if a.dir != nil {
		_ = a.dir.Close() // it was only looked through
	}
	a.dir = nil
}

// enter opens the directory of a file. Symlinks are followed within the root, and
// by the root alone.
func (a *applier) enter(name string) error {
	if a.dir != nil && a.name == name {
		return nil
	}
	a.close()
	dir, err := a.root.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	a.dir, a.name = dir, name
	return nil
}

// file sets the attributes of one file and says whether it does without some.
func (a *applier) file(name string, attrs map[string]string) (without bool, err error) {
	dir, base := path.Split(path.Clean(name))
	if base == ".." {
		return false, errors.New("its name leaves the root")
	}
	if err := a.enter(path.Clean(dir)); err != nil {
		return false, err
	}
	// There is no call with a directory and a name before Linux 6.13 (setxattrat), and
	// opening the file is no way for devices. The last part is not followed.
	at := fmt.Sprintf("/proc/self/fd/%d/%s", a.dir.Fd(), base)
	for _, attr := range slices.Sorted(maps.Keys(attrs)) {
		err := unix.Lsetxattr(at, attr, []byte(attrs[attr]), 0)
		switch {
		case errors.Is(err, unix.ENOTSUP) && strings.HasPrefix(attr, "user."):
			without = true
		case errors.Is(err, unix.ENOENT):
			return without, a.missing(base, err)
		case err != nil:
			return without, fmt.Errorf("%s: %w", attr, err)
		}
	}
	return without, nil
}

// missing tells a file that is not there from a /proc that is not.
func (a *applier) missing(base string, err error) error {
	var st unix.Stat_t
	if unix.Fstatat(int(a.dir.Fd()), base, &st, unix.AT_SYMLINK_NOFOLLOW) == nil {
		return fmt.Errorf("%w: is /proc mounted?", err)
	}
	return fmt.Errorf("the list names it, and the root has no such file: %w", err)
}
