package media

import (
	"io/fs"
	"regexp"
	"strings"
)

// diskInfo is a line of .disk/info, such as
//
//	Ubuntu-Server 24.04.1 LTS "Noble Numbat" - Release amd64 (20240827)
//	Debian GNU/Linux 12.5.0 "Bookworm" - Official amd64 DVD Binary-1 with firmware 20240210-11:28
var diskInfo = regexp.MustCompile(`^(Debian GNU/Linux|Ubuntu(?:-Server)?) +(\d+(?:\.\d+)*)\b[^"]*"[^"]*" +-(.*)`)

// binaryDisc finds the number in "DVD Binary-2".
var binaryDisc = regexp.MustCompile(`\bBinary-(\d+)`)

// identifyDebian reads .disk/info.
func identifyDebian(fsys fs.FS) (Identity, bool) {
	text := line(lines(readText(fsys, ".disk/info")), 0)
	if text == "" {
		return Identity{}, false
	}
	id := Identity{}
	for word := range strings.FieldsSeq(text) {
		if arch := ArchOf(word); arch != "" {
			id.Arch = arch
			break
		}
	}
	parts := diskInfo.FindStringSubmatch(text)
	if parts == nil {
		return id, true
	}
	name, number, rest := parts[1], parts[2], parts[3]
	if strings.HasPrefix(name, "Ubuntu") {
		id.OSVers = "ubuntu" + number
	} else {
		id.OSVers = "debian" + debianVersion(number)
	}
	if disc := binaryDisc.FindStringSubmatch(rest); disc != nil {
		id.Disc = disc[1]
		if id.Disc != "1" {
			// Each disc has a list of its own packages, and all lists have the same name.
			id.Subdir = "disc" + id.Disc
		}
	}
	switch {
	case exists(fsys, "casper"):
		id.Warnings = append(id.Warnings, "it is a live medium, whose pool has few packages: it is no mirror from which apt can install a system; name one by chdef pkgdir=")
	case strings.Contains(rest, " NETINST"):
		id.Warnings = append(id.Warnings, "it is a netinst medium, which has the installer's packages alone: add a mirror by chdef pkgdir=")
	case !exists(fsys, "dists"):
		id.Warnings = append(id.Warnings, "it has no lists of packages (dists): apt cannot install from it")
	}
	return id, true
}

// debianVersion is 12.5 for 12.5.0, as Debian calls its releases elsewhere.
func debianVersion(number string) string {
	if strings.Count(number, ".") == 2 {
		return strings.TrimSuffix(number, ".0")
	}
	return number
}
