package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/pgzip"
)

// Progress is told of bytes done and in all.
type Progress func(done, total int64)

// blockSize is how much is compressed at a time: it decides on the bytes that come
// out, so that it is the same on every machine.
const blockSize = 1 << 20

// Write writes the bundle: the same files give the same bytes. What lies in a
// bundle is mostly packed already, so that it is compressed as fast as can be.
func (p *Plan) Write(ctx context.Context, w io.Writer, progress Progress) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("writing the bundle of %s: %w", p.Manifest.Name(), err)
		}
	}()
	z, err := pgzip.NewWriterLevel(w, pgzip.BestSpeed)
	if err != nil {
		return err
	}
	if err := z.SetConcurrency(blockSize, 4); err != nil {
		return err
	}
	out := &archive{tar: tar.NewWriter(z), ctx: ctx.Err, progress: progress}
	return errors.Join(out.write(p), z.Close())
}

// archive is a bundle's tar as it is written.
type archive struct {
	tar      *tar.Writer
	ctx      func() error
	progress Progress
	done     int64
	total    int64
}

func (a *archive) write(p *Plan) error {
	newest, err := a.measure(p)
	if err != nil {
		return err
	}
	var manifest bytes.Buffer
	if err := p.Manifest.Write(&manifest); err != nil {
		return err
	}
	top := bundleDir(p.Manifest.Name())
	if err := a.dir(top, newest); err != nil {
		return err
	}
	h := header(path.Join(top, ManifestName), newest)
	h.Size = int64(manifest.Len())
	if err := a.tar.WriteHeader(h); err != nil {
		return err
	}
	if _, err := manifest.WriteTo(a.tar); err != nil {
		return err
	}
	dirs := slices.Sorted(maps.Keys(p.dirs))
	for _, dir := range dirs {
		if dir == "extra" && len(dirs) == 1 {
			continue
		}
		if err := a.dir(path.Join(top, dir), newest); err != nil {
			return err
		}
	}
	for _, one := range p.members {
		if err := a.file(path.Join(top, one.name), one.file); err != nil {
			return err
		}
	}
	return a.tar.Close()
}

// bundleDir is the directory of an image's bundle: as xCAT has it, without spaces.
func bundleDir(name string) string { return strings.Join(strings.Fields(name), "_") }

// measure adds up what there is to do, and returns the time of the newest file,
// which what has no time of its own gets.
func (a *archive) measure(p *Plan) (newest time.Time, err error) {
	newest = time.Unix(0, 0)
	for _, one := range p.members {
		info, err := os.Stat(one.file)
		if err != nil {
			return newest, err
		}
		a.total += info.Size()
		if t := info.ModTime().Truncate(time.Second); t.After(newest) {
			newest = t
		}
	}
	return newest, nil
}

func header(name string, when time.Time) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, ModTime: when.Truncate(time.Second), Uname: "root", Gname: "root"}
}

func (a *archive) dir(name string, when time.Time) error {
	h := header(name+"/", when)
	h.Typeflag, h.Mode = tar.TypeDir, 0o755
	return a.tar.WriteHeader(h)
}

func (a *archive) file(name, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h := header(name, info.ModTime())
	h.Size = info.Size()
	if info.Mode()&0o111 != 0 {
		h.Mode = 0o755
	}
	if err := a.tar.WriteHeader(h); err != nil {
		return err
	}
	n, err := io.Copy(a.tar, &counter{f, a})
	if errors.Is(err, tar.ErrWriteTooLong) || err == nil && n != h.Size {
		return fmt.Errorf("%s has changed while it was read", file)
	}
	return err
}

// counter tells of what is read, and stops when it is told to.
type counter struct {
	r io.Reader
	a *archive
}

func (c *counter) Read(p []byte) (int, error) {
	if err := c.a.ctx(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.a.done += int64(n)
	if c.a.progress != nil {
		c.a.progress(c.a.done, c.a.total)
	}
	return n, err
}
