package report

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/rootcast/rootcast/convert/pkgdb"
	"github.com/rootcast/rootcast/convert/rootfs"
)

// Options says what to report of a tree.
type Options struct {
	Name    string                 // of the image or rootimgdir
	Layers  []LayerInfo            // of the tree, the lowest first; nil: there are none to speak of
	Drop    func(name string) bool // what is left out and counted apart; nil: nothing
	Top     int                    // how many of the largest files to name; 0: DefaultTop
	TempDir string                 // for an rpm database while it is read; "": the system's
}

// DefaultTop is how many of the largest files a report names.
const DefaultTop = 20

// LayerInfo is what a tree does not know of its layers.
type LayerInfo struct {
	ID        string // what names it, such as a diffID
	CreatedBy string // the step that made it
}

// Report is what the bytes of a tree are spent on.
type Report struct {
	Name        string       `json:"name"`
	Files       int          `json:"files"` // no directories
	Directories int          `json:"directories"`
	Size        int64        `json:"size"`
	Hidden      Sum          `json:"hidden"`             // in layers, and seen by nobody
	Excluded    *Sum         `json:"excluded,omitempty"` // by the exclude lists
	Layers      []Layer      `json:"layers,omitempty"`   // the lowest first
	Packages    []Package    `json:"packages"`           // the largest first
	Unowned     Sum          `json:"unowned"`            // what no package owns
	Tree        *Dir         `json:"tree"`
	Largest     []File       `json:"largest"`
	HiddenFiles []HiddenFile `json:"hiddenFiles,omitempty"` // the largest first
	Warnings    []string     `json:"warnings,omitempty"`

	survey *survey // for the page
}

// Layer is what one layer holds.
type Layer struct {
	ID        string `json:"id"`
	CreatedBy string `json:"createdBy,omitempty"`
	Sum              // what of it is in the report
	Hidden    Sum    `json:"hidden"` // what upper layers replace or remove
}

// Package is what one package takes.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Arch    string `json:"arch,omitempty"`
	Format  string `json:"format"` // dpkg or rpm
	Sum
}

// Dir is a directory with all that is below it.
type Dir struct {
	Name string `json:"name"` // the last part of its path; "/" of the root
	Sum
	Dirs []*Dir `json:"dirs,omitempty"` // the largest first
}

// File is one of the largest files.
type File struct {
	Path    string `json:"path"`
	Size    int64  `json:"size"`
	Names   int    `json:"names,omitempty"` // where it has several
	Package string `json:"package,omitempty"`
	Layer   *int   `json:"layer,omitempty"` // of the report's layers, counted from 1
}

// HiddenFile is a file of a layer that nobody sees.
type HiddenFile struct {
	Path  string `json:"path"`
	Size  int64  `json:"size"`
	Layer int    `json:"layer"`        // that holds it, counted from 1
	By    int    `json:"by,omitempty"` // the layer of the file that is there instead; 0: none is
}

// Build looks through a tree. It reads the databases of packages, and no other file.
func Build(ctx context.Context, tree *rootfs.Tree, o Options) (*Report, error) {
	s, err := take(ctx, tree, o.TempDir, o.Drop)
	if err != nil {
		return nil, err
	}
	r := &Report{Name: o.Name, Files: s.total.Files, Size: s.total.Size, Packages: []Package{}, Warnings: s.warnings, survey: s}
	if o.Drop != nil {
		whole, err := take(ctx, tree, o.TempDir, nil)
		if err != nil {
			return nil, err
		}
		r.Excluded = &Sum{Files: whole.total.Files - s.total.Files, Size: whole.total.Size - s.total.Size}
	}
	r.addPackages()
	r.addDirs()
	r.addLargest(cmp.Or(o.Top, DefaultTop), o.Layers != nil)
	if o.Layers != nil {
		r.addLayers(tree, o.Layers)
	}
	return r, nil
}

