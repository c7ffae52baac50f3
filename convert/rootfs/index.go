package rootfs

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

// Kind says what an entry does to the tree that the layers below it made.
type Kind uint8

// The kinds of entries of a layer.
const (
	Add      Kind = iota // a file of any type, new or in place of another
	Link                 // one more name for the file that Target names
	Whiteout             // hides Path of the layers below
	Opaque               // hides all that the layers below hold in the directory Path
)

// Entry is what a layer says about one path.
type Entry struct {
	Path   string // relative and clean; "." is the root
	Kind   Kind
	Inode  *Inode // of Add
	Target string // of Link, relative and clean
}

// Index is a layer's table of contents, in the layer's own order.
type Index struct {
	Layer   string // what messages call it: a digest or a diffID
	Entries []Entry
}

// The names of whiteouts (OCI image-spec, layer.md, "Whiteouts").
const (
	whiteoutPrefix = ".wh."
	opaqueName     = ".wh..wh..opq"
	metaPrefix     = ".wh..wh." // aufs's own book-keeping, which no runtime unpacks
)

const xattrPrefix = "SCHILY.xattr."

// Layer is where the bytes of a layer are.
type Layer struct {
	Name string      // what messages call it: a digest or a diffID
	Key  string      // names its bytes for ever, whoever reads them; "": nothing does
	Tar  io.ReaderAt // its plain tar, which any number may read at once
	Size int64       // of the plain tar, in bytes

	// Files, where it is set, reads the regular files of the layer by their
	// paths: a quicker way to the bodies that are in Tar.
	Files FileReader
}

// FileReader reads files by their paths, as [io.ReaderAt] does.
type FileReader interface {
	ReadFileAt(path string, p []byte, off int64) (int, error)
}

// HeaderReader is a tar whose headers can be read without touching the bodies.
type HeaderReader interface {
	// Headers is the tar, but the last byte of a file, which a tar reader asks for
	// to know that the file is whole, may read as anything.
	Headers() io.ReaderAt
}

// IndexTar reads the headers of a layer's plain tar and skips its bodies. The
// index keeps the layer, which must stay readable. An entry that cannot be kept
// (a path out of the tree, an unknown type, a number that no file system holds)
// is an error with its layer and name.
func IndexTar(ctx context.Context, l Layer) (*Index, error) {
	layer := l.Name
	x := &indexer{index: &Index{Layer: layer}, layer: &l}
	headers := l.Tar
	if h, ok := l.Tar.(HeaderReader); ok {
		headers = h.Headers()
	}
	sr := io.NewSectionReader(headers, 0, l.Size)
	tr := tar.NewReader(sr)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return x.index, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading layer %s after %s: %w", layer, x.last(), err)
		}
		body, err := sr.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, fmt.Errorf("reading layer %s: %w", layer, err)
		}
		if err := x.add(hdr, body); err != nil {
			return nil, fmt.Errorf("layer %s: entry %q: %w", layer, hdr.Name, err)
		}
	}
}

// indexer turns headers into entries and keeps where the next header starts, as
// far as that is known: the stored size of a sparse file is not.
type indexer struct {
	index   *Index
	layer   *Layer
	restart int64
	skip    int
}

func (x *indexer) last() string {
	if n := len(x.index.Entries); n > 0 {
		return fmt.Sprintf("%q", x.index.Entries[n-1].Path)
	}
	return "its start"
}

func (x *indexer) add(hdr *tar.Header, body int64) error {
	name, err := cleanName(hdr.Name)
	content := x.place(hdr, name, body)
	if hdr.Typeflag == tar.TypeXGlobalHeader { // settings for the headers that follow, not a file
		return nil
	}
	if err != nil {
		return err
	}
	if entry, skip, err := markerEntry(name); err != nil || skip || entry != nil {
		if entry != nil {
			x.index.Entries = append(x.index.Entries, *entry)
		}
		return err
	}
	if hdr.Typeflag == tar.TypeLink {
		target, err := cleanName(hdr.Linkname)
		if err != nil {
			return fmt.Errorf("hard link to %q: %w", hdr.Linkname, err)
		}
		x.index.Entries = append(x.index.Entries, Entry{Path: name, Kind: Link, Target: target})
		return nil
	}
	in, err := inodeOf(hdr)
	if err != nil {
		return err
	}
	if in.Type() == TypeRegular {
		in.content = content
	}
	if name == "." && !in.IsDir() {
		return errors.New("the root is not a directory")
	}
	if isOverlayWhiteout(in) {
		x.index.Entries = append(x.index.Entries, Entry{Path: name, Kind: Whiteout})
		return nil
	}
	opaque, err := dropOverlayXattrs(in)
	if err != nil {
		return err
	}
	if opaque {
		x.index.Entries = append(x.index.Entries, Entry{Path: name, Kind: Opaque})
	}
	x.index.Entries = append(x.index.Entries, Entry{Path: name, Kind: Add, Inode: in})
	return nil
}

