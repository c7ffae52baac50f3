package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// CopyOptions says how a medium is copied.
type CopyOptions struct {
	// KeepFiles leaves files that are at the destination as they are.
	KeepFiles bool
	// Progress is told how many bytes of all are copied; nil if nobody asks.
	Progress func(done, total int64)
}

// CopyResult is what became of a medium's files.
type CopyResult struct {
	InPlace bool  // the medium is the destination, and nothing was to be done
	Copied  int   // files and links that are new or were replaced
	Same    int   // that were there with the same size and time
	Kept    int   // that were there and differ, by KeepFiles
	Bytes   int64 // of the files that were copied
}

// Copy copies a medium into the directory dest, which may hold other media of the
// same distribution: what has a name of one of the medium's files is replaced, the
// rest stays. All files are first written to a directory beside dest, and put into
// their places when they are complete; before that an error, or the end of ctx,
// leaves dest as it was. Files are readable by all and writable by their owner.
//
// A file that is there with the medium's size and time is not read. At the end the
// medium's fingerprint is added to the file .fingerprint of dest.
func Copy(ctx context.Context, m *Medium, dest string, o CopyOptions) (result CopyResult, err error) {
	if dest, err = filepath.Abs(dest); err != nil {
		return result, err
	}
	dest = realPath(dest)
	if result.InPlace, err = m.isAt(dest); err != nil || result.InPlace {
		return result, err
	}
	parent := filepath.Dir(dest)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return result, fmt.Errorf("copying to %s: %w", dest, err)
	}
	unlock, err := lock(ctx, parent)
	if err != nil {
		return result, fmt.Errorf("copying to %s: %w", dest, err)
	}
	defer unlock()
	c := &copier{medium: m, dest: dest, stage: filepath.Join(parent, "."+filepath.Base(dest)+".partial"), options: o}
	if err := c.run(ctx); err != nil {
		if ctx.Err() != nil {
			return result, ctx.Err()
		}
		return result, fmt.Errorf("copying %s to %s: %w", m.Path, dest, err)
	}
	return c.result, nil
}

// isAt tells whether a medium that is a directory is dest, a path without links; it must not be above or
// below it.
func (m *Medium) isAt(dest string) (bool, error) {
	if m.Format != Directory {
		return false, nil
	}
	from, err := filepath.EvalSymlinks(m.Path)
	if err != nil {
		return false, err
	}
	if from, err = filepath.Abs(from); err != nil {
		return false, err
	}
	if from == dest {
		return true, nil
	}
	for _, pair := range [][2]string{{from, dest}, {dest, from}} {
		if rel, err := filepath.Rel(pair[0], pair[1]); err == nil && filepath.IsLocal(rel) {
			return false, fmt.Errorf("copying %s to %s: one lies in the other", m.Path, dest)
		}
	}
	return false, nil
}

// realPath is a path without symbolic links, as far as there is something.
func realPath(name string) string {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		return real
	}
	if parent := filepath.Dir(name); parent != name {
		return filepath.Join(realPath(parent), filepath.Base(name))
	}
	return name
}

// lock keeps others from copying into directories of parent; it waits for them.
func lock(ctx context.Context, parent string) (unlock func(), err error) {
	f, err := os.Open(parent)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("locking %s: %w", parent, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// copier copies one medium.
type copier struct {
	medium      *Medium
	dest, stage string
	options     CopyOptions
	result      CopyResult

	fresh   bool      // there is no dest yet
	entries []planned // that are to be copied, directories before what is in them
	names   []string  // of all files, for the fingerprint
	dirs    []planned // all directories
	to      *os.Root  // dest; nil if it is fresh
	staged  *os.Root  // stage
	total   int64     // bytes to be copied
	buffer  [1 << 20]byte
}

// planned is a file of the medium.
type planned struct {
	name string
	info fs.FileInfo
}

func (c *copier) run(ctx context.Context) (err error) {
	_, err = os.Lstat(c.dest)
	c.fresh = errors.Is(err, fs.ErrNotExist)
	if !c.fresh {
		if c.to, err = os.OpenRoot(c.dest); err != nil {
			return err
		}
		defer c.to.Close()
	}
	if err := c.plan(ctx); err != nil {
		return err
	}
	// What is there is of a copy that was killed: the lock is ours.
	if err := os.RemoveAll(c.stage); err != nil {
		return err
	}
	if len(c.entries) > 0 || c.fresh {
		if err := c.checkSpace(); err != nil {
			return err
		}
		if err := errors.Join(os.Mkdir(c.stage, 0o755), os.Chmod(c.stage, 0o755)); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(c.stage)) }()
		if err := c.write(ctx); err != nil {
			return err
		}
	}
	return c.commit()
}

