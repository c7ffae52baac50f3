package report

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rootcast/rootcast/convert/pkgdb"
	"github.com/rootcast/rootcast/convert/rootfs"
)

// DiffOptions says how to compare.
type DiffOptions struct {
	NameA, NameB string
	TempDir      string // for an rpm database while it is read; "": the system's

	// Progress, where it is set, is called from one goroutine at a time with the
	// bytes of content compared so far, and all there are to compare.
	Progress func(done, total int64)
}

// Diff is how two trees differ. Times do not count: every build has its own.
type Diff struct {
	A           Side        `json:"a"`
	B           Side        `json:"b"`
	Delta       int64       `json:"delta"` // bytes that B has more
	Packages    PackageDiff `json:"packages"`
	Added       []Change    `json:"added"`
	Removed     []Change    `json:"removed"`
	Changed     []Change    `json:"changed"`
	Directories []DirChange `json:"directories"` // those whose size changed, the most first
	Warnings    []string    `json:"warnings,omitempty"`
}

// Side is one of the two trees.
type Side struct {
	Name string `json:"name"`
	Sum
}

// Change is a name that differs. The deltas of all changes add up to the whole:
// a file of several names counts at the first.
type Change struct {
	Path  string       `json:"path"`
	Type  string       `json:"type"`           // file, directory, symlink, …; of B unless it was removed
	Size  int64        `json:"size"`           // bytes of the file, of B unless it was removed
	Delta int64        `json:"delta"`          // bytes that B has more
	What  []Difference `json:"what,omitempty"` // of a changed one

	a, b *rootfs.Inode
}

// Difference is one thing about a file. Of content and links there is no value.
type Difference struct {
	Field string `json:"field"` // type, mode, owner, size, content, target, device, xattrs or links
	From  string `json:"from,omitempty"`
	To    string `json:"to,omitempty"`
}

// DirChange sums the changes of a directory and all below it.
type DirChange struct {
	Path    string `json:"path"`
	Delta   int64  `json:"delta"`
	Added   int    `json:"added"`
	Removed int    `json:"removed"`
	Changed int    `json:"changed"`
}

// Compare finds how b differs from a. Content is read only where neither the
// layers nor the sizes tell.
func Compare(ctx context.Context, a, b *rootfs.Tree, o DiffOptions) (*Diff, error) {
	from, err := take(ctx, a, o.TempDir, nil)
	if err != nil {
		return nil, err
	}
	to, err := take(ctx, b, o.TempDir, nil)
	if err != nil {
		return nil, err
	}
	d := &Diff{
		A: Side{o.NameA, from.total}, B: Side{o.NameB, to.total}, Delta: to.total.Size - from.total.Size,
		Added: []Change{}, Removed: []Change{}, Changed: []Change{}, Directories: []DirChange{},
		Packages: comparePackages(from, to),
	}
	for _, s := range []struct {
		name     string
		warnings []string
	}{{o.NameA, from.warnings}, {o.NameB, to.warnings}} {
		for _, w := range s.warnings {
			d.Warnings = append(d.Warnings, s.name+": "+w)
		}
	}
	if err := d.compareNames(ctx, from, to, o); err != nil {
		return nil, err
	}
	d.sumDirs()
	return d, nil
}

func (d *Diff) compareNames(ctx context.Context, from, to *survey, o DiffOptions) error {
	old := make(map[string]*entry, len(from.entries))
	for i := range from.entries {
		old[from.entries[i].name] = &from.entries[i]
	}
	var both []Change
	for _, e := range to.entries {
		was := old[e.name]
		delete(old, e.name)
		if was == nil {
			d.Added = append(d.Added, Change{Path: abs(e.name), Type: typeName(e.inode), Size: e.inode.Size, Delta: e.size})
			continue
		}
		both = append(both, Change{
			Path: abs(e.name), Type: typeName(e.inode), Size: e.inode.Size, Delta: e.size - was.size,
			What: differences(was, &e), a: was.inode, b: e.inode,
		})
	}
	for _, e := range from.entries {
		if old[e.name] != nil {
			d.Removed = append(d.Removed, Change{Path: abs(e.name), Type: typeName(e.inode), Size: e.inode.Size, Delta: -e.size})
		}
	}
	if err := compareContents(ctx, both, o.Progress); err != nil {
		return err
	}
	for _, c := range both {
		if len(c.What) > 0 {
			d.Changed = append(d.Changed, c)
		}
	}
	return nil
}

func abs(name string) string {
	if name == "." {
		return "/"
	}
	return "/" + name
}

// differences finds all but that of content.
func differences(a, b *entry) []Difference {
	var list []Difference
	x, y := a.inode, b.inode
	differ := func(field, from, to string) {
		if from != to {
			list = append(list, Difference{field, from, to})
		}
	}
	differ("type", typeName(x), typeName(y))
	differ("mode", fmt.Sprintf("%04o", x.Mode&^rootfs.TypeMask), fmt.Sprintf("%04o", y.Mode&^rootfs.TypeMask))
	differ("owner", fmt.Sprintf("%d:%d", x.UID, x.GID), fmt.Sprintf("%d:%d", y.UID, y.GID))
	if x.Type() == y.Type() {
		differ("size", fmt.Sprint(x.Size), fmt.Sprint(y.Size))
		differ("target", x.Target, y.Target)
		differ("device", fmt.Sprintf("%d:%d", x.Major, x.Minor), fmt.Sprintf("%d:%d", y.Major, y.Minor))
	}
	if !maps.Equal(x.Xattrs, y.Xattrs) {
		list = append(list, Difference{"xattrs", xattrNames(x, y), xattrNames(y, x)})
	}
	if a.first != b.first {
		list = append(list, Difference{Field: "links"})
	}
	return list
}