// place says where the body of hdr is and remembers where the next header starts.
func (x *indexer) place(hdr *tar.Header, name string, body int64) content {
	if isSparse(hdr) {
		c := sparse{layer: x.layer, restart: x.restart, skip: x.skip}
		x.skip++
		return c
	}
	var stored int64
	if hdr.Typeflag == tar.TypeReg || hdr.Typeflag == tar.TypeCont {
		stored = hdr.Size
	}
	const block = 512 // after a global header not even body is a multiple of it
	x.restart, x.skip = (body+stored+block-1)/block*block, 0
	return section{x.layer, name, body, stored}
}

func isSparse(hdr *tar.Header) bool {
	if hdr.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for k := range hdr.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// markerEntry recognises whiteouts; skip is for aufs's own files.
func markerEntry(name string) (entry *Entry, skip bool, err error) {
	dir, base := splitName(name)
	switch {
	case base == opaqueName:
		return &Entry{Path: dir, Kind: Opaque}, false, nil
	case strings.HasPrefix(base, metaPrefix) || strings.HasPrefix(name, metaPrefix):
		return nil, true, nil
	case !strings.HasPrefix(base, whiteoutPrefix):
		return nil, false, nil
	}
	hidden := strings.TrimPrefix(base, whiteoutPrefix)
	if hidden == "" || hidden == "." || hidden == ".." {
		return nil, false, errors.New("a whiteout of no name")
	}
	return &Entry{Path: joinName(dir, hidden), Kind: Whiteout}, false, nil
}

// inodeOf takes a header's metadata; each type that a layer may hold is named.
func inodeOf(hdr *tar.Header) (*Inode, error) {
	in := &Inode{Mode: uint32(hdr.Mode) & 0o7777, ModTime: hdr.ModTime} //nolint:gosec // masked
	switch hdr.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		in.Mode |= TypeRegular
		in.Size = hdr.Size
	case tar.TypeDir:
		in.Mode |= TypeDir
	case tar.TypeSymlink:
		in.Mode = TypeSymlink | 0o777 // symlink(7): its permissions are always these
		in.Target = hdr.Linkname
	case tar.TypeChar:
		in.Mode |= TypeChar
	case tar.TypeBlock:
		in.Mode |= TypeBlock
	case tar.TypeFifo:
		in.Mode |= TypeFIFO
	default:
		return nil, fmt.Errorf("unknown tar entry type %q", string(hdr.Typeflag))
	}
	if in.Type() == TypeSymlink && (in.Target == "" || strings.ContainsRune(in.Target, 0)) {
		return nil, fmt.Errorf("symlink to %q", in.Target)
	}
	if len(in.Target) >= pathMax {
		return nil, fmt.Errorf("symlink to %d bytes, and Linux takes %d", len(in.Target), pathMax-1)
	}
	var err error
	if in.UID, err = number("uid", int64(hdr.Uid), maxID); err != nil {
		return nil, err
	}
	if in.GID, err = number("gid", int64(hdr.Gid), maxID); err != nil {
		return nil, err
	}
	if in.Type() == TypeChar || in.Type() == TypeBlock {
		if in.Major, err = number("device major", hdr.Devmajor, maxMajor); err != nil {
			return nil, err
		}
		if in.Minor, err = number("device minor", hdr.Devminor, maxMinor); err != nil {
			return nil, err
		}
	}
	for k, v := range hdr.PAXRecords {
		if attr, ok := strings.CutPrefix(k, xattrPrefix); ok {
			if attr == "" {
				return nil, errors.New("an extended attribute without a name")
			}
			if in.Xattrs == nil {
				in.Xattrs = map[string]string{}
			}
			in.Xattrs[attr] = v
		}
	}
	return in, nil
}

// The largest numbers that Linux has; chown(2) takes an owner of 2^32-1 for "leave it".
const (
	maxID    = math.MaxUint32 - 1
	maxMajor = 1<<12 - 1 // include/linux/kdev_t.h
	maxMinor = 1<<20 - 1
)

func number(what string, v, highest int64) (uint32, error) {
	if v < 0 || v > highest {
		return 0, fmt.Errorf("%s %d is out of range", what, v)
	}
	return uint32(v), nil //nolint:gosec // checked
}