// plan finds what is to be copied.
func (c *copier) plan(ctx context.Context) error {
	return fs.WalkDir(c.medium.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || name == "." || name == fingerprintFile {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch info.Mode().Type() {
		case fs.ModeDir:
			c.dirs = append(c.dirs, planned{name, info})
		case 0:
			c.names = append(c.names, name)
		case fs.ModeSymlink:
			c.names = append(c.names, name)
			target, err := c.medium.Files.ReadLink(name)
			if err == nil {
				err = checkLink(c.medium.Files, name, target)
			}
			if err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s is neither a file nor a directory nor a symbolic link", name)
		}
		needed, err := c.needed(name, info)
		if err == nil && needed && !d.IsDir() {
			c.entries = append(c.entries, planned{name, info})
			c.total += info.Size()
		}
		return err
	})
}

// needed tells whether a file is to be written, and refuses what cannot be.
func (c *copier) needed(name string, info fs.FileInfo) (bool, error) {
	if c.fresh {
		return true, nil
	}
	old, err := c.to.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil:
		return false, err
	case old.IsDir() != info.IsDir():
		return false, fmt.Errorf("%s is a %s on the medium and a %s at the destination: remove it there", name, kindOf(info), kindOf(old))
	case info.IsDir():
		return true, nil
	case c.same(name, old, info):
		c.result.Same++
		return false, nil
	case c.options.KeepFiles:
		c.result.Kept++
		return false, nil
	}
	return true, nil
}

func kindOf(info fs.FileInfo) string {
	switch {
	case info.IsDir():
		return "directory"
	case info.Mode().Type() == fs.ModeSymlink:
		return "symbolic link"
	}
	return "file"
}

// same tells whether what is at the destination came from the medium.
func (c *copier) same(name string, old, info fs.FileInfo) bool {
	if old.Mode().Type() != info.Mode().Type() {
		return false
	}
	if info.Mode().Type() == fs.ModeSymlink {
		was, err := c.to.Readlink(name)
		target, err2 := c.medium.Files.ReadLink(name)
		return err == nil && err2 == nil && was == target
	}
	return old.Size() == info.Size() && old.ModTime().Equal(info.ModTime())
}

// checkSpace refuses to begin what cannot end. What is replaced stays until then.
func (c *copier) checkSpace() error {
	var st unix.Statfs_t
	parent := filepath.Dir(c.dest)
	if err := unix.Statfs(parent, &st); err != nil {
		return fmt.Errorf("asking for the free space of %s: %w", parent, err)
	}
	var needed int64
	for _, p := range c.entries {
		needed += (p.info.Size() + st.Bsize - 1) / st.Bsize * st.Bsize
		if needed < 0 {
			needed = 1<<63 - 1
			break
		}
	}
	if free := int64(st.Bavail) * st.Bsize; needed > free {
		return fmt.Errorf("%d MiB are needed in %s and %d MiB are free", (needed+1<<20-1)>>20, parent, free>>20)
	}
	return nil
}

// write writes what is to be copied into the stage.
func (c *copier) write(ctx context.Context) (err error) {
	if c.staged, err = os.OpenRoot(c.stage); err != nil {
		return err
	}
	defer c.staged.Close()
	if c.fresh {
		for _, d := range c.dirs {
			if err := makeDir(c.staged, d.name); err != nil {
				return err
			}
		}
	}
	for _, p := range c.entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.staged.MkdirAll(path.Dir(p.name), 0o755); err != nil {
			return err
		}
		if p.info.Mode().Type() == fs.ModeSymlink {
			err = c.writeLink(p.name)
		} else {
			err = c.writeFile(ctx, p)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		c.result.Copied++
	}
	d, err := c.staged.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd())) // so that a place is taken only by what is on the disk
}

// makeDir makes a directory that all may read, whatever the umask.
func makeDir(root *os.Root, name string) error {
	if err := root.Mkdir(name, 0o755); err != nil {
		return err
	}
	return root.Chmod(name, 0o755)
}

func (c *copier) writeLink(name string) error {
	target, err := c.medium.Files.ReadLink(name)
	if err != nil {
		return err
	}
	return c.staged.Symlink(target, name)
}

func (c *copier) writeFile(ctx context.Context, p planned) (err error) {
	from, err := c.medium.Files.Open(p.name)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := c.staged.OpenFile(p.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := to.Close(); err == nil {
			err = cerr
		}
		if err == nil {
			err = c.staged.Chtimes(p.name, p.info.ModTime(), p.info.ModTime())
		}
	}()
	var copied int64
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, rerr := from.Read(c.buffer[:])
		if _, err := to.Write(c.buffer[:n]); err != nil {
			return err
		}
		copied += int64(n)
		c.result.Bytes += int64(n)
		if c.options.Progress != nil && n > 0 {
			c.options.Progress(c.result.Bytes, c.total)
		}
		if errors.Is(rerr, io.EOF) {
			break
		}
		if rerr != nil {
			return rerr
		}
	}
	if copied != p.info.Size() {
		return fmt.Errorf("%d bytes were read of %d", copied, p.info.Size())
	}
	return to.Chmod(p.info.Mode().Perm()&^0o022 | 0o644)
}
