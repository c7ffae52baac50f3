package extract

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"golang.org/x/sys/unix"
)

// xattrRecord starts the names of the PAX records that are extended attributes.
const xattrRecord = "SCHILY.xattr."

// tarBlock is what everything in a tar is a multiple of.
const tarBlock = 512

// tarball reads a tar with what POSIX.1-2001 and GNU tar put in it.
type tarball struct {
	in  *counter
	tar *tar.Reader
	e   entry
	buf []byte
	at  int64 // where the next header starts
}

// counter counts what the reader of tar takes.
type counter struct {
	s *source
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.s.Read(p)
	c.n += int64(n)
	return n, err
}

func newTarball(s *source) *tarball {
	in := &counter{s: s}
	return &tarball{in: in, tar: tar.NewReader(in), buf: make([]byte, 256<<10)}
}

// next returns the next entry, which is valid until the next call, and io.EOF at
// the archive's end.
func (r *tarball) next() (*entry, error) {
	for {
		if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{r.tar}, r.buf); err != nil {
			return nil, err
		}
		r.at = (r.in.n + tarBlock - 1) / tarBlock * tarBlock
		h, err := r.tar.Next()
		if errors.Is(err, io.EOF) {
			return nil, r.end()
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		if err := r.fill(h); err != nil {
			return nil, fmt.Errorf("%q: %w", h.Name, err)
		}
		return &r.e, nil
	}
}

// end tells the end of the archive, two blocks of zeros, from the end of its
// bytes, which archive/tar takes for the same.
func (r *tarball) end() error {
	if r.in.n <= r.at {
		return errNoTrailer
	}
	if err := r.in.s.onlyZeros(); err != nil {
		return err
	}
	return io.EOF
}

func (r *tarball) fill(h *tar.Header) (err error) {
	r.e = entry{size: h.Size}
	e := &r.e
	if e.name, err = clean(h.Name); err != nil {
		return err
	}
	if e.mtime, err = unix.TimeToTimespec(h.ModTime); err != nil {
		return err
	}
	if e.mode, err = tarMode(h); err != nil {
		return err
	}
	for _, v := range []int64{int64(h.Uid), int64(h.Gid), h.Devmajor, h.Devminor} {
		if v < 0 || v > math.MaxUint32 {
			return fmt.Errorf("its header has the number %d, which Linux has no room for", v)
		}
	}
	e.uid, e.gid, e.major, e.minor = h.Uid, h.Gid, uint32(h.Devmajor), uint32(h.Devminor) //nolint:gosec // checked
	switch h.Typeflag {
	case tar.TypeSymlink:
		e.target = h.Linkname
	case tar.TypeLink:
		if e.link, err = clean(h.Linkname); err != nil {
			return fmt.Errorf("a link to %q: %w", h.Linkname, err)
		}
	}
	for key, value := range h.PAXRecords {
		if attr, ok := strings.CutPrefix(key, xattrRecord); ok {
			if e.xattrs == nil {
				e.xattrs = map[string]string{}
			}
			e.xattrs[attr] = value
		}
	}
	return nil
}

// tarMode is the file's st_mode.
func tarMode(h *tar.Header) (uint32, error) {
	mode := uint32(h.Mode & 0o7777) //nolint:gosec // of twelve bits
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont, tar.TypeLink:
		return mode | unix.S_IFREG, nil
	case tar.TypeDir:
		return mode | unix.S_IFDIR, nil
	case tar.TypeSymlink:
		return mode | unix.S_IFLNK, nil
	case tar.TypeChar:
		return mode | unix.S_IFCHR, nil
	case tar.TypeBlock:
		return mode | unix.S_IFBLK, nil
	case tar.TypeFifo:
		return mode | unix.S_IFIFO, nil
	}
	return 0, fmt.Errorf("a tar entry of the unknown type %q", string(h.Typeflag))
}

func (r *tarball) body() content { return tarBody{r} }

// complete: an end without a trailer is an error.
func (*tarball) complete() bool { return true }

// tarBody is the content of the entry that was read last.
type tarBody struct{ r *tarball }

func (b tarBody) next() ([]byte, error) {
	n, err := io.ReadFull(b.r.tar, b.r.buf)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) && n > 0 {
		err = nil // tar's own end of a file; where the archive is cut, its reader says so next time
	}
	return b.r.buf[:n], err
}

var _ archiveReader = &tarball{}
