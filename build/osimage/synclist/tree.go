package synclist

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"
	"github.com/cyphar/filepath-securejoin/pathrs-lite"
	"golang.org/x/sys/unix"
)

// tree is an image's root. Its paths are followed as a process with that root
// would follow them, absolute symlinks included.
type tree struct {
	path string
	root *os.File
}

func openTree(root string) (*tree, error) {
	f, err := os.OpenFile(root, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the image: %w", err)
	}
	return &tree{path: root, root: f}, nil
}

func (t *tree) close() { t.root.Close() } //nolint:errcheck // it was only looked up in

// inside follows the symlinks of name, also to where nothing is yet.
func (t *tree) inside(name string) (string, error) {
	full, err := securejoin.SecureJoin(t.path, name)
	if err != nil {
		return "", fmt.Errorf("finding %s in the image: %w", name, err)
	}
	return "/" + strings.TrimPrefix(strings.TrimPrefix(full, path.Clean(t.path)), "/"), nil
}

// stat follows symlinks.
func (t *tree) stat(name string) (fs.FileInfo, error) {
	name, err := t.inside(name)
	if err != nil {
		return nil, err
	}
	f, err := pathrs.OpenatInRoot(t.root, name)
	if err != nil {
		return nil, fmt.Errorf("finding %s in the image: %w", name, err)
	}
	defer f.Close()
	return f.Stat()
}

func (t *tree) isDir(name string) bool {
	info, err := t.stat(name)
	return err == nil && info.IsDir()
}

// dir opens a directory of the image; it is made where it is missing, with those
// above it.
func (t *tree) dir(name string) (*os.File, error) {
	real, err := t.inside(name)
	if err != nil {
		return nil, err
	}
	f, err := pathrs.MkdirAllHandle(t.root, real, 0o755)
	if errors.Is(err, unix.ENOTDIR) {
		return nil, fmt.Errorf("%s is no directory in the image", name)
	}
	if err != nil {
		return nil, fmt.Errorf("making directory %s of the image: %w", name, err)
	}
	defer f.Close()
	dir, err := pathrs.Reopen(f, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, fmt.Errorf("opening directory %s of the image: %w", name, err)
	}
	return dir, nil
}

// open opens a file of the image for reading, through symlinks.
func (t *tree) open(name string) (*os.File, error) {
	info, err := t.stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s is not in the image", name)
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file in the image", name)
	}
	real, err := t.inside(name)
	if err != nil {
		return nil, err
	}
	h, err := pathrs.OpenatInRoot(t.root, real)
	if err != nil {
		return nil, fmt.Errorf("opening %s of the image: %w", name, err)
	}
	defer h.Close()
	f, err := pathrs.Reopen(h, unix.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("opening %s of the image: %w", name, err)
	}
	return f, nil
}

// replace puts a file in its place in one step: content comes from r, and finish
// gives it what else it has. A symlink of that name is replaced, not followed.
func (t *tree) replace(name string, r io.Reader, finish func(*os.File) error) (err error) {
	dir, err := t.dir(path.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	at := int(dir.Fd())
	temp := ".rootcast-" + rand.Text()
	fd, err := unix.Openat(at, temp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("writing %s of the image: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), temp)
	defer func() {
		if err != nil {
			err = errors.Join(err, unix.Unlinkat(at, temp, 0))
		}
	}()
	_, err = io.Copy(f, r)
	if err == nil {
		err = finish(f)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = unix.Renameat(at, temp, at, path.Base(name))
	}
	switch {
	case errors.Is(err, unix.EISDIR), errors.Is(err, unix.ENOTEMPTY), errors.Is(err, unix.EEXIST):
		return fmt.Errorf("%s is a directory in the image, and a file was to take its place", name)
	case err != nil:
		return fmt.Errorf("writing %s of the image: %w", name, err)
	}
	return nil
}
