package convert

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"

	"github.com/rootcast/rootcast/convert/ctxio"
	"github.com/rootcast/rootcast/convert/netboot"
	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/ramdisk"
)

// writeRoot packs the root into a file of its own.
func (c *converter) writeRoot(ctx context.Context, out *netboot.Output) (file netboot.File, err error) {
	o := c.packOptions()
	var info pack.Info
	if c.o.Method.IsArchive() {
		var f io.Writer
		f, o.Also = out.Parts()
		info, err = pack.Archive(ctx, f, c.tree, o)
	} else {
		err = out.Fill(ctx, func(path string) (err error) {
			info, err = pack.Image(ctx, path, c.tree, o)
			return err
		})
	}
	if err != nil {
		return file, err
	}
	if file, err = out.Finish(ctx); err != nil {
		return file, err
	}
	c.describe(&file, info)
	return file, nil
}

func (c *converter) packOptions() pack.Options {
	return pack.Options{
		Method: c.o.Method, Codec: c.o.Compress, Level: c.o.Level, Jobs: c.o.Jobs, Epoch: c.manifest.Epoch, Cache: c.o.Cache,
		Progress: func(done, total int64) { c.o.Report.say("packing", done, total) },
	}
}

// describe notes how the root was packed.
func (c *converter) describe(file *netboot.File, info pack.Info) {
	file.Method, file.Compress, file.Level, file.Made = string(c.o.Method), string(c.o.Compress), c.o.Level, info.Made
	file.Entries, file.Unpacked, file.Segments = info.Entries, info.Unpacked, info.Segments
}

// writeParts writes the root as parts of a ramdisk, whose first offset bytes are written.
func (c *converter) writeParts(ctx context.Context, stage *netboot.Stage, out io.Writer, offset int64) (pack.Info, *netboot.RootPart, error) {
	parts := ramdisk.NewWriter(out)
	sum := sha256.New()
	counted := &countWriter{w: io.MultiWriter(parts, sum)}
	var info pack.Info
	var err error
	if c.o.Method.IsArchive() {
		info, err = pack.Archive(ctx, counted, c.tree, c.packOptions())
	} else {
		info, err = c.copyImage(ctx, stage, counted)
	}
	if err = errors.Join(err, parts.Close()); err != nil {
		return info, nil, err
	}
	return info, &netboot.RootPart{Offset: offset, Size: counted.n, SHA256: hex.EncodeToString(sum.Sum(nil))}, nil
}

// copyImage packs the root as a file system, which its tool writes to a file.
func (c *converter) copyImage(ctx context.Context, stage *netboot.Stage, w io.Writer) (info pack.Info, err error) {
	path, err := stage.Scratch()
	if err != nil {
		return info, err
	}
	defer func() { err = errors.Join(err, os.Remove(path)) }()
	if info, err = pack.Image(ctx, path, c.tree, c.packOptions()); err != nil {
		return info, err
	}
	f, err := os.Open(path)
	if err != nil {
		return info, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	_, err = io.CopyBuffer(w, ctxio.NewReader(ctx, f, nil), make([]byte, 1<<20))
	return info, err
}

// countWriter counts what is written.
type countWriter struct {
	w io.Writer
	n int64
}

func (c *countWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
