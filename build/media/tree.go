package media

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of what an image may hold; distributions stay far below.
const (
	maxEntries   = 4 << 20
	maxDepth     = 200
	maxDirectory = 256 << 20 // bytes of one directory
	maxFile      = 1 << 50   // bytes of one file; more cannot be meant
)

// tree is the files of an image. It is an fs.FS, and as such never changes.
type tree struct {
	image io.ReaderAt
	size  int64 // of the image
	root  *node
	count int
}

// node is a file, a directory or a symbolic link of an image.
type node struct {
	name     string
	mode     fs.FileMode
	modTime  time.Time
	size     int64
	target   string   // of a symbolic link
	extents  []extent // of a file, in order
	children []*node  // of a directory, sorted
}

// extent is a part of a file: bytes of the image, or zeros.
type extent struct {
	at     int64
	length int64
	zeros  bool
}

// addTo puts a node into a directory. The error names no path; refuse adds it.
func (t *tree) addTo(dir, n *node) error {
	if t.count++; t.count > maxEntries {
		return fmt.Errorf("there are more than %d files", maxEntries)
	}
	if err := checkName(n.name); err != nil {
		return err
	}
	dir.children = append(dir.children, n)
	return nil
}

// sortChildren sorts a directory that is complete; a name stands in it once.
func (n *node) sortChildren() error {
	slices.SortFunc(n.children, func(a, b *node) int { return strings.Compare(a.name, b.name) })
	for i := 1; i < len(n.children); i++ {
		if n.children[i].name == n.children[i-1].name {
			return fmt.Errorf("the name %q is there twice", n.children[i].name)
		}
	}
	return nil
}

// checkName refuses what is no name of a file.
func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return fmt.Errorf("a file is called %q", name)
	case strings.ContainsAny(name, "/\x00"):
		return fmt.Errorf("the name %q has a slash or a zero byte in it", name)
	case !utf8.ValidString(name):
		return fmt.Errorf("the name %q is not UTF-8", name)
	case len(name) > 255:
		return fmt.Errorf("the name %.20q… is longer than 255 bytes", name)
	}
	return nil
}

// refused is what an error about a path of a medium says.
func refused(name string, err error) error { return fmt.Errorf("%s: %w", name, err) }

// readExtents reads what is short enough to be held, such as a directory.
func (t *tree) readExtents(list []extent, size int64) ([]byte, error) {
	if size < 0 || size > maxDirectory || size > t.size {
		return nil, fmt.Errorf("it has %d bytes, more than can be", size)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(&fileReader{t: t, extents: list, size: size}, text); err != nil {
		return nil, err
	}
	return text, nil
}

// checkExtent refuses what does not lie in the image.
func (t *tree) checkExtent(e extent) error {
	if e.length < 0 || e.at < 0 || !e.zeros && (e.at > t.size || e.length > t.size-e.at) {
		return fmt.Errorf("%d bytes of it are to be at %d, and the image ends at %d: it is damaged or incomplete", e.length, e.at, t.size)
	}
	return nil
}

// lookup finds a node by its path, without following links.
func (t *tree) lookup(name string) *node {
	n := t.root
	if name == "." {
		return n
	}
	for part := range strings.SplitSeq(name, "/") {
		i, ok := slices.BinarySearchFunc(n.children, part, func(c *node, part string) int { return strings.Compare(c.name, part) })
		if !ok {
			return nil
		}
		n = n.children[i]
	}
	return n
}

// find is lookup for operations of fs.FS.
func (t *tree) find(op, name string) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n := t.lookup(name)
	if n == nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return n, nil
}

// Open opens a file or a directory. Links are followed within the medium.
func (t *tree) Open(name string) (fs.File, error) {
	if _, err := t.find("open", name); err != nil && errors.Is(err, fs.ErrInvalid) {
		return nil, err
	}
	real, err := resolve(t, name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	n, err := t.find("open", real)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if n.mode.IsDir() {
		return &openDir{n: n}, nil
	}
	return &openFile{n: n, fileReader: fileReader{t: t, extents: n.extents, size: n.size}}, nil
}

// Stat describes what a path leads to.
func (t *tree) Stat(name string) (fs.FileInfo, error) {
	f, err := t.Open(name)
	if err != nil {
		return nil, err
	}
	return f.Stat()
}

// Lstat describes a path itself, be it a link.
func (t *tree) Lstat(name string) (fs.FileInfo, error) {
	n, err := t.find("lstat", name)
	if err != nil {
		return nil, err
	}
	return info{n}, nil
}

// ReadLink returns where a link leads.
func (t *tree) ReadLink(name string) (string, error) {
	n, err := t.find("readlink", name)
	if err == nil && n.mode.Type() != fs.ModeSymlink {
		err = &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	if err != nil {
		return "", err
	}
	return n.target, nil
}

// info describes a node.
type info struct{ n *node }

func (i info) Name() string               { return path.Base(i.n.name) }
func (i info) Size() int64                { return i.n.size }
func (i info) Mode() fs.FileMode          { return i.n.mode }
func (i info) Type() fs.FileMode          { return i.n.mode.Type() }
func (i info) ModTime() time.Time         { return i.n.modTime }
func (i info) IsDir() bool                { return i.n.mode.IsDir() }
func (i info) Sys() any                   { return nil }
func (i info) Info() (fs.FileInfo, error) { return i, nil }

// openDir is a directory that is being read.
type openDir struct {
	n    *node
	next int
}

func (d *openDir) Stat() (fs.FileInfo, error) { return info{d.n}, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.n.name, Err: errors.New("it is a directory")}
}

func (d *openDir) ReadDir(count int) ([]fs.DirEntry, error) {
	rest := d.n.children[d.next:]
	if count > 0 && len(rest) > count {
		rest = rest[:count]
	}
	if count > 0 && len(rest) == 0 {
		return nil, io.EOF
	}
	d.next += len(rest)
	list := make([]fs.DirEntry, len(rest))
	for i, n := range rest {
		list[i] = info{n}
	}
	return list, nil
}

// openFile is a file that is being read.
type openFile struct {
	fileReader
	n *node
}

func (f *openFile) Stat() (fs.FileInfo, error) { return info{f.n}, nil }
func (f *openFile) Close() error               { return nil }

// fileReader reads a file's extents one after another.
type fileReader struct {
	t       *tree
	extents []extent
	size    int64 // bytes that are still to come
	within  int64 // bytes of the first extent that were read
}

func (r *fileReader) Read(p []byte) (int, error) {
	for r.size > 0 && len(r.extents) > 0 && r.within == r.extents[0].length {
		r.extents, r.within = r.extents[1:], 0
	}
	if r.size <= 0 {
		return 0, io.EOF
	}
	if len(r.extents) == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	e := r.extents[0]
	p = p[:min(int64(len(p)), r.size, e.length-r.within)]
	n := len(p)
	if e.zeros {
		clear(p)
	} else {
		var err error
		if n, err = r.t.image.ReadAt(p, e.at+r.within); n == 0 && err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
	r.size -= int64(n)
	r.within += int64(n)
	return n, nil
}
