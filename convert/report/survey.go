package report

import (
	"context"

	"github.com/rootcast/rootcast/convert/pkgdb"
	"github.com/rootcast/rootcast/convert/rootfs"
)

// entry is one name of a tree.
type entry struct {
	name  string
	inode *rootfs.Inode
	first string // the first of the file's names
	size  int64  // bytes that are counted here: 0 of all names but the first
	owner int    // of the survey's packages; -1: none
}

// survey is a tree name by name, and the packages in it.
type survey struct {
	entries  []entry
	packages []pkgdb.Package
	usage    []Sum // of each package
	total    Sum
	warnings []string
}

// Sum counts files, directories not among them, and their bytes.
type Sum struct {
	Files int   `json:"files"`
	Size  int64 `json:"size"`
}

func (s *Sum) add(size int64) {
	s.Files++
	s.Size += size
}

// take looks through a tree without what drop says. A database of packages that
// cannot be read is a warning.
func take(ctx context.Context, tree *rootfs.Tree, tempDir string, drop func(name string) bool) (*survey, error) {
	s := &survey{warnings: append([]string(nil), tree.Warnings...)}
	var err error
	if s.packages, err = pkgdb.Read(ctx, tree, tempDir); ctx.Err() != nil {
		return nil, ctx.Err()
	} else if err != nil {
		s.warnings = append(s.warnings, err.Error())
	}
	s.usage = make([]Sum, len(s.packages))
	owners := s.owners()
	groups := map[*rootfs.Inode]entry{} // files of several names: the first, and an owner
	for name, in := range tree.All() {
		owner, owned := owners[name]
		if !owned {
			owner = -1
		}
		if in.Names() > 1 {
			g, seen := groups[in]
			if !seen {
				g = entry{owner: -1}
			}
			if g.owner < 0 {
				g.owner = owner
			}
			groups[in] = g
		}
		if drop != nil && drop(name) {
			continue
		}
		s.entries = append(s.entries, entry{name: name, inode: in, first: name, size: in.Size, owner: owner})
	}
	for i := range s.entries {
		s.count(&s.entries[i], groups)
	}
	return s, ctx.Err()
}

func (s *survey) owners() map[string]int {
	owners := map[string]int{}
	for i, p := range s.packages {
		for _, name := range p.Files {
			if _, taken := owners[name]; !taken {
				owners[name] = i
			}
		}
	}
	return owners
}

// count settles at which of its names a file counts, and for whom.
func (s *survey) count(e *entry, groups map[*rootfs.Inode]entry) {
	if e.inode.Names() > 1 {
		g := groups[e.inode]
		if g.first == "" {
			g.first = e.name
			groups[e.inode] = g
		} else {
			e.size = 0
		}
		e.first, e.owner = g.first, g.owner
	}
	if e.inode.IsDir() {
		return
	}
	s.total.add(e.size)
	if e.owner >= 0 {
		s.usage[e.owner].add(e.size)
	}
}
