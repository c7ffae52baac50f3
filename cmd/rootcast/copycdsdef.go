package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rootcast/rootcast/build/osimage"
)

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
	var list []*osimage.Definition
	for _, profile := range []string{"compute", "login"} {
		files, err := c.profileFiles(into, osimage.Target{OSVers: d.osvers, OSArch: d.arch, Profile: profile})
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
		c.e.say("warning: there are no lists of packages for %s on %s, and so no definitions were made: put a compute.pkglist into %s and repeat it, or make definitions by mkdef",
			d.osvers, d.arch, filepath.Join(c.installDir, "custom", "netboot", familyDir(d.osvers)))
	}
	return list, nil
}

// familyDir is what xCAT would call the directory of a distribution's lists.
func familyDir(osvers string) string {
	if d, err := osimage.ParseDistribution(osvers); err == nil {
		return d.Name
	}
	return osvers
}

// profileFiles returns the paths of a profile's lists and script by the attributes
// that name them, as mkdef -u finds them: the site's or xCAT's, else rootcast's,
// which are written into a directory beside the definitions.
func (c *copycds) profileFiles(into osimage.Catalog, t osimage.Target) (map[string]string, error) {
	files := map[string]string{}
	find := &mkdef{e: c.e}
	name := strings.Join([]string{t.OSVers, t.OSArch, t.Profile}, "-")
	err := find.lists(filepath.Join(into.Dirs[0], name), t, c.installDir, nil, files)
	if errors.Is(err, fs.ErrNotExist) || isUnknown(t.OSVers) {
		err = nil
	}
	return files, err
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
	for _, a := range extensions() {
		values[a.attribute] = files[a.attribute]
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
