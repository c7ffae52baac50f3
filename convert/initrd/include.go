package initrd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/convert/rootfs"
)

// Include is a file or directory of this machine that the initrd carries.
type Include struct {
	// Src is a path. Symlinks that lead to it are followed; those below a
	// directory are carried as they are, so that nothing outside comes in.
	Src string
	// Dst is its path in the initrd. With "/" at its end a file keeps its name; a
	// directory's content always comes to be in the directory Dst.
	Dst string
}

// maxIncludes is how many bytes of includes an initrd takes.
const maxIncludes = 512 << 20

// errTooMuch is an include for which there is no place.
var errTooMuch = fmt.Errorf("more than %d bytes of includes: put them into the image", maxIncludes)

// errSpecial is a file that an include cannot carry.
var errSpecial = errors.New("neither a file, a directory nor a symlink: leave it out of the directory")

// includer reads includes.
type includer struct {
	*builder
	left int64 // bytes that it may yet read
}

// includes puts the files of this machine into the tree, owned by root, with
// their modes.
func (b *builder) includes(ctx context.Context) error {
	i := includer{b, maxIncludes}
	for _, inc := range b.o.Include {
		if err := i.include(ctx, inc); err != nil {
			return fmt.Errorf("including %s at %s: %w", inc.Src, inc.Dst, err)
		}
	}
	return nil
}

func (i *includer) include(ctx context.Context, inc Include) error {
	dst := path.Join(".", inc.Dst)
	switch {
	case inc.Dst == "":
		return errors.New("it has no place in the initrd: give SOURCE:DESTINATION")
	case slices.Contains(strings.Split(inc.Dst, "/"), ".."):
		return errors.New(`its place in the initrd has a part "..": write where it leads`)
	}
	info, err := os.Stat(inc.Src)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		if strings.HasSuffix(inc.Dst, "/") {
			dst = path.Join(dst, filepath.Base(inc.Src))
		}
		f, err := os.OpenFile(inc.Src, os.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		return i.file(f, dst)
	}
	root, err := os.OpenRoot(inc.Src)
	if err != nil {
		return err
	}
	err = fs.WalkDir(root.FS(), ".", func(name string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = i.entry(root, name, path.Join(dst, name))
		}
		return err
	})
	return errors.Join(err, root.Close())
}

// entry carries one file of a directory.
func (i *includer) entry(root *os.Root, name, dst string) error {
	info, err := root.Lstat(name)
	if err != nil {
		return err
	}
	switch info.Mode().Type() {
	case fs.ModeDir:
		if dst == "." || name == "." && i.types[dst] == rootfs.TypeDir {
			return nil // what the initrd has anyway keeps its mode
		}
		return i.add(dst, dir(permissions(info)))
	case fs.ModeSymlink:
		target, err := root.Readlink(name)
		if err != nil {
			return err
		}
		return i.put(dst, rootfs.NewSymlink(target))
	case 0:
		f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		return i.file(f, dst)
	default:
		return fmt.Errorf("%s: %w", name, errSpecial)
	}
}

// file carries an open file, and closes it.
func (i *includer) file(f *os.File, dst string) error {
	in, err := i.readFile(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return i.put(dst, in)
}

func (i *includer) readFile(f *os.File) (*rootfs.Inode, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", f.Name(), errSpecial)
	}
	if info.Size() > i.left {
		return nil, errTooMuch
	}
	content, err := io.ReadAll(io.LimitReader(f, i.left+1))
	if err != nil {
		return nil, err
	}
	if i.left -= int64(len(content)); i.left < 0 { // it has grown meanwhile
		return nil, errTooMuch
	}
	return rootfs.NewText(permissions(info), content), nil
}

// put adds a file and warns where it takes the place of the initrd's own.
func (i *includer) put(dst string, in *rootfs.Inode) error {
	if _, ok := i.types[dst]; ok {
		i.warn("an include replaces /%s of the initrd", dst)
	}
	in.ModTime = time.Unix(0, 0)
	return i.add(dst, in)
}

// permissions are a file's permission bits, with setuid, setgid and sticky.
func permissions(info fs.FileInfo) uint32 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Mode & 0o7777
	}
	return uint32(info.Mode().Perm())
}
