package convert

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"github.com/rootcast/rootcast/convert/netboot"
	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/spool"
	"github.com/rootcast/rootcast/convert/unpack"
	"github.com/rootcast/rootcast/convert/xattrs"
)

// LoadDir returns the file tree of a rootimgdir's packed root. The contents go
// to a file in tempDir ("": the system's) that has no name; the closer drops it.
func LoadDir(ctx context.Context, dir string, m *netboot.Manifest, tempDir string, report Report) (*rootfs.Tree, io.Closer, error) {
	tree, contents, err := loadDir(ctx, dir, m, tempDir, report)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the root of %s: %w", dir, err)
	}
	return tree, contents, nil
}

func loadDir(ctx context.Context, dir string, m *netboot.Manifest, tempDir string, report Report) (_ *rootfs.Tree, _ io.Closer, err error) {
	f, root, err := packedRoot(ctx, dir, m)
	if err != nil {
		return nil, nil, err
	}
	var done int64
	root.Count = func(n int) {
		done += int64(n)
		report.say("reading "+f.Name, done, f.Unpacked)
	}
	tree, contents, err := loadTree(ctx, root.Path, tempDir, func(f func(*unpack.Entry) error) error { return root.Walk(ctx, f) })
	if err == nil && m.Xattrs != nil {
		if err = restoreXattrs(tree, m.Xattrs.Path); err != nil {
			err = errors.Join(err, contents.Close())
		}
	}
	return tree, contents, err
}

// loadTree makes a tree of the entries that walk comes by.
func loadTree(ctx context.Context, name, tempDir string, walk func(func(*unpack.Entry) error) error) (_ *rootfs.Tree, _ io.Closer, err error) {
	contents, err := spool.File(tempDir)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, contents.Close())
		}
	}()
	l := loader{index: &rootfs.Index{Layer: name}, spool: contents, inodes: map[string]*rootfs.Inode{}}
	if err := walk(l.entry); err != nil {
		return nil, nil, err
	}
	tree, err := rootfs.Merge(ctx, l.index)
	return tree, contents, err
}

// loader turns the entries of a packed root into those of a layer.
type loader struct {
	index  *rootfs.Index
	spool  *os.File
	size   int64                    // bytes in spool
	inodes map[string]*rootfs.Inode // by the first name of each file
}

func (l *loader) entry(e *unpack.Entry) error {
	in, seen := l.inodes[e.First]
	if seen && e.First != e.Name {
		l.index.Entries = append(l.index.Entries, rootfs.Entry{Path: e.Name, Kind: rootfs.Link, Target: e.First})
	} else {
		in = &rootfs.Inode{
			Mode: e.Mode, UID: e.UID, GID: e.GID, ModTime: time.Unix(e.ModTime, 0),
			Major: e.Major, Minor: e.Minor, Target: e.Target, Xattrs: e.Xattrs,
		}
		l.inodes[e.First] = in
		l.index.Entries = append(l.index.Entries, rootfs.Entry{Path: e.Name, Inode: in})
	}
	if e.Body == nil || e.Size == 0 || in.Type() != rootfs.TypeRegular {
		return nil
	}
	return l.fill(in, e)
}

// fill gives a regular file the content that comes with one of its names.
func (l *loader) fill(in *rootfs.Inode, e *unpack.Entry) error {
	n, err := io.Copy(io.NewOffsetWriter(l.spool, l.size), e.Body)
	if err == nil && n != e.Size {
		err = fmt.Errorf("%d bytes of %d: %w", n, e.Size, io.ErrUnexpectedEOF)
	}
	if err != nil {
		return fmt.Errorf("entry %q: %w", e.Name, err)
	}
	whole := rootfs.NewFile(in.Mode, l.spool, l.size, n)
	whole.UID, whole.GID, whole.ModTime, whole.Xattrs = in.UID, in.GID, in.ModTime, in.Xattrs
	*in = *whole
	l.size += n
	return nil
}

// restoreXattrs gives the files of a cpio root the extended attributes that its
// list has for them, and takes the list away: then it is the root that a node has.
func restoreXattrs(tree *rootfs.Tree, list string) error {
	list = strings.TrimPrefix(list, "/")
	f, err := tree.Open(list)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	attrs, err := xattrs.Read(f)
	if err != nil {
		return fmt.Errorf("reading /%s: %w", list, err)
	}
	for name, in := range tree.All() {
		if found, ok := attrs[name]; ok {
			in.Xattrs = found
		}
	}
	tree.Prune(func(name string) bool { return name == list || name == path.Dir(list) })
	return nil
}
