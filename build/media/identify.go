package media

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// Identity is what a medium says that it is, in xCAT's words.
type Identity struct {
	// OSVers is distribution and version, such as rocky9.4.
	OSVers string
	// Arch is an osarch, such as x86_64.
	Arch string
	// Disc is the number of the medium among those of its set, from 1 on.
	Disc string
	// Subdir is the directory below the distribution's that the medium goes into,
	// "" for that itself: media whose indexes have the same names lie side by side.
	Subdir string
	// Keys are the files at the root of the medium that hold the keys which sign its
	// packages.
	Keys []string
	// Warnings say what the medium cannot be used for.
	Warnings []string
}

// maxText is the most that is read of a file that describes a medium.
const maxText = 1 << 20

// errUnknown is what is said of media that none of the families know.
var errUnknown = errors.New("it is not a medium that is known here: neither .discinfo nor .treeinfo (RHEL and its clones, Fedora) " +
	"nor .disk/info (Debian, Ubuntu) nor media.1/media nor content (SUSE) says what it is; -n NAME -a ARCH says it, as in -n rocky9.4 -a x86_64")

// Identify reads the files by which distributions say what a medium is. What is not
// known stays empty in the Identity, and is in the error then.
func Identify(m *Medium) (Identity, error) {
	for _, family := range []func(fs.FS) (Identity, bool){identifyEL, identifyDebian, identifySUSE} {
		id, ok := family(m.Files)
		if !ok {
			continue
		}
		id.Keys = keysOf(m.Files)
		if id.Disc == "" {
			id.Disc = "1"
		}
		switch {
		case id.OSVers == "" && id.Arch == "":
			return id, errUnknown
		case id.OSVers == "":
			return id, fmt.Errorf("which distribution and version it is cannot be seen: %w", errUnknown)
		case id.Arch == "":
			return id, fmt.Errorf("it is %s, and of which architecture cannot be seen: -a ARCH says it", id.OSVers)
		}
		return id, nil
	}
	return Identity{Disc: "1", Keys: keysOf(m.Files)}, errUnknown
}

// readText reads a small file; what is not there is empty.
func readText(fsys fs.FS, name string) string {
	f, err := fsys.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxText))
	if err != nil {
		return ""
	}
	return string(text)
}

// lines are those of a text, without the space around them.
func lines(text string) []string {
	list := strings.Split(strings.TrimRight(text, "\r\n\t "), "\n")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

// line is the i-th of list, "" where there is none.
func line(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}

// exists tells whether a medium has a file or directory.
func exists(fsys fs.FS, name string) bool {
	_, err := fs.Stat(fsys, name)
	return err == nil
}

// keysOf lists the keys at the root of a medium, as EL and its clones have them.
func keysOf(fsys fs.FS) []string {
	var keys []string
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if match, _ := path.Match("RPM-GPG-KEY*", e.Name()); match && !e.IsDir() && !strings.Contains(e.Name(), ",") {
			keys = append(keys, e.Name())
		}
	}
	return keys
}

// ArchOf is the osarch of what a medium or a person calls an architecture, "" of what
// is none.
func ArchOf(name string) string {
	switch name {
	case "amd64", "x86-64":
		return "x86_64"
	case "arm64":
		return "aarch64"
	case "ppc":
		return "ppc64"
	case "i386", "i486", "i586", "i686":
		return "x86"
	case "x86_64", "aarch64", "ppc64", "ppc64le", "ppc64el", "riscv64", "s390x", "x86", "ia64":
		return name
	}
	return ""
}

// families are the names by which EL media call their distributions; the longer of
// two that begin alike stands first.
func families() []struct{ called, name string } {
	return []struct{ called, name string }{
		{"Red Hat Enterprise Linux", "rhels"},
		{"RHEL", "rhels"},
		{"Rocky", "rocky"},
		{"AlmaLinux", "alma"},
		{"CentOS Stream", "centos-stream"},
		{"CentOS", "centos"},
		{"Oracle Linux", "ol"},
		{"OL", "ol"},
		{"Scientific Linux", "SL"},
		{"Fedora", "fedora"},
	}
}

// version finds a version of one or two numbers.
var version = regexp.MustCompile(`(?:^|[ -])(\d+)(?:\.(\d+))?`)

// identifyEL reads .discinfo (its lines are an id, a description, the architecture
// and the discs, as anaconda's makestamp writes them) and .treeinfo.
func identifyEL(fsys fs.FS) (Identity, bool) {
	disc, tree := lines(readText(fsys, ".discinfo")), readText(fsys, ".treeinfo")
	if tree == "" {
		tree = readText(fsys, "treeinfo")
	}
	if len(disc) < 2 && tree == "" {
		return Identity{}, false
	}
	ini := parseINI(tree)
	id := Identity{Disc: line(disc, 3)}
	for _, text := range []string{
		line(disc, 1),
		ini["release.name"] + " " + ini["release.version"],
		ini["general.family"] + " " + ini["general.version"],
	} {
		if id.OSVers = elVersion(text); id.OSVers != "" {
			break
		}
	}
	if id.Disc == "ALL" || strings.Contains(id.Disc, ",") { // it has what several discs would
		id.Disc = "1"
	}
	for _, name := range []string{line(disc, 2), ini["tree.arch"], ini["general.arch"]} {
		if id.Arch = ArchOf(name); id.Arch != "" {
			break
		}
	}
	if !hasRepository(fsys) {
		id.Warnings = append(id.Warnings, "it has no repository of packages (repodata), as media that only boot an installer: use the DVD")
	}
	return id, true
}

// elVersion is the osvers that a description such as "Rocky Linux 9.3" means.
func elVersion(text string) string {
	for _, f := range families() {
		rest, ok := strings.CutPrefix(text, f.called)
		if !ok || f.called == "OL" && !strings.HasPrefix(rest, "-") && !strings.HasPrefix(rest, " ") {
			continue
		}
		v := version.FindStringSubmatch(rest)
		switch {
		case v == nil:
			return ""
		case v[2] == "" || f.name == "centos-stream":
			return f.name + v[1]
		}
		return f.name + v[1] + "." + v[2]
	}
	return ""
}

// hasRepository looks for repodata at the root and in the directories there, such
// as BaseOS.
func hasRepository(fsys fs.FS) bool {
	if exists(fsys, "repodata/repomd.xml") {
		return true
	}
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return false
	}
	for _, e := range entries {
		if exists(fsys, e.Name()+"/repodata/repomd.xml") {
			return true
		}
	}
	return false
}

// parseINI reads the lines NAME = VALUE below [SECTION] as SECTION.NAME.
func parseINI(text string) map[string]string {
	values, section := map[string]string{}, ""
	for _, l := range lines(text) {
		if strings.HasPrefix(l, "[") && strings.HasSuffix(l, "]") {
			section = l[1 : len(l)-1]
			continue
		}
		if name, value, ok := strings.Cut(l, "="); ok && !strings.HasPrefix(l, "#") {
			values[section+"."+strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return values
}
