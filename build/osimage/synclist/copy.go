package synclist

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// copy copies one source of a rule.
func (a *applier) copy(ctx context.Context, p planned, source string) error {
	info, err := os.Stat(source)
	if err != nil {
		return fmt.Errorf("reading the source: %w", err)
	}
	name := filepath.Base(source)
	dest := path.Clean(p.Dest)
	switch {
	case info.IsDir() && strings.HasSuffix(source, "/"): // what is in it
	case p.IntoDir(), a.tree.isDir(dest) && (!info.IsDir() || path.Base(dest) != name):
		dest = path.Join(dest, name)
	}
	return a.node(ctx, source, dest, nil)
}

// node copies a file, or a directory with all that is in it; above are the
// directories that it is in.
func (a *applier) node(ctx context.Context, source, dest string, above []os.FileInfo) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	info, err := os.Stat(source)
	switch {
	case os.IsNotExist(err):
		return fmt.Errorf("%s is a symlink to what is not on this machine", source)
	case err != nil:
		return fmt.Errorf("reading the source: %w", err)
	case info.Mode().IsRegular():
		return a.file(ctx, source, dest)
	case !info.IsDir():
		return fmt.Errorf("%s is a device, a pipe or a socket, and only files and directories are copied", source)
	case slices.ContainsFunc(above, func(dir os.FileInfo) bool { return os.SameFile(dir, info) }):
		return fmt.Errorf("%s is a symlink to a directory that it is in", source)
	}
	entries, err := os.ReadDir(source)
	if err != nil {
		return fmt.Errorf("reading the source: %w", err)
	}
	if dest != "/" && !a.tree.isDir(dest) {
		if _, err := a.tree.stat(dest); err == nil {
			return fmt.Errorf("%s is a file in the image, and directory %s was to take its place", dest, source)
		}
	}
	dir, err := a.tree.dir(dest)
	if err != nil {
		return err
	}
	defer dir.Close()
	for _, e := range entries {
		if err := a.node(ctx, filepath.Join(source, e.Name()), path.Join(dest, e.Name()), append(above, info)); err != nil {
			return err
		}
	}
	from, err := os.Open(source)
	if err != nil {
		return fmt.Errorf("reading the source: %w", err)
	}
	defer from.Close()
	if err := a.like(dir, from, dest); err != nil {
		return fmt.Errorf("making directory %s of the image: %w", dest, err)
	}
	return nil
}

func (a *applier) file(ctx context.Context, source, dest string) error {
	// What has become a pipe meanwhile must not hold anybody up.
	from, err := os.OpenFile(source, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("reading the source: %w", err)
	}
	defer from.Close()
	if info, err := from.Stat(); err != nil || !info.Mode().IsRegular() {
		return errors.Join(fmt.Errorf("%s is no regular file any more", source), err)
	}
	r := &counter{ctx: ctx, r: from}
	err = a.tree.replace(dest, r, func(f *os.File) error { return a.like(f, from, dest) })
	if err == nil {
		a.report.Files++
		a.report.Bytes += r.n
	}
	return err
}

// counter reads until its context ends.
type counter struct {
	ctx context.Context //nolint:containedctx // a reader has no other way to learn of it
	r   io.Reader
	n   int64
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
