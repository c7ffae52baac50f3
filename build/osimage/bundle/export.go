package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rootcast/rootcast/build/osimage"
)

// Sources are the files beside a definition's own that go into a bundle. Each has
// the path that its name in the bundle and on the importing machine is made from,
// and where it is read.
type Sources struct {
	Kernel, Ramdisk, RootImg Source
	RootImgTree, LiteFile    Source // of a statelite image
	Beside                   []Source
	Extras                   []Extra
}

// Source is a file: Path is what the manifest calls it, File where it is read, ""
// for there too.
type Source struct{ Path, File string }

func (s Source) file() string {
	if s.File != "" {
		return s.File
	}
	return s.Path
}

// member is a file on its way into a bundle.
type member struct{ name, file string }

// Plan is a bundle that can be written.
type Plan struct {
	Manifest *Manifest
	members  []member
	names    map[string]bool // that files of the bundle have
	dirs     map[string]bool // that directories of it have
	sources  map[string]string
}

// New plans a bundle of a definition with all the files that it references, those
// that lists include among them. Files lie in the bundle by their base names, as
// xCAT looks for them. One whose name another has already lies in a directory of
// extra/, from where xCAT copies it to its place too.
func New(d *osimage.Definition, s Sources) (*Plan, error) {
	p := &Plan{Manifest: &Manifest{}, names: map[string]bool{}, dirs: map[string]bool{}, sources: map[string]string{}}
	m := p.Manifest
	m.describe(d)
	p.names[ManifestName], p.names["extra"], p.dirs["extra"] = true, true, true
	for _, one := range []struct {
		source Source
		to     *[]string
	}{
		{s.Kernel, &m.Kernel},
		{s.Ramdisk, &m.Ramdisk},
		{s.RootImg, &m.RootImg},
		{s.RootImgTree, &m.RootImgTree},
		{s.LiteFile, &m.LiteFile},
	} {
		if one.source.Path == "" {
			continue
		}
		*one.to = []string{one.source.Path}
		if err := p.flat(one.source); err != nil {
			return nil, err
		}
	}
	for _, column := range lists() {
		for _, file := range m.pathsOf(column) {
			if err := p.flat(Source{Path: file}); err != nil {
				return nil, err
			}
		}
	}
	references, err := d.References()
	if err != nil {
		return nil, fmt.Errorf("exporting osimage %s: %w", d.Name, err)
	}
	for _, extra := range s.Extras {
		if err := p.extra(extra); err != nil {
			return nil, err
		}
	}
	for _, file := range references {
		s.Beside = append(s.Beside, Source{Path: file})
	}
	for _, source := range s.Beside {
		if err := p.beside(source, path.Dir(source.Path)); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(p.members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return p, nil
}

// flat adds a file by its base name; where another has it, in a directory of extra/.
func (p *Plan) flat(s Source) error {
	if _, there := p.sources[s.Path]; there {
		return nil
	}
	base := path.Base(s.Path)
	if p.names[base] {
		return p.beside(s, path.Dir(s.Path))
	}
	return p.add(base, s)
}

// beside adds a file in the directory of extra/ that goes to dest.
func (p *Plan) beside(s Source, dest string) error {
	if _, there := p.sources[s.Path]; there {
		return nil
	}
	src := p.directory(path.Dir(s.Path), dest)
	return p.add(path.Join("extra", src, path.Base(s.Path)), s)
}

// directory is the directory of extra/ whose files go to dest: src itself, unless
// its files go elsewhere.
func (p *Plan) directory(src, dest string) string {
	for n := 2; ; n++ {
		i := slices.IndexFunc(p.Manifest.Extras, func(e Extra) bool { return e.Src == src })
		if i < 0 && !p.names[path.Join("extra", src)] {
			p.Manifest.Extras = append(p.Manifest.Extras, Extra{src, dest})
			return src
		}
		if i >= 0 && p.Manifest.Extras[i].Dest == dest && p.dirs[path.Join("extra", src)] {
			return src
		}
		src = fmt.Sprintf("/%d%s", n, src)
	}
}

// extra adds what the user asks for beside.
func (p *Plan) extra(e Extra) error {
	info, err := os.Stat(e.Src)
	if err != nil {
		return fmt.Errorf("exporting the extra file %s: %w", e.Src, err)
	}
	if !info.IsDir() {
		name := path.Join("extra", path.Base(e.Src))
		if p.names[name] || p.dirs[name] {
			return p.add(path.Join("extra", p.directory(path.Dir(e.Src), e.Dest), path.Base(e.Src)), Source{Path: e.Src})
		}
		p.Manifest.Extras = append(p.Manifest.Extras, e)
		return p.add(name, Source{Path: e.Src})
	}
	src := p.directory(e.Src, e.Dest)
	return filepath.WalkDir(e.Src, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("exporting the extra directory %s: %w", e.Src, err)
		case entry.IsDir():
			return nil
		case !entry.Type().IsRegular():
			return fmt.Errorf("exporting the extra directory %s: %s is neither a file nor a directory, and bundles have these alone", e.Src, name)
		}
		rel, err := filepath.Rel(e.Src, name)
		if err != nil {
			return err
		}
		return p.add(path.Join("extra", src, rel), Source{Path: name})
	})
}

// add adds a file by a name of its own.
func (p *Plan) add(name string, s Source) error {
	if p.names[name] || p.dirs[name] {
		return fmt.Errorf("exporting %s: another file of the bundle is called %s already", s.Path, name)
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if p.names[dir] && dir != "extra" {
			return fmt.Errorf("exporting %s: a file of the bundle is called %s, where its directory would be", s.Path, dir)
		}
		p.dirs[dir] = true
	}
	info, err := os.Stat(s.file())
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no regular file")
	}
	if err != nil {
		return fmt.Errorf("exporting %s: %w", s.Path, err)
	}
	p.names[name] = true
	p.members = append(p.members, member{name, s.file()})
	p.sources[s.Path] = name
	return nil
}

// Files returns the paths of the files that go into the bundle, in its order.
func (p *Plan) Files() []string {
	var list []string
	for _, one := range p.members {
		list = append(list, one.file)
	}
	return list
}
