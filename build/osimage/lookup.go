package osimage

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Place is a directory of profiles by distribution, as /opt/xcat/share/xcat/netboot
// is and as sites have it below /install/custom/netboot.
type Place struct {
	Dir string // what it is called
	FS  fs.FS
}

// Target is what the files of a profile are looked for by.
type Target struct {
	OSVers, OSArch, Profile string
}

// Finding is what Lookup found.
type Finding struct {
	// File is the file's path, "" if there is none.
	File string
	// Why says in a few words what the file's name is for.
	Why string
	// Passed says directory by directory what was looked for before and is not there,
	// and which files cannot be used and why.
	Passed []string
}

// Releases returns the names that files for osvers may go by, in xCAT's order:
// osvers, what stands before its first dot, its minor releases counted down, and
// the release without one: rocky9.2, rocky9, rocky9.1, rocky9.0.
func Releases(osvers string) []string {
	list := []string{osvers}
	if first, _, ok := strings.Cut(osvers, "."); ok {
		list = append(list, first)
	}
	base, minor, separator := cutMinor(osvers)
	if separator != "" {
		for n := min(minor, maxMinor) - 1; n >= 0; n-- {
			list = append(list, base+separator+strconv.Itoa(n))
		}
		list = append(list, base)
	}
	var once []string
	for _, one := range list {
		if !slices.Contains(once, one) {
			once = append(once, one)
		}
	}
	return once
}

// maxMinor bounds the counting; no distribution has as many minor releases.
const maxMinor = 100

// cutMinor takes the minor release from osvers: the 4 of rocky9.4, the 5 of
// sles15sp5. The separator is "" if it has none.
func cutMinor(osvers string) (base string, minor int, separator string) {
	for _, separator := range []string{".", "sp"} {
		i := strings.LastIndex(osvers, separator)
		if i < 0 {
			continue
		}
		if n, err := strconv.Atoi(osvers[i+len(separator):]); err == nil && n >= 0 {
			return osvers[:i], n, separator
		}
	}
	return osvers, 0, ""
}

// name is a file's name, and what it is for.
type name struct{ file, why string }

// names are those that a file of the target may have, in xCAT's order.
func (t Target) names(ext string) []name {
	var list []name
	for _, release := range Releases(t.OSVers) {
		list = append(list,
			name{t.Profile + "." + release + "." + t.OSArch + "." + ext, "for " + release + " on " + t.OSArch},
			name{t.Profile + "." + release + "." + ext, "for " + release + " on any architecture"})
	}
	return append(list,
		name{t.Profile + "." + t.OSArch + "." + ext, "for any release on " + t.OSArch},
		name{t.Profile + "." + ext, "for any release and architecture"})
}

// Lookup finds the file with the extension ext of a profile as xCAT does: in the
// first place that has one in its directory of the distribution, by the first of
// the names from the narrowest to the widest. A postinstall must be executable. The
// error means that the target cannot be looked for.
func (t Target) Lookup(ext string, places ...Place) (Finding, error) {
	var found Finding
	if err := t.check(); err != nil {
		return found, err
	}
	for _, place := range places {
		family := place.family(t.OSVers)
		if family == "" {
			found.Passed = append(found.Passed, place.Dir+": no directory for "+t.OSVers)
			continue
		}
		if found.in(place, family, ext, t.names(ext)); found.File != "" {
			break
		}
	}
	return found, nil
}

// in looks for the names in the directory of one place.
func (f *Finding) in(place Place, family, ext string, names []name) {
	dir := path.Join(place.Dir, family)
	var absent []string
	for _, n := range names {
		why, there := place.unusable(path.Join(family, n.file), ext)
		if there && why == "" {
			f.File, f.Why = path.Join(dir, n.file), n.why
			break
		}
		if there {
			f.Passed = append(f.Passed, path.Join(dir, n.file)+": "+why)
			continue
		}
		absent = append(absent, n.file)
	}
	if absent != nil {
		f.Passed = append(f.Passed, dir+": no "+strings.Join(absent, ", "))
	}
}

// check refuses what would make paths of names.
func (t Target) check() error {
	for attribute, value := range map[string]string{"osvers": t.OSVers, "osarch": t.OSArch, "profile": t.Profile} {
		if value == "" || strings.ContainsAny(value, "/\x00") || strings.HasPrefix(value, ".") {
			return fmt.Errorf("looking for the profile's files: %s is %q, which no file is called by", attribute, value)
		}
	}
	return nil
}

// family is the directory of a place that osvers belongs to: its longest prefix that
// is one; "" if there is none. SUSE's are called sles (xCAT's genimage plug-in).
func (p Place) family(osvers string) string {
	for n := len(osvers); n > 0; n-- {
		if info, err := fs.Stat(p.FS, osvers[:n]); err == nil && info.IsDir() {
			return osvers[:n]
		}
	}
	d, err := ParseDistribution(osvers)
	if err != nil || d.Family != Zypper {
		return ""
	}
	if info, err := fs.Stat(p.FS, "sles"); err != nil || !info.IsDir() {
		return ""
	}
	return "sles"
}

// unusable tells whether a file is there, and why it is not what is looked for, "" if
// it is.
func (p Place) unusable(file, ext string) (why string, there bool) {
	info, err := fs.Stat(p.FS, file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", false
	case err != nil:
		return err.Error(), true
	case !info.Mode().IsRegular():
		return "no file", true
	case ext == "postinstall" && info.Mode().Perm()&0o111 == 0:
		return "cannot be run; chmod +x it if it is meant", true
	}
	return "", true
}
