package report

import (
	_ "embed" // the page
	"fmt"
	"html/template"
	"io"
	"slices"
)

//go:embed page.html
var pageText string

// maxLeaves is how many files a page has of its own. The smallest of what is
// more are joined in their directories: a browser has to hold them all.
const maxLeaves = 60000

// page is what the page's script reads.
type page struct {
	Name     string        `json:"name"`
	Size     int64         `json:"size"`
	Files    int           `json:"files"`
	Hidden   int64         `json:"hidden"`
	Excluded int64         `json:"excluded"`
	Packages []pagePackage `json:"packages"`
	Layers   []pageLayer   `json:"layers"`
	Tree     *pageDir      `json:"tree"`
	Warnings []string      `json:"warnings"`
}

type pagePackage struct {
	Name    string `json:"n"`
	Version string `json:"v"`
}

type pageLayer struct {
	ID        string `json:"id"`
	CreatedBy string `json:"by"`
	Hidden    int64  `json:"hidden"`
}

type pageDir struct {
	Name  string     `json:"n"`
	Dirs  []*pageDir `json:"d,omitempty"`
	Files []leaf     `json:"f,omitempty"`
}

// leaf is a file, or several that are joined: name, "" of several; bytes; how
// many; package and layer, both counted from 0, -1: none.
type leaf [5]any

// WriteHTML writes the report as one page that needs nothing but itself: a
// treemap of directories, packages and layers that one can click into.
func (r *Report) WriteHTML(w io.Writer) error {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return fmt.Errorf("reading the page's template: %w", err)
	}
	return t.Execute(w, r.page(maxLeaves))
}

func (r *Report) page(leaves int) *page {
	p := &page{
		Name: r.Name, Size: r.Size, Files: r.Files, Hidden: r.Hidden.Size,
		Packages: []pagePackage{}, Layers: []pageLayer{}, Warnings: append([]string{}, r.Warnings...),
	}
	if r.Excluded != nil {
		p.Excluded = r.Excluded.Size
	}
	for i, q := range r.survey.packages {
		p.Packages = append(p.Packages, pagePackage{label(r.survey.packages, i), q.Version})
	}
	for _, l := range r.Layers {
		p.Layers = append(p.Layers, pageLayer{l.ID, shorten(l.CreatedBy), l.Hidden.Size})
	}
	p.Tree = r.pageTree(leaves)
	return p
}

// joined is what files must have in common to be one leaf.
type joined struct {
	dir          *pageDir
	owner, layer int
}

func (r *Report) pageTree(leaves int) *pageDir {
	smallest := r.smallest(leaves)
	dirs := map[string]*pageDir{}
	sums := map[joined]*Sum{}
	var order []joined
	for _, e := range r.survey.entries {
		if e.inode.IsDir() {
			continue
		}
		parent, base := split(e.name)
		d := findDir(dirs, parent)
		layer := -1
		if len(r.Layers) > 0 {
			layer = e.inode.Layer()
		}
		if e.size >= smallest && e.size > 0 {
			d.Files = append(d.Files, leaf{base, e.size, 1, e.owner, layer})
			continue
		}
		key := joined{d, e.owner, layer}
		if sums[key] == nil {
			sums[key] = &Sum{}
			order = append(order, key)
		}
		sums[key].add(e.size)
	}
	for _, key := range order {
		key.dir.Files = append(key.dir.Files, leaf{"", sums[key].Size, sums[key].Files, key.owner, key.layer})
	}
	return findDir(dirs, ".")
}

// smallest is the size from which on a file is a leaf of its own.
func (r *Report) smallest(leaves int) int64 {
	if len(r.survey.entries) <= leaves {
		return 0
	}
	sizes := make([]int64, 0, len(r.survey.entries))
	for _, e := range r.survey.entries {
		sizes = append(sizes, e.size)
	}
	slices.Sort(sizes)
	return sizes[len(sizes)-leaves] + 1
}

func findDir(dirs map[string]*pageDir, name string) *pageDir {
	d := dirs[name]
	if d == nil {
		parent, base := split(name)
		d = &pageDir{Name: base}
		dirs[name] = d
		if name != "." {
			up := findDir(dirs, parent)
			up.Dirs = append(up.Dirs, d)
		}
	}
	return d
}
