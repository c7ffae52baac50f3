package bundle

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// File is a file of a bundle and where it goes.
type File struct {
	Member string // its name in the bundle
	Dest   string // an absolute path
	Size   int64

	exec   bool // it was a program where it was exported
	script bool // it is meant to be run
	extra  bool
}

// Files returns what the manifest names, and which of it the bundle lacks. It
// refuses a bundle in which one file stands for two, as xCAT's imgexport leaves
// it, and one that lacks what nodes boot from.
func (c *Contents) Files() (files []File, missing []string, err error) { return c.files() }

func (c *Contents) files() (files []File, missing []string, err error) {
	f := filer{c: c, dests: map[string]bool{}, claimed: map[string]string{}}
	m := c.Manifest
	for _, e := range m.Extras {
		if err := f.extra(e); err != nil {
			return nil, nil, err
		}
	}
	for _, paths := range [][]string{m.Kernel, m.Ramdisk, m.RootImg, m.RootImgTree} {
		for _, file := range paths {
			if err := f.flat(file, false); err != nil {
				return nil, nil, err
			}
		}
	}
	if f.missing != nil {
		return nil, nil, fmt.Errorf("it lacks what nodes boot from: %s", some(f.missing))
	}
	for _, file := range m.LiteFile {
		if err := f.flat(file, false); err != nil {
			return nil, nil, err
		}
	}
	for _, column := range lists() {
		for _, file := range m.pathsOf(column) {
			if err := f.flat(file, column == "postinstall"); err != nil {
				return nil, nil, err
			}
		}
	}
	return f.files, f.missing, nil
}

// filer finds the files of a bundle.
type filer struct {
	c       *Contents
	files   []File
	missing []string
	dests   map[string]bool
	claimed map[string]string // by which path a member is
}

// place refuses a path that is no absolute one.
func place(file string) error {
	if !path.IsAbs(file) || slices.Contains(strings.Split(file, "/"), "..") || strings.ContainsFunc(file, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("its %s has the path %q, which is not an absolute one", ManifestName, file)
	}
	return nil
}

// flat takes a file that lies in the bundle by its base name.
func (f *filer) flat(file string, script bool) error {
	if err := place(file); err != nil {
		return err
	}
	file = path.Clean(file)
	if i := slices.IndexFunc(f.files, func(one File) bool { return one.Dest == file }); i >= 0 {
		f.files[i].script = f.files[i].script || script
		return nil // an extra file, or one that two lists name
	}
	base := path.Base(file)
	if base == ManifestName || base == "/" {
		return fmt.Errorf("its %s calls a file %s", ManifestName, file)
	}
	if other, taken := f.claimed[base]; taken {
		return fmt.Errorf("its one file %s stands for both %s and %s: xCAT's imgexport keeps the last of those alone; export again with different names", base, other, file)
	}
	e, ok := f.c.entries[base]
	if !ok {
		f.missing = append(f.missing, file)
		return nil
	}
	f.claimed[base] = file
	f.files = append(f.files, File{Member: base, Dest: file, Size: e.size, exec: e.exec, script: script})
	return nil
}

// extra takes a file, or what is in a directory, of extra/.
func (f *filer) extra(e Extra) error {
	for _, one := range []string{e.Src, e.Dest} {
		if err := place(one); err != nil {
			return err
		}
	}
	dir := path.Join("extra", e.Src)
	var names []string
	for name := range f.c.entries {
		if strings.HasPrefix(name, dir+"/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if names == nil {
		name := path.Join("extra", path.Base(e.Src))
		if _, ok := f.c.entries[name]; !ok {
			f.missing = append(f.missing, e.Src)
			return nil
		}
		names, dir = []string{name}, "extra"
	}
	for _, name := range names {
		dest := path.Join(e.Dest, strings.TrimPrefix(name, dir+"/"))
		if f.dests[dest] {
			return fmt.Errorf("two of its extra files go to %s", dest)
		}
		f.dests[dest] = true
		entry := f.c.entries[name]
		f.files = append(f.files, File{Member: name, Dest: dest, Size: entry.size, exec: entry.exec, extra: true})
	}
	return nil
}
