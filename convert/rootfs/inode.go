package rootfs

import (
	"archive/tar"
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
}

// content gives the bytes of a regular file from their start, each time anew.
type content interface{ open() io.Reader }

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

// NewFile returns a regular file whose bytes are those of r from off on.
func NewFile(mode uint32, r io.ReaderAt, off, size int64) *Inode {
	return &Inode{Mode: TypeRegular | mode&^TypeMask, Size: size, content: section{r, off, size}, ModTime: time.Unix(0, 0)}
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

// section is content that lies in one piece in a plain tar.
type section struct {
	r         io.ReaderAt
	off, size int64
}

func (s section) open() io.Reader { return io.NewSectionReader(s.r, s.off, s.size) }

// sparse is content that a tar stores with holes. It is read through the tar
// reader, which fills them, from the nearest header whose place is known.
type sparse struct {
	r              io.ReaderAt
	restart, limit int64 // where a header starts; the archive's size
	skip           int   // entries between that header and this file's
}

func (s sparse) open() io.Reader {
	tr := tar.NewReader(io.NewSectionReader(s.r, s.restart, s.limit-s.restart))
	for range s.skip + 1 {
		if _, err := tr.Next(); err != nil {
			return errReader{fmt.Errorf("finding a sparse file again: %w", err)}
		}
	}
	return tr
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
		return n, fmt.Errorf("content ends at byte %d of %d: %w", e.want-e.left, e.want, io.ErrUnexpectedEOF)
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