// xattrNames names those attributes of in that other has not, or not so.
func xattrNames(in, other *rootfs.Inode) string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(in.Xattrs)) {
		if v, ok := other.Xattrs[name]; !ok || v != in.Xattrs[name] {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

func typeName(in *rootfs.Inode) string {
	switch in.Type() {
	case rootfs.TypeRegular:
		return "file"
	case rootfs.TypeDir:
		return "directory"
	case rootfs.TypeSymlink:
		return "symlink"
	case rootfs.TypeChar:
		return "character device"
	case rootfs.TypeBlock:
		return "block device"
	case rootfs.TypeFIFO:
		return "FIFO"
	default:
		return "special file"
	}
}

func (d *Diff) sumDirs() {
	dirs := map[string]*DirChange{}
	add := func(changes []Change, count func(*DirChange)) {
		for _, c := range changes {
			for name := c.Path; name != "/"; {
				name = name[:max(1, strings.LastIndexByte(name, '/'))]
				if dirs[name] == nil {
					dirs[name] = &DirChange{Path: name}
				}
				dirs[name].Delta += c.Delta
				count(dirs[name])
			}
		}
	}
	add(d.Added, func(c *DirChange) { c.Added++ })
	add(d.Removed, func(c *DirChange) { c.Removed++ })
	add(d.Changed, func(c *DirChange) { c.Changed++ })
	for _, c := range dirs {
		d.Directories = append(d.Directories, *c)
	}
	slices.SortFunc(d.Directories, func(a, b DirChange) int {
		return cmp.Or(bySize(a.Delta, b.Delta), cmp.Compare(a.Path, b.Path))
	})
}

// PackageDiff is how the packages differ, each list by name.
type PackageDiff struct {
	Added      []PackageChange `json:"added"`
	Removed    []PackageChange `json:"removed"`
	Upgraded   []PackageChange `json:"upgraded"`
	Downgraded []PackageChange `json:"downgraded"`
}

// PackageChange is one package.
type PackageChange struct {
	Name   string `json:"name"`
	Arch   string `json:"arch,omitempty"`
	Format string `json:"format"`
	From   string `json:"from,omitempty"` // version in A
	To     string `json:"to,omitempty"`   // version in B
	Delta  int64  `json:"delta"`          // bytes of its files that B has more
}

// held is a package and what it takes.
type held struct {
	pkgdb.Package
	size int64
}

func comparePackages(from, to *survey) PackageDiff {
	d := PackageDiff{Added: []PackageChange{}, Removed: []PackageChange{}, Upgraded: []PackageChange{}, Downgraded: []PackageChange{}}
	a, b := from.byName(), to.byName()
	names := maps.Clone(a)
	maps.Copy(names, b)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		d.group(a[name], b[name])
	}
	return d
}

func (s *survey) byName() map[string][]held {
	m := map[string][]held{}
	for i, p := range s.packages {
		key := p.Name + "\x00" + string(p.Format)
		m[key] = append(m[key], held{p, s.usage[i].Size})
	}
	return m
}

// group compares the packages of one name: what both sides have as it is is no
// change; one that is left on either side has changed its version; several are
// compared by architecture, or else have come and gone.
func (d *PackageDiff) group(a, b []held) {
	a, b = without(a, b), without(b, a)
	for i := 0; i < len(a); i++ {
		of := func(p held) bool { return p.Arch == a[i].Arch }
		at := slices.IndexFunc(b, of)
		if len(a) == 1 && len(b) == 1 {
			at = 0
		} else if at >= 0 && (slices.ContainsFunc(a[i+1:], of) || slices.ContainsFunc(b[at+1:], of)) {
			continue
		}
		if at >= 0 {
			d.change(a[i], b[at])
			a, b = slices.Delete(a, i, i+1), slices.Delete(b, at, at+1)
			i--
		}
	}
	for _, p := range a {
		d.Removed = append(d.Removed, PackageChange{Name: p.Name, Arch: p.Arch, Format: string(p.Format), From: p.Version, Delta: -p.size})
	}
	for _, p := range b {
		d.Added = append(d.Added, PackageChange{Name: p.Name, Arch: p.Arch, Format: string(p.Format), To: p.Version, Delta: p.size})
	}
}

// without returns the packages of list that other has not in the same version.
func without(list, other []held) []held {
	var left []held
	for _, p := range list {
		if !slices.ContainsFunc(other, func(q held) bool { return q.Arch == p.Arch && q.Version == p.Version }) {
			left = append(left, p)
		}
	}
	return left
}

func (d *PackageDiff) change(a, b held) {
	c := PackageChange{Name: b.Name, Arch: b.Arch, Format: string(b.Format), From: a.Version, To: b.Version, Delta: b.size - a.size}
	if pkgdb.Compare(b.Format, a.Version, b.Version) > 0 {
		d.Downgraded = append(d.Downgraded, c)
	} else {
		d.Upgraded = append(d.Upgraded, c)
	}
}
