package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/build/osimage"
	"github.com/rootcast/rootcast/recipes"
)

// fillIn puts before what the stanzas say all that their profiles imply.
func (c *mkdef) fillIn(into osimage.Catalog, stanzas []osimage.Stanza) error {
	for i, s := range stanzas {
		if err := osimage.CheckName(s.Name); err != nil {
			return err
		}
		if _, err := vacant(into, s.Name, c.force); err != nil {
			return err // before files are written
		}
		filled, err := c.filled(into, s)
		if err != nil {
			return fmt.Errorf("mkdef -u %s: %w", s.Name, err)
		}
		stanzas[i].Assignments = append(filled, s.Assignments...)
	}
	return nil
}

// filled is what a definition's profile implies.
func (c *mkdef) filled(into osimage.Catalog, s osimage.Stanza) ([]osimage.Assignment, error) {
	given := map[string]string{}
	for _, a := range s.Assignments {
		given[a.Attribute] = a.Value
	}
	if given["profile"] == "" || given["provmethod"] == "" {
		return nil, usageErrorf("it needs profile= and provmethod=, as in mkdef compute -u profile=compute provmethod=netboot")
	}
	if method := given["provmethod"]; method != "netboot" && method != "statelite" {
		return nil, usageErrorf("provmethod=%s: it is for netboot and statelite, which are what rootcast makes", method)
	}
	t, err := profileTarget(given)
	if err != nil {
		return nil, err
	}
	install, err := filepath.Abs(c.installdir)
	if err != nil {
		return nil, err
	}
	values := map[string]string{
		"imagetype": "linux", "osname": "Linux", "osvers": t.OSVers, "osarch": t.OSArch, "osdistroname": t.OSVers + "-" + t.OSArch,
		"pkgdir":      filepath.Join(install, t.OSVers, t.OSArch),
		"otherpkgdir": filepath.Join(install, "post", "otherpkgs", t.OSVers, t.OSArch),
		"rootimgdir":  filepath.Join(install, "netboot", t.OSVers, t.OSArch, t.Profile),
	}
	if err := c.lists(filepath.Join(into.Dirs[0], s.Name), t, install, given, values); err != nil {
		return nil, err
	}
	var list []osimage.Assignment
	for _, attribute := range slices.Sorted(maps.Keys(values)) {
		if _, ok := given[attribute]; !ok {
			list = append(list, osimage.Assignment{Attribute: attribute, Value: values[attribute]})
		}
	}
	return list, nil
}

// profileTarget is what the profile is for; what is not given is this machine's.
func profileTarget(given map[string]string) (osimage.Target, error) {
	t := osimage.Target{OSVers: given["osvers"], OSArch: given["osarch"], Profile: given["profile"]}
	if t.OSVers == "" {
		release, err := os.Open("/etc/os-release")
		if err == nil {
			defer release.Close()
			t.OSVers, err = osimage.OSVersOf(release)
		}
		if err != nil {
			return t, fmt.Errorf("which distribution this machine has: %w; say osvers=, as in osvers=rocky9.4", err)
		}
	}
	if t.OSArch == "" {
		var machine unix.Utsname
		if err := unix.Uname(&machine); err != nil {
			return t, fmt.Errorf("which architecture this machine has: %w; say osarch=", err)
		}
		t.OSArch = unix.ByteSliceToString(machine.Machine[:])
	}
	if strings.HasPrefix(t.OSVers, "ubuntu") && t.OSArch == "ppc64le" && given["osarch"] == "" {
		t.OSArch = "ppc64el"
	}
	return t, nil
}

// extensions are the attributes that profiles have files for, and how these end.
func extensions() []struct{ attribute, ext string } {
	return []struct{ attribute, ext string }{
		{"pkglist", "pkglist"},
		{"otherpkglist", "otherpkgs.pkglist"},
		{"exlist", "exlist"},
		{"postinstall", "postinstall"},
		{"synclists", "synclist"},
	}
}

