package netboot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/convert/ctxio"
)

// Output is a file of a new version while it is written. It is hashed on the
// way, and read back before Finish says that it is good.
type Output struct {
	f      *os.File
	file   File // name, size and, once finished, digest
	sum    hash.Hash
	blocks []block // what to expect when it is read back
	table  *crc32.Table
}

// block is a run of bytes as they were given to Write.
type block struct {
	off int64
	len int
	crc uint32
}

// blockSize is up to how many bytes small writes join into one block.
const blockSize = 64 << 10

func newOutput(name string, f *os.File) *Output {
	return &Output{f: f, file: File{Name: name}, sum: sha256.New(), table: crc32.MakeTable(crc32.Castagnoli)}
}

// Parts returns the two things that Write does with the bytes, for a caller that
// does them side by side: the file, and its digest. Each must get all bytes in
// their order.
func (o *Output) Parts() (file, digest io.Writer) { return filePart{o}, o.sum }

type filePart struct{ o *Output }

func (p filePart) Write(b []byte) (int, error) { return p.o.write(b) }

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.hash(p)
	return o.write(p)
}

// Fill has a program write the file, by its path, instead of Write, and reads
// what came of it.
func (o *Output) Fill(ctx context.Context, write func(path string) error) error {
	if err := write(o.f.Name()); err != nil {
		return err
	}
	// The program may have made a file of its own in the place of ours.
	f, err := os.OpenFile(o.f.Name(), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("reading %s back: %w", o.file.Name, err)
	}
	err = errors.Join(o.f.Close(), f.Chmod(0o644))
	o.f = f
	if err != nil {
		return fmt.Errorf("reading %s back: %w", o.file.Name, err)
	}
	r := ctxio.NewReader(ctx, f, nil)
	buf := make([]byte, 1<<20)
	for {
		n, err := r.Read(buf)
		o.hash(buf[:n])
		o.expect(buf[:n])
		o.file.Size += int64(n)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s back: %w", o.file.Name, err)
		}
	}
}

func (o *Output) hash(p []byte) {
	_, _ = o.sum.Write(p)
}

func (o *Output) write(p []byte) (int, error) {
	n, err := o.f.Write(p)
	o.expect(p[:n])
	o.file.Size += int64(n)
	// The disk starts at once: then little is left to wait for at the end.
	_ = unix.SyncFileRange(int(o.f.Fd()), o.file.Size-int64(n), int64(n), unix.SYNC_FILE_RANGE_WRITE)
	return n, err
}

// expect notes what was written; small writes join into one block.
func (o *Output) expect(p []byte) {
	last := len(o.blocks) - 1
	if last >= 0 && o.blocks[last].len+len(p) <= blockSize {
		b := &o.blocks[last]
		b.len += len(p)
		b.crc = crc32.Update(b.crc, o.table, p)
		return
	}
	o.blocks = append(o.blocks, block{o.file.Size, len(p), crc32.Checksum(p, o.table)})
}

// Finish puts the file on the disk, reads it back and returns its entry in the
// manifest. Nothing may be written afterwards. When ctx ends it stops to read; the
// disk takes its time.
func (o *Output) Finish(ctx context.Context) (File, error) {
	var g errgroup.Group
	g.Go(o.f.Sync)
	g.Go(func() error { return o.readBack(ctx) })
	if err := g.Wait(); err != nil {
		return File{}, fmt.Errorf("writing %s: %w", o.file.Name, err)
	}
	o.file.SHA256 = hex.EncodeToString(o.sum.Sum(nil))
	return o.file, nil
}

// readBack finds out what the disk or a full file system has made of the bytes.
func (o *Output) readBack(ctx context.Context) error {
	info, err := o.f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != o.file.Size {
		return fmt.Errorf("it has %d bytes, and %d were written", info.Size(), o.file.Size)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	const together = 64 // blocks
	for blocks := range slices.Chunk(o.blocks, together) {
		g.Go(func() error { return o.checkBlocks(ctx, blocks) })
	}
	return g.Wait()
}

func (o *Output) checkBlocks(ctx context.Context, blocks []block) error {
	buf := make([]byte, 256<<10)
	for _, b := range blocks {
		crc, err := o.checksum(ctx, b, buf)
		if err != nil {
			return fmt.Errorf("reading it back: %w", err)
		}
		if crc != b.crc {
			return fmt.Errorf("its bytes from %d on, read back, are not those that were written", b.off)
		}
	}
	return nil
}

func (o *Output) checksum(ctx context.Context, b block, buf []byte) (crc uint32, err error) {
	for done := 0; done < b.len; {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n := min(len(buf), b.len-done)
		if _, err := o.f.ReadAt(buf[:n], b.off+int64(done)); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		crc = crc32.Update(crc, o.table, buf[:n])
		done += n
	}
	return crc, nil
}

// Close closes the file, finished or not.
func (o *Output) Close() error { return o.f.Close() }
