package rootfs

import (
	"errors"
	"fmt"
	"iter"
	"maps"
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

	// Layers are what each layer brought, the lowest first.
	Layers []LayerUse

	root  *node
	files []file // all names, in the order of All
}

// file is a name of the tree with its whole path.
type file struct {
	path  string
	inode *Inode
}

// node is a name of the tree.
type node struct {
	inode    *Inode
	children map[string]*node
	order    []string // their names, sorted; nil: not known
	layer    int      // which layer, counted from 1, put it there last
	length   int      // of its real path in bytes, with a slash before each name
	path     string   // once it was listed
}

func (n *node) set(name string, child *node) *node {
	if n.children == nil {
		n.children = map[string]*node{}
	}
	child.length = n.length + 1 + len(name)
	if n.children[name] == nil {
		n.order = nil
	}
	n.children[name] = child
	return child
}

func (n *node) remove(name string) {
	delete(n.children, name)
	n.order = nil
}

func (n *node) clear() { n.children, n.order = nil, nil }

// sorted returns the names of a directory in the order of their bytes.
func (n *node) sorted() []string {
	if n.order == nil && len(n.children) > 0 {
		n.order = slices.Sorted(maps.Keys(n.children))
	}
	return n.order
}

// All walks the tree: the root as ".", every directory before what is in it,
// the names of a directory in the order of their bytes. The order depends on
// the tree alone.
func (t *Tree) All() iter.Seq2[string, *Inode] {
	return func(yield func(string, *Inode) bool) {
		for _, f := range t.files {
			if !yield(f.path, f.inode) {
				return
			}
		}
	}
}

// Len is how many names the tree has, the root among them.
func (t *Tree) Len() int { return len(t.files) }

// Put adds a file that no layer holds, such as the first program of a ramdisk,
// with missing parents, or replaces what has that name.
func (t *Tree) Put(name string, in *Inode) error {
	clean, err := cleanName(name)
	if err != nil {
		return fmt.Errorf("adding %q: %w", name, err)
	}
	if clean == "." && !in.IsDir() {
		return errors.New("adding a root that is not a directory")
	}
	err = t.put(clean, in)
	t.list() // after an error too: some of its parents may be there now
	if err != nil {
		return fmt.Errorf("adding %q: %w", name, err)
	}
	return nil
}

// put follows the symlinks above name, as a process on the node would.
func (t *Tree) put(name string, in *Inode) error {
	dir, base := splitName(name)
	missing := base
	for {
		at, err := t.resolve(dir, true)
		switch {
		case err == nil && at.inode.IsDir():
			return (&merger{tree: &Tree{root: at}}).put(missing, in)
		case err == nil:
			return fmt.Errorf("%q is a %s", dir, at.inode.typeName())
		case !errors.Is(err, errNotFound):
			return fmt.Errorf("%q: %w", dir, err)
		}
		dir, base = splitName(dir)
		missing = joinName(base, missing)
	}
}

// Prune removes every file for which drop says so. The directories above a file
// that stays are kept with it, whatever drop says of them.
func (t *Tree) Prune(drop func(name string) bool) {
	t.root.prune(".", drop)
	t.list()
}

// prune tells whether anything of n stays.
func (n *node) prune(name string, drop func(string) bool) bool {
	stays := !drop(name)
	for base, child := range n.children {
		if child.prune(joinName(name, base), drop) {
			stays = true
		} else {
			n.remove(base)
		}
	}
	return stays
}

// list makes the list of all names, and counts those of each file. It also sorts
// each directory, so that others only read.
func (t *Tree) list() {
	t.files = t.root.list(".", make([]file, 0, len(t.files)+1))
	for _, f := range t.files {
		f.inode.names = 0
	}
	for _, f := range t.files {
		f.inode.names++
	}
}

// list appends n, whose path is the given one, and all below it.
func (n *node) list(path string, files []file) []file {
	n.path = path
	files = append(files, file{path, n.inode})
	for _, base := range n.sorted() {
		child := n.children[base]
		below := child.path
		if below == "" {
			below = joinName(path, base)
		}
		files = child.list(below, files)
	}
	return files
}

// resolve finds a name as a process chrooted into the tree would: it follows
// symlinks, one that is the last component too where last is true, and ".."
// never leaves the root.
func (t *Tree) resolve(name string, last bool) (*node, error) {
	at, above := t.root, []*node(nil)
	todo := strings.Split(name, "/")
	for links := 0; len(todo) > 0; {
		if !at.inode.IsDir() {
			return nil, errNotDir
		}
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if n := len(above); n > 0 {
				at, above = above[n-1], above[:n-1]
			}
			continue
		}
		next := at.children[part]
		switch {
		case next == nil:
			return nil, errNotFound
		case next.inode.Type() != TypeSymlink || len(todo) == 0 && !last:
			at, above = next, append(above, at)
			continue
		}
		if links++; links > maxSymlinks {
			return nil, errLoop
		}
		if strings.HasPrefix(next.inode.Target, "/") {
			at, above = t.root, nil
		}
		todo = append(strings.Split(next.inode.Target, "/"), todo...)
	}
	return at, nil
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

// Below returns the tree as a directory of that name in a root of its own. Both
// share their files, whose names it counts: nobody else may use the tree meanwhile.
func (t *Tree) Below(name string) *Tree {
	in := *t.root.inode
	below := &Tree{Warnings: t.Warnings, Layers: t.Layers, root: &node{inode: &in}}
	below.root.set(name, t.root.copy())
	below.root.children[name].measure()
	below.list()
	return below
}

// copy copies the names, not the files.
func (n *node) copy() *node {
	c := &node{inode: n.inode, layer: n.layer}
	for name, child := range n.children {
		c.set(name, child.copy())
	}
	return c
}

// measure sets the lengths of all names below n.
func (n *node) measure() {
	for name, child := range n.children {
		child.length = n.length + 1 + len(name)
		child.measure()
	}
}
