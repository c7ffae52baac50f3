package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rootcast/rootcast/build/osimage"
)

// installProfile writes the files of a profile into a directory, as recipes.Install does.
type installProfile func(osvers, osarch, profile, dir string) (written, kept []string, err error)

// define makes the definitions of what was copied, and prints their names.
func (c *copycds) define(all []*copied) error {
	into := catalog(c.osimages)
	unlock, err := into.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	var list []*osimage.Definition
	for _, d := range all {
		more, err := c.definitionsOf(into, d)
		if err != nil {
			return fmt.Errorf("defining osimages of %s: %w", d.path, err)
		}
		list = append(list, more...)
	}
	if err := c.e.saveDefinitions(into, list); err != nil {
		return err
	}
	for _, d := range list {
		if _, err := fmt.Fprintln(c.e.stdout, d.Name); err != nil {
			return err
		}
	}
	return nil
}

// definitionsOf are those of one distribution: of each profile that there are lists
// for, one for nodes that live in memory and one for statelite nodes.
func (c *copycds) definitionsOf(into osimage.Catalog, d *copied) ([]*osimage.Definition, error) {
	dir, err := filepath.Abs(into.Dirs[0])
	if err != nil {
		return nil, err
	}
	var list []*osimage.Definition
	for _, profile := range []string{"compute", "login"} {
		files, err := c.profileFiles(dir, osimage.Target{OSVers: d.osvers, OSArch: d.arch, Profile: profile})
		if err != nil {
			return nil, err
		}
		if files["pkglist"] == "" {
			continue
		}
		for _, method := range []string{"netboot", "statelite"} {
			one, err := c.definition(into, d, profile, method, files)
			if err != nil {
				return nil, err
			}
			list = append(list, one)
		}
	}
	if list == nil {
		c.e.say("warning: there are no lists of packages for %s on %s, and so no definitions were made: put compute.pkglist into %s, or make definitions by mkdef",
			d.osvers, d.arch, filepath.Join(c.customDir(), releaseDir(d.osvers)))
	}
	return list, nil
}

func (c *copycds) customDir() string { return filepath.Join(c.installDir, "custom", "netboot") }

// releaseDir is the directory for the files of a release, all of whose minor ones
// have the same lists: rocky9 of rocky9.4. Those of Ubuntu are all major.
func releaseDir(osvers string) string {
	d, err := osimage.ParseDistribution(osvers)
	switch {
	case err != nil:
		return osvers
	case d.Name == "ubuntu":
		parts := strings.Split(osvers, ".")
		return strings.Join(parts[:min(2, len(parts))], ".")
	}
	return strings.TrimSuffix(osvers, d.Version) + d.Major()
}

// profileFiles returns the paths of a profile's lists and script by the attributes
// that name them: the site's own, else rootcast's, which are written below dir.
func (c *copycds) profileFiles(dir string, t osimage.Target) (map[string]string, error) {
	_, kept, err := c.installProfile(t.OSVers, t.OSArch, t.Profile, filepath.Join(dir, releaseDir(t.OSVers)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !isUnknown(t.OSVers) {
		return nil, err
	}
	for _, name := range kept {
		c.e.say("kept %s, which is not what rootcast comes with", name)
	}
	places := []osimage.Place{{Dir: c.customDir(), FS: os.DirFS(c.customDir())}, {Dir: dir, FS: os.DirFS(dir)}}
	files := map[string]string{}
	for attribute, ext := range map[string]string{
		"pkglist": "pkglist", "otherpkglist": "otherpkgs.pkglist", "exlist": "exlist", "postinstall": "postinstall", "synclists": "synclist",
	} {
		found, err := t.Lookup(ext, places...)
		if err != nil {
			return nil, err
		}
		files[attribute] = found.File
	}
	return files, nil
}

// isUnknown tells whether osvers is none that rootcast knows; the site may have
// lists for it all the same.
func isUnknown(osvers string) bool {
	_, err := osimage.ParseDistribution(osvers)
	return err != nil
}

// definition is one osimage. What the medium and the profile say is set anew in one
// that there is already, the rest of it stays.
func (c *copycds) definition(into osimage.Catalog, d *copied, profile, method string, files map[string]string) (*osimage.Definition, error) {
	name := strings.Join([]string{d.osvers, d.arch, method, profile}, "-")
	one, err := into.Load(name)
	if errors.Is(err, osimage.ErrNotExist) {
		one, err = &osimage.Definition{Name: name}, nil
	}
	if err != nil {
		return nil, err
	}
	// xCAT gives both methods one rootimgdir, where each would overwrite the other's kernel.
	rootimg := profile
	if method == "statelite" {
		rootimg += "-statelite"
	}
	values := map[string]string{
		"imagetype": "linux", "osname": "Linux", "provmethod": method, "profile": profile, "osvers": d.osvers, "osarch": d.arch,
		"osdistroname": d.osvers + "-" + d.arch,
		"pkgdir":       strings.Join(pkgdirs(d.path), ","),
		"otherpkgdir":  filepath.Join(c.installDir, "post", "otherpkgs", d.osvers, d.arch),
		"rootimgdir":   filepath.Join(c.installDir, "netboot", d.osvers, d.arch, rootimg),
		"addkcmdline":  "quiet",
	}
	for attribute, file := range files {
		values[attribute] = file
	}
	if len(d.keys) > 0 {
		values["gpgkeys"] = strings.Join(d.keys, ",")
	}
	var failed []error
	for attribute, value := range values {
		failed = append(failed, one.Set(attribute, value, ""))
	}
	return one, errors.Join(failed...)
}

// pkgdirs is the directory of a distribution, and those below it with a repository
// of further discs of Debian.
func pkgdirs(path string) []string {
	list := []string{path}
	discs, err := filepath.Glob(filepath.Join(path, "disc[0-9]*", "dists"))
	if err != nil {
		return list
	}
	slices.Sort(discs)
	for _, disc := range discs {
		list = append(list, filepath.Dir(disc))
	}
	return list
}
