package rootfs

import (
	"errors"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"
)

var (
	errNotFound = errors.New("no such file in the tree")
	errNotDir   = errors.New("not a directory")
	errLoop     = errors.New("too many symlinks")
)

// maxSymlinks is how many symlinks one path may pass (MAXSYMLINKS, linux/namei.h).
const maxSymlinks = 40

// Tree is the merged file system of an image.
type Tree struct {
	// Warnings are what the merge had to decide and people may want to know.
	Warnings []string

	root *node
}

// node is a name of the tree.
type node struct {
	inode    *Inode
	children map[string]*node
	layer    int // which layer, counted from 1, put it there last
}

func (n *node) set(name string, child *node) *node {
	if n.children == nil {
		n.children = map[string]*node{}
	}
	n.children[name] = child
	return child
}

// sorted returns the names of a directory in the order of their bytes.
func (n *node) sorted() []string {
	names := make([]string, 0, len(n.children))
	for name := range n.children {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// All walks the tree: the root as ".", every directory before what is in it,
// the names of a directory in the order of their bytes. The order depends on
// the tree alone.
func (t *Tree) All() iter.Seq2[string, *Inode] {
	return func(yield func(string, *Inode) bool) { t.root.walk(".", yield) }
}

func (n *node) walk(name string, yield func(string, *Inode) bool) bool {
	if !yield(name, n.inode) {
		return false
	}
	for _, base := range n.sorted() {
		if !n.children[base].walk(joinName(name, base), yield) {
			return false
		}
	}
	return true
}

// Put adds a file that no layer holds, such as the first program of a ramdisk,
// with missing parents, or replaces what has that name.
func (t *Tree) Put(name string, in *Inode) error {
	clean, err := cleanName(name)
	if err != nil {
		return fmt.Errorf("adding %q: %w", name, err)
	}
	m := merger{tree: t, layer: -1, name: "of the converter"}
	if err := m.put(clean, in); err != nil {
		return fmt.Errorf("adding %q: %w", name, err)
	}
	t.countNames()
	return nil
}

func (t *Tree) countNames() {
	for _, in := range t.All() {
		in.names = 0
	}
	for _, in := range t.All() {
		in.names++
	}
}

// lookup finds a clean name without following any symlink.
func (t *Tree) lookup(name string) (*node, error) {
	at := t.root
	if name == "." {
		return at, nil
	}
	for part := range strings.SplitSeq(name, "/") {
		if !at.inode.IsDir() {
			return nil, errNotDir
		}
		if at = at.children[part]; at == nil {
			return nil, errNotFound
		}
	}
	return at, nil
}

// resolve finds a clean name as a process chrooted into the tree would: it
// follows symlinks, those of the last component too where last is true, and
// ".." never leaves the root.
func (t *Tree) resolve(name string, last bool) (*node, error) {
	for range maxSymlinks {
		n, rest, link, err := t.step(name, last)
		if err != nil || link == "" {
			return n, err
		}
		name = path.Join(link, rest)
	}
	return nil, errLoop
}

// step walks name up to the first symlink. It returns either the node, or where
// that symlink leads and what of the name comes after it.
func (t *Tree) step(name string, last bool) (n *node, rest, link string, err error) {
	at, where := t.root, "."
	if name == "." {
		return at, "", "", nil
	}
	parts := strings.Split(name, "/")
	for i, part := range parts {
		if !at.inode.IsDir() {
			return nil, "", "", errNotDir
		}
		if at = at.children[part]; at == nil {
			return nil, "", "", errNotFound
		}
		if at.inode.Type() == TypeSymlink && (last || i < len(parts)-1) {
			return nil, path.Join(parts[i+1:]...), resolveTarget(where, at.inode.Target), nil
		}
		where = joinName(where, part)
	}
	return at, "", "", nil
}

// resolveTarget is where a symlink in dir leads inside the root.
func resolveTarget(dir, target string) string {
	if !strings.HasPrefix(target, "/") {
		target = dir + "/" + target
	}
	if clean := strings.TrimPrefix(path.Clean("/"+target), "/"); clean != "" {
		return clean
	}
	return "."
}

func (in *Inode) typeName() string {
	switch in.Type() {
	case TypeDir:
		return "directory"
	case TypeRegular:
		return "regular file"
	case TypeSymlink:
		return "symlink"
	case TypeChar:
		return "character device"
	case TypeBlock:
		return "block device"
	case TypeFIFO:
		return "FIFO"
	default:
		return "special file"
	}
}
