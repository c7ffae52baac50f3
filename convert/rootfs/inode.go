package rootfs

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"
)

// The file types of st_mode, as inode(7) and newc archives have them.
const (
	TypeMask    = 0o170000
	TypeSocket  = 0o140000
	TypeSymlink = 0o120000
	TypeRegular = 0o100000
	TypeBlock   = 0o060000
	TypeDir     = 0o040000
	TypeChar    = 0o020000
	TypeFIFO    = 0o010000
)

// Inode is one file: everything that its names share.
type Inode struct {
	Mode         uint32            // st_mode: type, setuid, setgid, sticky and permission bits
	UID, GID     uint32            // owners
	ModTime      time.Time         // modification time; the epoch where no layer names the directory
	Size         int64             // bytes of a regular file, 0 of all others
	Major, Minor uint32            // of a device
	Target       string            // of a symlink, as it was written
	Xattrs       map[string]string // extended attributes, security.capability among them; nil without

	content content
	names   int
	layer   int // which layer, counted from 1, brought it
}

// content gives the bytes of a regular file.
type content interface {
	// open reads them from their start, each time anew.
	open() io.Reader
	// readRange reads the bytes from off on, as [io.ReaderAt] does.
	readRange(p []byte, off int64) (int, error)
	// hasRanges tells whether readRange reads no more than p.
	hasRanges() bool
	// id names them: a layer and where they are in its plain tar.
	id() (layer string, off int64, ok bool)
}

// Type is the file type: the bits of Mode under [TypeMask].
func (in *Inode) Type() uint32 { return in.Mode & TypeMask }

// IsDir tells whether the inode is a directory.
func (in *Inode) IsDir() bool { return in.Type() == TypeDir }

// Names is the number of hard links that the merged tree holds, 1 for a file
// with one name.
func (in *Inode) Names() int { return in.names }

// Open returns a reader of a regular file's Size bytes; it needs no Close and
// any number of them may be read at the same time.
func (in *Inode) Open() io.Reader {
	if in.content == nil {
		return &exactReader{want: in.Size, left: in.Size, r: eofReader{}}
	}
	return &exactReader{want: in.Size, left: in.Size, r: in.content.open()}
}

// ReadRange fills p with the content of a regular file from off on. It costs less
// than Open where that fits into memory.
func (in *Inode) ReadRange(p []byte, off int64) error {
	if in.content == nil {
		return endsEarly(0, in.Size)
	}
	if off+int64(len(p)) > in.Size { // where another file may lie
		return endsEarly(in.Size, in.Size)
	}
	n, err := in.content.readRange(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return endsEarly(off+int64(n), in.Size)
	}
	return err
}

// HasRanges tells whether ReadRange reads what it is asked for alone, and not all
// that comes before it too.
func (in *Inode) HasRanges() bool { return in.content != nil && in.content.hasRanges() }

// ContentID names the content of a regular file without reading it: the key of
// a layer ([Layer]) and where in the layer's plain tar it is. Files with one ID
// and one size have the same bytes. False: it is not known.
func (in *Inode) ContentID() (layer string, off int64, ok bool) {
	if in.content == nil {
		return "", 0, false
	}
	return in.content.id()
}

// NewFile returns a regular file whose bytes are those of r from off on.
func NewFile(mode uint32, r io.ReaderAt, off, size int64) *Inode {
	return &Inode{Mode: TypeRegular | mode&^TypeMask, Size: size, content: section{&Layer{Tar: r}, "", off, size}, ModTime: time.Unix(0, 0)}
}

// NewText returns a regular file that holds text.
func NewText(mode uint32, text []byte) *Inode {
	in := NewFile(mode, bytes.NewReader(text), 0, int64(len(text)))
	in.content = section{&Layer{Key: fmt.Sprintf("text:%x", sha256.Sum256(text)), Tar: bytes.NewReader(text)}, "", 0, in.Size}
	return in
}

// NewSymlink returns a symbolic link to target.
func NewSymlink(target string) *Inode {
	return &Inode{Mode: TypeSymlink | 0o777, Target: target, ModTime: time.Unix(0, 0)}
}

// newImpliedDir is the directory that no layer names: mode 0755, root's, of the
// epoch, so that every transport and store agrees on it.
func newImpliedDir() *Inode {
	return &Inode{Mode: TypeDir | 0o755, ModTime: time.Unix(0, 0)}
}

// section is content that lies in one piece in a layer's plain tar.
type section struct {
	layer     *Layer
	path      string // by which the layer's Files know it
	off, size int64
}

func (s section) open() io.Reader { return io.NewSectionReader(s.readerAt()) }

func (s section) readerAt() (r io.ReaderAt, off, size int64) {
	if s.layer.Files != nil {
		return fileAt{s.layer.Files, s.path}, 0, s.size
	}
	return s.layer.Tar, s.off, s.size
}

func (s section) id() (layer string, off int64, ok bool) {
	return s.layer.Key, s.off, s.layer.Key != ""
}

func (s section) readRange(p []byte, off int64) (int, error) {
	r, start, _ := s.readerAt()
	return r.ReadAt(p, start+off)
}

func (s section) hasRanges() bool { return true }

// fileAt is a file of a layer, opened for each read.
type fileAt struct {
	files FileReader
	path  string
}

func (f fileAt) ReadAt(p []byte, off int64) (int, error) { return f.files.ReadFileAt(f.path, p, off) }

// sparse is content that a tar stores with holes. It is read through the tar
// reader, which fills them, from the nearest header whose place is known.
type sparse struct {
	layer   *Layer
	restart int64 // where a header starts
	skip    int   // entries between that header and this file's
}

func (s sparse) open() io.Reader {
	tr := tar.NewReader(io.NewSectionReader(s.layer.Tar, s.restart, s.layer.Size-s.restart))
	for range s.skip + 1 {
		if _, err := tr.Next(); err != nil {
			return errReader{fmt.Errorf("finding a sparse file again: %w", err)}
		}
	}
	return tr
}

func (s sparse) readRange(p []byte, off int64) (int, error) {
	r := s.open()
	if _, err := io.CopyN(io.Discard, r, off); err != nil {
		return 0, err
	}
	return io.ReadFull(r, p)
}

func (s sparse) hasRanges() bool { return false }

// id: no other file of the layer starts at that place and skips as many.
func (s sparse) id() (layer string, off int64, ok bool) {
	return s.layer.Key, -(s.restart + int64(s.skip)) - 1, s.layer.Key != ""
}

func endsEarly(at, want int64) error {
	return fmt.Errorf("content ends at byte %d of %d: %w", at, want, io.ErrUnexpectedEOF)
}

// exactReader fails where its source ends early: an archive's header has
// promised the size by then.
type exactReader struct {
	r          io.Reader
	want, left int64
}

func (e *exactReader) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > e.left {
		p = p[:e.left]
	}
	n, err := e.r.Read(p)
	e.left -= int64(n)
	if err == io.EOF && e.left > 0 {
		return n, endsEarly(e.want-e.left, e.want)
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

type eofReader struct{}

func (eofReader) Read([]byte) (int, error) { return 0, io.EOF }
