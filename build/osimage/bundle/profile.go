package bundle

import (
	"fmt"
	"path"
	"strings"
)

// shared is where xCAT's own lists lie, which belong to its packages.
const shared = "/opt/xcat/share/xcat"

// SetProfile gives the image another profile, as imgimport -f does, and with it the
// name OSVERS-ARCH-PROVMETHOD-PROFILE. Its rootimgdir becomes
// INSTALLDIR/netboot/OSVERS/ARCH/PROFILE. Lists get names with the new profile in
// the old one's place, or before the rest, and those of xCAT's own directories
// move to INSTALLDIR/custom/netboot/DISTRIBUTION.
func (m *Manifest) SetProfile(profile, installdir string, files []File) error {
	if profile == "" || strings.HasPrefix(profile, ".") || strings.ContainsAny(profile, "/,:= \t") {
		return fmt.Errorf("the profile %q: it is a word without a slash, comma, colon or equals sign", profile)
	}
	old := m.OSImage["profile"]
	if old == profile {
		return nil
	}
	r := renamer{old, profile, path.Join(installdir, "custom", m.provision(), family(m.OSImage["osvers"])), map[string]string{}}
	if dir := m.LinuxImage["rootimgdir"]; dir != "" {
		to := path.Join(installdir, "netboot", m.OSImage["osvers"], m.OSImage["osarch"], profile)
		m.LinuxImage["rootimgdir"] = to
		r.dirs[path.Clean(dir)] = to
		for _, paths := range [][]string{m.Kernel, m.Ramdisk, m.RootImg, m.RootImgTree, m.LiteFile} {
			for _, file := range paths {
				r.dirs[path.Dir(path.Clean(file))] = to
			}
		}
	}
	renamed := map[string]string{}
	for _, column := range lists() {
		m.mapPaths(column, func(file string) string {
			to := r.list(path.Clean(file))
			renamed[path.Clean(file)] = to
			return to
		})
	}
	for i, f := range files {
		to, ok := renamed[f.Dest]
		if !ok {
			to = r.other(f.Dest)
		}
		files[i].Dest = to
	}
	m.OSImage["profile"] = profile
	m.OSImage["imagename"] = strings.Join([]string{m.OSImage["osvers"], m.OSImage["osarch"], m.OSImage["provmethod"], profile}, "-")
	return nil
}

// provision is the directory of xCAT that the image's lists are in.
func (m *Manifest) provision() string {
	if m.OSImage["provmethod"] == "install" {
		return "install"
	}
	return "netboot"
}

// renamer finds new places.
type renamer struct {
	old, profile string
	custom       string
	dirs         map[string]string
}

// list is the new path of a list.
func (r renamer) list(file string) string {
	dir, base := path.Dir(file), path.Base(file)
	if below(dir, shared) {
		dir = r.custom
	}
	if r.old != "" && strings.Contains(base, r.old) {
		return path.Join(dir, strings.Replace(base, r.old, r.profile, 1))
	}
	return path.Join(dir, r.profile+"."+base)
}

// other is the new path of a file that no list is: those of the rootimgdir go with
// it, and what lists include stays where they find it.
func (r renamer) other(file string) string {
	if to, ok := r.dirs[path.Dir(file)]; ok {
		return path.Join(to, path.Base(file))
	}
	if !below(file, shared) {
		return file
	}
	parts := strings.Split(strings.TrimPrefix(file, shared+"/"), "/")
	if len(parts) < 3 { // PROVMETHOD/DISTRIBUTION/FILE
		return file
	}
	return path.Join(r.custom, path.Join(parts[2:]...))
}

// below tells whether a path is dir or in it.
func below(file, dir string) bool { return file == dir || strings.HasPrefix(file, dir+"/") }

// family is the directory that xCAT keeps a distribution's lists in.
func family(osvers string) string {
	i := strings.IndexAny(osvers, "0123456789")
	if i < 0 {
		i = len(osvers)
	}
	switch name := strings.TrimRight(osvers[:i], "-."); {
	case strings.HasPrefix(name, "rh"):
		return "rh"
	case strings.HasPrefix(name, "sle"), strings.Contains(name, "leap"):
		return "sles"
	default:
		return name
	}
}

// Move has what lay below the directory of the definition when it was exported go
// below another.
func (m *Manifest) Move(dir string, files []File) {
	from := m.Own[directory]
	if from == "" || path.Clean(from) == "/" || path.Clean(from) == path.Clean(dir) {
		return
	}
	move := func(file string) string {
		if rest, ok := strings.CutPrefix(path.Clean(file), path.Clean(from)+"/"); ok {
			return path.Join(dir, rest)
		}
		return file
	}
	for _, column := range append(lists(), "partitionfile", "rootimgdir", "pkgdir", "otherpkgdir", "kerneldir") {
		m.mapPaths(column, move)
	}
	if keys := m.Own["gpgkeys"]; keys != "" {
		items := list(keys)
		for i := range items {
			items[i] = move(items[i])
		}
		m.Own["gpgkeys"] = strings.Join(items, ",")
	}
	for i := range files {
		files[i].Dest = move(files[i].Dest)
	}
}
