package netboot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/rootcast/rootcast/convert/ctxio"
)

// Output is a file of a new version while it is written. It is hashed on the
// way, and read back before Finish says that it is good.
type Output struct {
	f      *os.File
	blocks *blocks // of f
	file   File    // name, size and, once finished, digest
	sum    hash.Hash
}

func newOutput(name string, f *os.File) (*Output, error) {
	blocks, err := newBlocks(osFile{f})
	return &Output{f: f, blocks: blocks, file: File{Name: name}, sum: sha256.New()}, err
}

// Parts returns the two things that Write does with the bytes, for a caller that
// does them side by side: the file, and its digest. Each must get all bytes in
// their order.
func (o *Output) Parts() (file, digest io.Writer) { return filePart{o}, o.sum }

type filePart struct{ o *Output }

func (p filePart) Write(b []byte) (int, error) { return p.o.write(b) }

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	_, _ = o.sum.Write(p)
	return o.write(p)
}

func (o *Output) write(p []byte) (int, error) {
	n, err := o.blocks.Write(p)
	o.file.Size += int64(n)
	return n, err
}

// Fill has a program write the file, by its path, instead of Write, and reads
// what came of it.
func (o *Output) Fill(ctx context.Context, write func(path string) error) error {
	path := o.f.Name()
	if err := write(path); err != nil {
		return err
	}
	if err := o.take(ctx, path); err != nil {
		return fmt.Errorf("reading %s back: %w", o.file.Name, err)
	}
	return nil
}

// take reads the file at path, which may be another than ours by now.
func (o *Output) take(ctx context.Context, path string) error {
	made, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = errors.Join(o.Close(), made.Chmod(0o644))
	o.f = made
	if err != nil {
		return err
	}
	blocks, err := newBlocks(osFile{made})
	if err != nil {
		return err
	}
	o.blocks = blocks
	r, err := os.Open(path) // by the page cache, whose bytes the disk's are compared with
	if err != nil {
		return err
	}
	defer r.Close()
	return o.blocks.readFrom(ctxio.NewReader(ctx, r, nil), func(p []byte) {
		_, _ = o.sum.Write(p)
		o.file.Size += int64(len(p))
	})
}

// Finish puts the file on the disk, reads it back and returns its entry in the
// manifest. Nothing may be written afterwards. When ctx ends it stops to read; the
// disk takes its time.
func (o *Output) Finish(ctx context.Context) (File, error) {
	err := o.blocks.finish(ctx)
	if err == nil {
		err = o.checkSize()
	}
	if err != nil {
		return File{}, fmt.Errorf("writing %s: %w", o.file.Name, err)
	}
	o.file.SHA256 = hex.EncodeToString(o.sum.Sum(nil))
	return o.file, nil
}

func (o *Output) checkSize() error {
	info, err := o.f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != o.file.Size {
		return fmt.Errorf("it has %d bytes, and %d were written", info.Size(), o.file.Size)
	}
	return nil
}

// Close closes the file, finished or not.
func (o *Output) Close() error {
	o.blocks.drop()
	return o.f.Close()
}
