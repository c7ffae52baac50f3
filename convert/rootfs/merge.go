package rootfs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Merge lays layers over each other, the lowest first.
//
//   - Whiteouts and opaque markers hide what lower layers hold, wherever they
//     stand among the entries of their layer; the other entries follow in order.
//   - Whiteouts as overlayfs has them count too, for a tar of an overlay's upper
//     directory: a character device 0/0, of which Linux has none, and an empty
//     file with the xattr overlay.whiteout; and a directory with the xattr
//     overlay.opaque=y has an opaque marker. Their prefix is "trusted." or
//     "user.". No xattr of overlayfs comes into the tree, and one that says that
//     the content is elsewhere (redirect, metacopy) is an error.
//   - A directory over a directory keeps the children and takes the new
//     metadata. Anything else replaces what had its name, with all its children.
//   - A missing parent becomes a directory 0755 of root, of the epoch.
//   - A hard link binds to the inode that its target has at that point and
//     keeps it when a later entry replaces or hides the target's name.
//   - Where a parent is a symlink or another non-directory of a lower layer, a
//     directory takes its place, as in containers/storage, and the tree's
//     Warnings say so. A parent that is a symlink of the same layer is followed
//     to a directory of that layer; anything else is an error.
func Merge(ctx context.Context, layers ...*Index) (*Tree, error) {
	m := &merger{tree: &Tree{root: &node{inode: newImpliedDir()}}}
	for i, layer := range layers {
		m.layer = i + 1 // 0 is the root that nobody made
		if err := m.apply(ctx, layer); err != nil {
			return nil, err
		}
	}
	m.tree.list()
	m.tree.Layers = m.uses(layers)
	return m.tree, nil
}

type merger struct {
	tree  *Tree
	layer int
	name  string // of the layer
	made  []made // regular files, by layer

	// The directory that was asked for last, which the next entry mostly is in too;
	// nil once anything was replaced or hidden.
	lastName string
	last     *node
}

func (m *merger) apply(ctx context.Context, layer *Index) error {
	m.name, m.last = layer.Layer, nil
	var markers, files []Entry
	for _, e := range layer.Entries {
		if e.Kind == Whiteout || e.Kind == Opaque {
			markers = append(markers, e)
		} else {
			files = append(files, e)
		}
	}
	// The deeper first, and of a directory its opaque marker: what hides a
	// directory hides the markers in it too, in whatever order they stand.
	slices.SortStableFunc(markers, func(a, b Entry) int {
		return cmp.Or(depth(b.Path)-depth(a.Path), int(b.Kind)-int(a.Kind))
	})
	for _, e := range append(markers, files...) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := m.entry(e); err != nil {
			return fmt.Errorf("merging layer %s: entry %q: %w", layer.Layer, e.Path, err)
		}
	}
	return nil
}

func depth(name string) int {
	if name == "." {
		return 0
	}
	return 1 + strings.Count(name, "/")
}

func (m *merger) entry(e Entry) error {
	switch e.Kind {
	case Opaque:
		dir, err := m.dir(e.Path)
		if err == nil {
			dir.clear()
			m.last = nil
		}
		return err
	case Whiteout:
		parent, base := splitName(e.Path)
		dir, err := m.dir(parent)
		if err == nil {
			dir.remove(base)
			m.last = nil
		}
		return err
	case Link:
		target, err := m.tree.resolve(e.Target, false)
		if err != nil {
			return fmt.Errorf("hard link to %q: %w", e.Target, err)
		}
		if target.inode.IsDir() {
			return fmt.Errorf("hard link to %q, which is a directory", e.Target)
		}
		return m.put(e.Path, target.inode)
	default:
		in := *e.Inode // the layer may belong to another tree as well
		m.remember(e.Path, &in)
		return m.put(e.Path, &in)
	}
}

// put gives name the inode.
func (m *merger) put(name string, in *Inode) error {
	if name == "." {
		m.tree.root.inode, m.tree.root.layer = in, m.layer
		return nil
	}
	parent, base := splitName(name)
	dir, err := m.dir(parent)
	if err != nil {
		return err
	}
	if old := dir.children[base]; old != nil && old.inode.IsDir() && in.IsDir() {
		old.inode, old.layer = in, m.layer
		return nil
	}
	if dir.children[base] != nil {
		m.last = nil
	}
	if dir.set(base, &node{inode: in, layer: m.layer}).length > pathMax {
		return errDeep
	}
	return nil
}

// dir returns the directory name of the tree so far, making what is missing.
func (m *merger) dir(name string) (*node, error) {
	if m.last != nil && m.lastName == name {
		return m.last, nil
	}
	at, err := m.walk(name)
	m.lastName, m.last = name, at
	return at, err
}

func (m *merger) walk(name string) (*node, error) {
	at := m.tree.root
	at.layer = m.layer // each layer has a root
	if name == "." {
		return at, nil
	}
	where := ""
	for part := range strings.SplitSeq(name, "/") {
		next := at.children[part]
		where = joinName(where, part)
		switch {
		case next == nil:
			if next = at.set(part, &node{inode: newImpliedDir(), layer: m.layer}); next.length > pathMax {
				return nil, errDeep
			}
		case next.inode.IsDir():
			next.layer = m.layer // this layer's own directory too, from here on
		case next.layer != m.layer:
			m.tree.Warnings = append(m.tree.Warnings, fmt.Sprintf(
				"layer %s puts files below %q, which a lower layer has as a %s: a directory takes its place", m.name, where, next.inode.typeName(),
			))
			next = at.set(part, &node{inode: newImpliedDir(), layer: m.layer})
		case next.inode.Type() == TypeSymlink:
			var err error
			if next, err = m.follow(where, next); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("its parent %q is a %s of the same layer", where, next.inode.typeName())
		}
		at = next
	}
	return at, nil
}

// follow resolves a symlink of this layer that stands where a directory is needed.
func (m *merger) follow(where string, link *node) (*node, error) {
	found, err := m.tree.resolve(where, true)
	if err == nil && found.inode.IsDir() && found.layer == m.layer {
		return found, nil
	}
	if errors.Is(err, errLoop) {
		return nil, fmt.Errorf("its parent %q: %w", where, err)
	}
	return nil, fmt.Errorf("its parent %q is a symlink to %q, which is no directory of the same layer", where, link.inode.Target)
}