// lists adds the profile's files to values: where xCAT has them, or if it has no
// list of packages copies of rootcast's in dir.
func (c *mkdef) lists(dir string, t osimage.Target, install string, given, values map[string]string) error {
	var places []osimage.Place
	for _, dir := range []string{
		filepath.Join(install, "custom", "netboot"),
		filepath.Join(either(os.Getenv("XCATROOT"), "/opt/xcat"), "share", "xcat", "netboot"),
	} {
		places = append(places, osimage.Place{Dir: dir, FS: os.DirFS(dir)})
	}
	for _, a := range extensions() {
		found, err := t.Lookup(a.ext, places...)
		if err != nil {
			return err
		}
		c.explainFinding(a.attribute, found)
		if found.File != "" {
			values[a.attribute] = found.File
		}
	}
	if values["pkglist"] != "" || given["pkglist"] != "" {
		return nil
	}
	return c.copyRecipe(dir, t, values)
}

func (c *mkdef) explainFinding(attribute string, found osimage.Finding) {
	if !c.explain {
		return
	}
	for _, passed := range found.Passed {
		c.e.say("%s: %s", attribute, passed)
	}
	if found.File == "" {
		c.e.say("%s: xCAT's directories have none", attribute)
		return
	}
	c.e.say("%s: taken: %s: it is %s", attribute, found.File, found.Why)
}

// copyRecipe writes the files of rootcast's profile into dir and adds them to values.
func (c *mkdef) copyRecipe(dir string, t osimage.Target, values map[string]string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	written, kept, err := recipes.Install(t.OSVers, t.OSArch, t.Profile, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("xCAT's directories have no list of packages, and %w; say pkglist=FILE", err)
	}
	if err != nil {
		return err
	}
	for _, file := range kept {
		c.e.say("warning: %s stays as it is; it differs from the profile's", file)
	}
	for _, a := range extensions() {
		for _, file := range []string{t.Profile + "." + t.OSArch + "." + a.ext, t.Profile + "." + a.ext} {
			file = filepath.Join(dir, file)
			if _, err := os.Stat(file); err != nil || values[a.attribute] != "" {
				continue
			}
			values[a.attribute] = file
			if c.explain {
				c.e.say("%s: taken: %s: a copy from rootcast's profile", a.attribute, file)
			}
		}
	}
	if c.verbose {
		c.e.say("%d files of the profile are in %s", len(written)+len(kept), dir)
	}
	return nil
}

// templates are rootcast's profiles as osimages, DISTRIBUTION-PROFILE, without their
// files, which mkdef copies, and what is the site's.
func templates() ([]*osimage.Definition, error) {
	names, err := fs.Glob(recipes.FS(), "*/*/osimage.yaml")
	if err != nil {
		return nil, err
	}
	var list []*osimage.Definition
	for _, name := range names {
		text, err := fs.ReadFile(recipes.FS(), name)
		if err != nil {
			return nil, err
		}
		read, err := osimage.Parse("/"+name, text)
		if err != nil {
			return nil, err
		}
		d := read.Clone(strings.ReplaceAll(path.Dir(name), "/", "-"))
		for _, a := range extensions() {
			if err := d.Set(a.attribute, "", "/"); err != nil {
				return nil, err
			}
		}
		list = append(list, d)
	}
	return list, nil
}

// fromTemplate puts before what the stanzas say what a template has and implies; ok
// tells whether there is one of that name.
func (c *mkdef) fromTemplate(into osimage.Catalog, stanzas []osimage.Stanza) (ok bool, err error) {
	all, err := templates()
	if err != nil {
		return false, err
	}
	i := slices.IndexFunc(all, func(d *osimage.Definition) bool { return d.Name == c.template })
	if i < 0 {
		return false, nil
	}
	for k, s := range stanzas {
		stanzas[k].Assignments = append(assignmentsOf(all[i], all[i].Attributes()), s.Assignments...)
	}
	return true, c.fillIn(into, stanzas)
}

// assignmentsOf are those of some attributes that a definition sets.
func assignmentsOf(d *osimage.Definition, names []string) []osimage.Assignment {
	var list []osimage.Assignment
	for _, name := range names {
		if value := d.Get(name); value != "" {
			list = append(list, osimage.Assignment{Attribute: name, Value: value})
		}
	}
	return list
}
