package rootfs

// LayerUse is what one layer brought into a tree.
type LayerUse struct {
	Name  string // as its index calls it
	Files int    // regular files that the layer holds
	Size  int64  // their bytes

	// Hidden are those of its files with content that no name of the tree leads
	// to: upper layers replaced or removed them, and they are shipped for nothing.
	Hidden []HiddenFile
}

// HiddenFile is a file of a layer that the tree does not show.
type HiddenFile struct {
	Path string // in its layer
	Size int64
}

// Layer tells which of the tree's Layers brought the file, counted from 0; -1
// for what no layer holds. A hard link does not change it, nor does a name that
// a later layer gives the file.
func (in *Inode) Layer() int { return in.layer - 1 }

// made is a regular file that a layer holds.
type made struct {
	path  string
	inode *Inode
}

func (m *merger) remember(name string, in *Inode) {
	in.layer = m.layer
	if in.Type() == TypeRegular {
		m.made = append(m.made, made{name, in})
	}
}

// uses counts what was remembered, once the names of the tree are counted.
func (m *merger) uses(layers []*Index) []LayerUse {
	uses := make([]LayerUse, len(layers))
	for i, l := range layers {
		uses[i].Name = l.Layer
	}
	for _, f := range m.made {
		u := &uses[f.inode.layer-1]
		u.Files++
		u.Size += f.inode.Size
		if f.inode.names == 0 && f.inode.Size > 0 {
			u.Hidden = append(u.Hidden, HiddenFile{f.path, f.inode.Size})
		}
	}
	return uses
}
