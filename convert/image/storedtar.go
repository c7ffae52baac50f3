package image

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/tarsplit"
)

// storedTar is the plain tar of a layer that a local store keeps as a directory
// and a record. Nothing is copied: a read of a header comes from the record, a
// read of a body from the file. It is the same tar, to the byte, that a registry
// would give. The record is read when the tar is first read: who knows already
// what is in the layer and asks for files alone does without.
type storedTar struct {
	dir     *os.File      // the layer's directory; held, so that its name may change
	packed  io.ReadCloser // the record, by gzip
	size    int64         // of the tar, as the store says; < 0: as the record says
	release func() error  // gives the directory back to the store; nil: nothing to give

	parse     sync.Once
	record    *tarsplit.Record
	recordErr error
}

// FileOpener is a [Tar] that keeps the regular files of its layer as files too.
// Reading one of them as a whole is quicker than through ReadAt.
type FileOpener interface {
	// OpenFile opens the regular file that the layer holds by that name, relative
	// to its root. The caller closes it, and judges whether it has the size that
	// the layer's header says. Any number may be opened at a time.
	OpenFile(name string) (*os.File, error)
}

var (
	_ Tar        = (*storedTar)(nil)
	_ FileOpener = (*storedTar)(nil)

	_ rootfs.HeaderReader = (*storedTar)(nil)
)

var errNotRegular = errors.New("it is not a regular file there")

// openStoredTar takes over the packed record of a layer whose files are in dir.
func openStoredTar(dir string, packed io.ReadCloser, size int64) (*storedTar, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, errors.Join(err, packed.Close())
	}
	t := &storedTar{dir: d, packed: packed, size: size}
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
		plain, err := gzip.NewReader(bufio.NewReaderSize(t.packed, 256<<10))
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

// Headers implements rootfs.HeaderReader: to index a layer opens none of its files.
func (t *storedTar) Headers() io.ReaderAt { return storedHeaders{t} }

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
	f, err := t.OpenFile(at.Name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n, err := f.ReadAt(p, inside)
	if err != nil {
		return n, fmt.Errorf("reading %q in the store, which should have %d bytes: %w", at.Name, at.Size, noEOF(err))
	}
	return n, nil
}

// noEOF keeps a short file from looking like the end of the tar.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// OpenFile implements FileOpener.
func (t *storedTar) OpenFile(name string) (*os.File, error) {
	f, err := openBeneath(t.dir, name)
	if err != nil {
		return nil, fmt.Errorf("opening %q in the store: %w", name, err)
	}
	return f, nil
}

// openBeneath opens a regular file of the layer as if its directory were the
// root: a symlink that the layer holds must not lead to a file of this machine.
func openBeneath(dir *os.File, name string) (*os.File, error) {
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NONBLOCK, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	name = strings.TrimLeft(name, "/")
	fd, err := unix.Openat2(int(dir.Fd()), name, &how)
	switch {
	case errors.Is(err, unix.ENOSYS): // before Linux 5.6
		return os.OpenInRoot(dir.Name(), name)
	case err != nil:
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, errors.Join(err, errNotRegular, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Close releases the layer's directory.
func (t *storedTar) Close() error {
	err := errors.Join(t.dir.Close(), t.packed.Close())
	if t.release != nil {
		err = errors.Join(err, t.release())
	}
	return err
}
