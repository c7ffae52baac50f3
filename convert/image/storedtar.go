package image

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync"

	"github.com/klauspost/compress/gzip"

	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/tarsplit"
)

// storedTar is the plain tar of a layer that a local store keeps as a directory
// and a record. Nothing is copied: a read of a header comes from the record, a
// read of a body from the file. It is the same tar, to the byte, that a registry
// would give. The record is read when the tar is first read: who knows already
// what is in the layer and asks for files alone does without.
type storedTar struct {
	layer   string       // what messages call it
	dir     *os.File     // the layer's directory; held, so that its name may change
	packed  packedRecord // the record, by gzip
	size    int64        // of the tar, as the store says; < 0: as the record says
	release func() error // gives the directory back to the store; nil: nothing to give

	parse     sync.Once
	record    *tarsplit.Record
	recordErr error
}

var (
	_ Tar                 = (*storedTar)(nil)
	_ rootfs.HeaderReader = (*storedTar)(nil)
	_ rootfs.FileReader   = (*storedTar)(nil)
)

// packedRecord is the file of a record.
type packedRecord interface {
	io.ReaderAt
	io.Closer
}

// openStoredTar takes over the packed record of the layer whose files are in dir.
func openStoredTar(layer, dir string, packed packedRecord, size int64) (*storedTar, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, errors.Join(err, packed.Close())
	}
	t := &storedTar{layer: layer, dir: d, packed: packed, size: size}
	if size < 0 {
		if _, err := t.load(); err != nil {
			return nil, errors.Join(err, t.Close())
		}
		t.size = t.record.Size
	}
	return t, nil
}

// load reads the record, once.
func (t *storedTar) load() (*tarsplit.Record, error) {
	t.parse.Do(func() {
		packed := io.NewSectionReader(t.packed, 0, math.MaxInt64)
		plain, err := gzip.NewReader(bufio.NewReaderSize(packed, 256<<10))
		if err != nil {
			t.recordErr = fmt.Errorf("reading the record of its tar: %w", noEOF(err))
			return
		}
		t.record, t.recordErr = tarsplit.Read(plain)
		if t.recordErr == nil && t.size >= 0 && t.record.Size != t.size {
			t.recordErr = fmt.Errorf("the record of its tar has %d bytes, and the store says %d", t.record.Size, t.size)
		}
	})
	return t.record, t.recordErr
}

// ReadAt implements io.ReaderAt; any number may read at a time.
func (t *storedTar) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	r, err := t.load()
	if err != nil {
		return 0, err
	}
	done := 0
	for i := r.Find(off); done < len(p) && i < len(r.Pieces); i++ {
		at := &r.Pieces[i]
		inside := off + int64(done) - at.Off
		want := min(int64(len(p)-done), at.Size-inside)
		n, err := t.readPiece(p[done:done+int(want)], at, inside)
		done += n
		if err != nil {
			return done, err
		}
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// Headers implements rootfs.HeaderReader: to index a layer opens none of its
// files. The record, which is as large as all headers, goes when nobody has the
// reader any more; a later ReadAt reads it again.
func (t *storedTar) Headers() io.ReaderAt {
	return storedHeaders{&storedTar{layer: t.layer, dir: t.dir, packed: t.packed, size: t.size}}
}

type storedHeaders struct{ *storedTar }

// ReadAt implements io.ReaderAt.
func (h storedHeaders) ReadAt(p []byte, off int64) (int, error) {
	r, err := h.load()
	if err == nil && len(p) == 1 && off >= 0 {
		i := r.Find(off)
		if i < len(r.Pieces) && r.Pieces[i].Name != "" && off == r.Pieces[i].Off+r.Pieces[i].Size-1 {
			p[0] = 0
			return 1, nil
		}
	}
	return h.storedTar.ReadAt(p, off)
}

func (t *storedTar) readPiece(p []byte, at *tarsplit.Piece, inside int64) (int, error) {
	if at.Name == "" {
		return copy(p, at.Raw[inside:]), nil
	}
	n, err := t.ReadFileAt(at.Name, p, inside)
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("reading %q of layer %s in the store, which should have %d bytes: %w", at.Name, t.layer, at.Size, io.ErrUnexpectedEOF)
	}
	return n, err
}

// noEOF keeps a short file from looking like the end of the tar.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Close releases the layer's directory.
func (t *storedTar) Close() error {
	err := errors.Join(t.dir.Close(), t.packed.Close())
	if t.release != nil {
		err = errors.Join(err, t.release())
	}
	return err
}
