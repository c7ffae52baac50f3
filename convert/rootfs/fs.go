package rootfs

import (
	"io"
	"io/fs"
	"path"
	"time"
)

var (
	_ fs.ReadDirFS  = (*Tree)(nil)
	_ fs.StatFS     = (*Tree)(nil)
	_ fs.ReadLinkFS = (*Tree)(nil)
)

// Open opens a file as a process chrooted into the tree would: symlinks are
// followed and never lead out of it.
func (t *Tree) Open(name string) (fs.File, error) {
	n, err := t.find("open", name, true)
	if err != nil {
		return nil, err
	}
	info := fileInfo{path.Base(name), n.inode}
	if n.inode.IsDir() {
		return &openDir{info: info, entries: n.dirEntries()}, nil
	}
	return &openFile{info: info, r: n.inode.Open()}, nil
}

// Stat describes the file that name leads to.
func (t *Tree) Stat(name string) (fs.FileInfo, error) { return t.stat("stat", name, true) }

// Lstat describes the file called name, a symlink itself among others.
func (t *Tree) Lstat(name string) (fs.FileInfo, error) { return t.stat("lstat", name, false) }

func (t *Tree) stat(op, name string, last bool) (fs.FileInfo, error) {
	n, err := t.find(op, name, last)
	if err != nil {
		return nil, err
	}
	return fileInfo{path.Base(name), n.inode}, nil
}

// ReadLink returns the target of the symlink name.
func (t *Tree) ReadLink(name string) (string, error) {
	n, err := t.find("readlink", name, false)
	if err != nil {
		return "", err
	}
	if n.inode.Type() != TypeSymlink {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return n.inode.Target, nil
}

// ReadDir lists a directory in the order of its names' bytes.
func (t *Tree) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := t.find("readdir", name, true)
	if err != nil {
		return nil, err
	}
	if !n.inode.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errNotDir}
	}
	return n.dirEntries(), nil
}

func (t *Tree) find(op, name string, last bool) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n, err := t.resolve(name, last)
	if err == errNotFound || err == errNotDir { //nolint:errorlint // never wrapped
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return n, nil
}

func (n *node) dirEntries() []fs.DirEntry {
	entries := make([]fs.DirEntry, 0, len(n.children))
	for _, name := range n.sorted() {
		entries = append(entries, fs.FileInfoToDirEntry(fileInfo{name, n.children[name].inode}))
	}
	return entries
}

// FileMode is the inode's mode in Go's terms.
func (in *Inode) FileMode() fs.FileMode {
	mode := fs.FileMode(in.Mode & 0o777)
	for _, b := range []struct {
		bit uint32
		to  fs.FileMode
	}{{0o4000, fs.ModeSetuid}, {0o2000, fs.ModeSetgid}, {0o1000, fs.ModeSticky}} {
		if in.Mode&b.bit != 0 {
			mode |= b.to
		}
	}
	switch in.Type() {
	case TypeDir:
		mode |= fs.ModeDir
	case TypeSymlink:
		mode |= fs.ModeSymlink
	case TypeChar:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	case TypeBlock:
		mode |= fs.ModeDevice
	case TypeFIFO:
		mode |= fs.ModeNamedPipe
	case TypeSocket:
		mode |= fs.ModeSocket
	}
	return mode
}

// fileInfo is an inode under one of its names.
type fileInfo struct {
	name  string
	inode *Inode
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.inode.Size }
func (i fileInfo) Mode() fs.FileMode  { return i.inode.FileMode() }
func (i fileInfo) ModTime() time.Time { return i.inode.ModTime }
func (i fileInfo) IsDir() bool        { return i.inode.IsDir() }
func (i fileInfo) Sys() any           { return i.inode }

type openFile struct {
	info fileInfo
	r    io.Reader
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Read(p []byte) (int, error) { return f.r.Read(p) }
func (f *openFile) Close() error               { return nil }

type openDir struct {
	info    fileInfo
	entries []fs.DirEntry
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }
func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: fs.ErrInvalid}
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(d.entries)
	} else if len(d.entries) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.entries))
	list := d.entries[:n]
	d.entries = d.entries[n:]
	return list, nil
}