func (r *Report) addPackages() {
	r.Unowned = Sum{Files: r.Files, Size: r.Size}
	for i, p := range r.survey.packages {
		u := r.survey.usage[i]
		r.Packages = append(r.Packages, Package{Name: p.Name, Version: p.Version, Arch: p.Arch, Format: string(p.Format), Sum: u})
		r.Unowned.Files -= u.Files
		r.Unowned.Size -= u.Size
	}
	slices.SortStableFunc(r.Packages, func(a, b Package) int { return cmp.Compare(b.Size, a.Size) })
}

func (r *Report) addDirs() {
	dirs := map[string]*Dir{}
	var dir func(name string) *Dir
	dir = func(name string) *Dir {
		d := dirs[name]
		if d == nil {
			parent, base := split(name)
			d = &Dir{Name: base}
			dirs[name] = d
			if name != "." {
				up := dir(parent)
				up.Dirs = append(up.Dirs, d)
			}
		}
		return d
	}
	r.Tree = dir(".")
	r.Tree.Name = "/"
	for _, e := range r.survey.entries {
		if e.inode.IsDir() {
			dir(e.name)
			continue
		}
		parent, _ := split(e.name)
		dir(parent).add(e.size)
	}
	r.Directories = len(dirs)
	r.Tree.sum()
}

// sum adds to each directory what is in those below it.
func (d *Dir) sum() {
	for _, sub := range d.Dirs {
		sub.sum()
		d.Files += sub.Files
		d.Size += sub.Size
	}
	slices.SortFunc(d.Dirs, func(a, b *Dir) int {
		return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(a.Name, b.Name))
	})
}

func split(name string) (dir, base string) {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return ".", name
}

func (r *Report) addLargest(top int, layers bool) {
	var files []entry
	for _, e := range r.survey.entries {
		if e.size > 0 {
			files = append(files, e)
		}
	}
	slices.SortStableFunc(files, func(a, b entry) int { return cmp.Compare(b.size, a.size) })
	r.Largest = []File{}
	for _, e := range files[:min(top, len(files))] {
		f := File{Path: "/" + e.name, Size: e.size}
		if n := e.inode.Names(); n > 1 {
			f.Names = n
		}
		if e.owner >= 0 {
			f.Package = r.survey.packages[e.owner].Name
		}
		if at := e.inode.Layer() + 1; layers && at > 0 {
			f.Layer = &at
		}
		r.Largest = append(r.Largest, f)
	}
}

func (r *Report) addLayers(tree *rootfs.Tree, infos []LayerInfo) {
	r.Layers = make([]Layer, len(tree.Layers))
	for i, use := range tree.Layers {
		l := &r.Layers[i]
		l.ID = use.Name
		if i < len(infos) {
			l.ID, l.CreatedBy = infos[i].ID, infos[i].CreatedBy
		}
		for _, h := range use.Hidden {
			l.Hidden.add(h.Size)
			r.Hidden.add(h.Size)
			r.HiddenFiles = append(r.HiddenFiles, HiddenFile{Path: "/" + h.Path, Size: h.Size, Layer: i + 1, By: instead(tree, h.Path)})
		}
	}
	slices.SortStableFunc(r.HiddenFiles, func(a, b HiddenFile) int { return cmp.Compare(b.Size, a.Size) })
	for _, e := range r.survey.entries {
		if at := e.inode.Layer(); at >= 0 && !e.inode.IsDir() {
			r.Layers[at].add(e.size)
		}
	}
}

// instead tells which layer's file is at a name now, counted from 1.
func instead(tree *rootfs.Tree, name string) int {
	info, err := tree.Lstat(name)
	if err != nil {
		return 0
	}
	in, ok := info.Sys().(*rootfs.Inode)
	if !ok {
		return 0
	}
	return in.Layer() + 1
}

// label is how people tell packages apart: by the architecture too where two
// packages have one name.
func label(all []pkgdb.Package, i int) string {
	p := all[i]
	if i > 0 && all[i-1].Name == p.Name || i+1 < len(all) && all[i+1].Name == p.Name {
		return strings.TrimSuffix(p.Name+":"+p.Arch, ":")
	}
	return p.Name
}
