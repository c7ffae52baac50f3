package render

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/rootcast/rootcast/build/osimage"
)

// apt installs packages of Debian and Ubuntu.
type apt struct {
	*renderer
	bare []bareDirectory
}

// bareDirectory holds packages without an index, for the steps that see a part of the
// context.
type bareDirectory struct{ dir, part string }

// aptSources is where a step puts its lists of sources.
const aptSources = "/tmp/rootcast-sources"

// aptGet asks nothing, keeps configuration files that were changed, and takes no
// repository that cannot be read or is signed by others for one that did not change.
const aptGet = "apt-get -q -y -o Acquire::Languages=none -o APT::Update::Error-Mode=any" +
	" -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold"

func (a *apt) begin() []string {
	return []string{"# Nodes get their first stage from convert; no kernel package makes one.", "ENV INITRD=No"}
}

func (a *apt) cache() []string {
	id := a.d.Get("osvers") + "-" + a.d.Get("osarch")
	// Lists that were taken unchecked, or from elsewhere, are no one else's.
	from := digest.FromString(a.d.Get("pkgdir") + "\n" + a.d.Get("otherpkgdir") + "\n" + a.d.Get("gpgkeys") + "\n" + string(a.o.Unchecked)).Encoded()[:12]
	return []string{
		"type=cache,id=osimage-" + id + "-lists-" + from + ",target=/var/lib/apt/lists,sharing=locked",
		"type=cache,id=osimage-" + id + "-archives,target=/var/cache/apt,sharing=locked",
	}
}

// repositories writes the sources; without pkgdir the image's own are used.
func (a *apt) repositories() error {
	var lines []string
	for _, entry := range a.d.Items("pkgdir") {
		more, err := a.source(entry, a.o.Unchecked == AllUnchecked, &a.out.Repositories)
		if err != nil {
			return err
		}
		lines = append(lines, more...)
	}
	if lines != nil {
		a.content(pkgPart+"/pkgdir.list", strings.Join(lines, "\n")+"\n")
	}
	lines = nil
	unchecked := a.o.Unchecked != CheckAll
	for _, entry := range a.d.Items("otherpkgdir") {
		if strings.Contains(entry, "://") {
			more, err := a.source(entry, unchecked, &a.out.Others)
			if err != nil {
				return err
			}
			lines = append(lines, more...)
			continue
		}
		for _, dir := range a.subdirectories(entry) {
			more, err := a.source(dir, unchecked, &a.out.Others)
			if err != nil {
				return err
			}
			lines = append(lines, more...)
		}
	}
	if lines != nil {
		a.content(otherPart+"/otherpkgs.list", strings.Join(lines, "\n")+"\n")
	}
	return nil
}

// subdirectories of a local otherpkgdir are those that the list of packages names.
func (r *renderer) subdirectories(dir string) []string {
	var dirs []string
	for _, pass := range r.others.Passes {
		for _, p := range pass.Packages {
			sub := filepath.Join(dir, p.Dir)
			if p.Remove != osimage.Keep || slices.Contains(dirs, sub) {
				continue
			}
			if !isDir(sub) {
				r.problems = append(r.problems, osimage.Problem{File: p.File, Line: p.Line, Text: fmt.Sprintf("%s: there is no directory %s", p.Name, sub)})
				continue
			}
			dirs = append(dirs, sub)
		}
	}
	return dirs
}

// source returns sources.list lines of an entry: "URL SUITE COMPONENT...", a URL
// alone, or a directory of this machine.
func (a *apt) source(entry string, unchecked bool, repositories *[]string) ([]string, error) {
	options := a.options(unchecked)
	if !strings.Contains(entry, "://") {
		return a.directory(entry, unchecked, repositories)
	}
	*repositories = append(*repositories, entry)
	entry = strings.TrimPrefix(strings.TrimSpace(entry), "deb ")
	fields := strings.Fields(entry)
	switch {
	case strings.HasPrefix(entry, "["):
		return []string{"deb " + entry}, nil
	case len(fields) > 1:
		return []string{"deb " + options + entry}, nil
	}
	// The suite is that of the image, which it knows itself.
	return []string{"deb " + options + entry + " @SUITE@ main"}, nil
}

func (a *apt) options(unchecked bool) string {
	switch keys := a.keys(); {
	case unchecked:
		return "[trusted=yes] "
	case keys != nil:
		return "[signed-by=" + strings.Join(keys, ",") + "] "
	}
	return ""
}

// keys are the files of gpgkeys, as the steps see them.
func (r *renderer) keys() []string {
	var names []string
	for i, key := range r.d.Items("gpgkeys") {
		name := fmt.Sprintf("%s/%d%s", keysPart, i+1, keyExtension(key))
		if !slices.ContainsFunc(r.out.Files, func(f File) bool { return f.Name == contextDir+"/"+name }) {
			r.file(name, key, 0o644)
		}
		names = append(names, mountedAt+"/"+name)
	}
	return names
}

// keyExtension is .asc for a key in ASCII armor and .gpg for a keyring, by which
// apt tells them.
func keyExtension(name string) string {
	text, err := os.ReadFile(name)
	if err == nil && !strings.Contains(string(text), "-----BEGIN PGP") {
		return ".gpg"
	}
	return ".asc"
}

// directory is a repository on this machine: with suites, a flat one, or packages
// alone, of which the step makes an index.
func (a *apt) directory(dir string, unchecked bool, repositories *[]string) ([]string, error) {
	if !isDir(dir) {
		a.problem("pkgdir", "%s is no directory of packages", dir)
		return nil, nil
	}
	a.volume(dir)
	if suites := suitesOf(dir); suites != nil {
		*repositories = append(*repositories, dir)
		var lines []string
		for _, s := range suites {
			lines = append(lines, "deb "+a.options(unchecked)+"file:"+dir+" "+s)
		}
		return lines, nil
	}
	for _, name := range []string{"Packages", "Packages.gz", "Packages.xz"} {
		if isFile(filepath.Join(dir, name)) {
			*repositories = append(*repositories, dir)
			return []string{"deb " + a.options(unchecked) + "file:" + dir + " ./"}, nil
		}
	}
	debs, _ := filepath.Glob(filepath.Join(dir, "*.deb")) // a pattern that is wrong finds nothing
	if len(debs) == 0 {
		a.problem("pkgdir", "%s has neither repository data nor packages", dir)
		return nil, nil
	}
	part := otherPart
	if repositories == &a.out.Repositories {
		part = pkgPart
	}
	a.content(fmt.Sprintf("%s/packages-%d", part, len(a.bare)+1), inventory(debs))
	// A package carries no signature, and the index is made from what lies here.
	a.bare = append(a.bare, bareDirectory{dir, part})
	return []string{fmt.Sprintf("deb [trusted=yes] file:%s/%d ./", indexes, len(a.bare))}, nil
}

// inventory names files with size and time, so that a step runs again when they change.
func inventory(files []string) string {
	var b strings.Builder
	for _, name := range files {
		if info, err := os.Stat(name); err == nil {
			fmt.Fprintf(&b, "%s %d %d\n", filepath.Base(name), info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String()
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// Sources are the lines of sources.list by which apt reads an entry of pkgdir from
// outside of an image; a URL alone stays one.
func Sources(entry string, unchecked bool) []string {
	options := ""
	if unchecked {
		options = "[trusted=yes] "
	}
	entry = strings.TrimPrefix(strings.TrimSpace(entry), "deb ")
	switch {
	case strings.HasPrefix(entry, "["):
		return []string{"deb " + entry}
	case strings.Contains(entry, "://") && len(strings.Fields(entry)) == 1:
		return []string{entry}
	case strings.Contains(entry, "://"):
		return []string{"deb " + options + entry}
	}
	var lines []string
	for _, suite := range suitesOf(entry) {
		lines = append(lines, "deb "+options+"file:"+entry+" "+suite)
	}
	return lines
}

// suitesOf are the suites of a repository with their components, each once though
// it may have several names.
func suitesOf(dir string) []string {
	found, _ := filepath.Glob(filepath.Join(dir, "dists", "*", "Release")) // the pattern is right
	var suites []string
	for _, release := range found {
		at := filepath.Dir(release)
		if info, err := os.Lstat(at); err != nil || info.Mode()&fs.ModeSymlink != 0 {
			continue
		}
		text, err := os.ReadFile(release)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if components, ok := strings.CutPrefix(line, "Components:"); ok {
				suites = append(suites, filepath.Base(at)+" "+oneLine(components))
			}
		}
	}
	return suites
}

func (a *apt) prepare(others bool) []string {
	lines := []string{
		"export DEBIAN_FRONTEND=noninteractive",
		`printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d`,
		"chmod 0755 /usr/sbin/policy-rc.d",
		"rm -f /etc/apt/apt.conf.d/docker-clean",
	}
	own := !a.hasPart(pkgPart)
	if own && !others {
		return append(lines, `apt() { `+aptGet+` "$@"; }`, "apt update")
	}
	lines = append(lines, `apt() { `+aptGet+` -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=`+aptSources+` "$@"; }`,
		". /etc/os-release", "mkdir -p "+aptSources)
	if own {
		lines = append(lines, "cp /etc/apt/sources.list "+aptSources+"/image.list 2>/dev/null || true",
			"cp /etc/apt/sources.list.d/* "+aptSources+" 2>/dev/null || true")
	}
	for _, f := range a.out.Files {
		part, base := path.Split(strings.TrimPrefix(f.Name, contextDir+"/"))
		if path.Ext(base) != ".list" || part == otherPart+"/" && !others {
			continue
		}
		lines = append(lines, fmt.Sprintf(`sed "s/@SUITE@/${VERSION_CODENAME:-}/" %s/%s%s >%s/%s`, mountedAt, part, base, aptSources, base))
	}
	for i, b := range a.bare {
		if others || b.part == pkgPart {
			lines = append(lines, indexLines(b.dir, fmt.Sprintf("%s/%d", indexes, i+1))...)
		}
	}
	return append(lines, "apt update")
}

// indexLines make the index of a directory of packages in another.
func indexLines(dir, at string) []string {
	return []string{
		"mkdir -p " + at,
		"for deb in " + Quote(dir) + "/*.deb; do",
		`  ln -s "$deb" ` + at,
		`  dpkg-deb -f "$deb"`,
		`  printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "${deb##*/}" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d ' ' -f 1)"`,
		"done >" + at + "/Packages",
	}
}

func (a *apt) finish() []string {
	return []string{"rm -rf /usr/sbin/policy-rc.d " + aptSources + " " + indexes + " /var/log/apt /var/cache/debconf/*-old /var/lib/dpkg/*-old"}
}

func (a *apt) install(names []string) ([]string, error) {
	for _, name := range names {
		if strings.HasPrefix(name, "@") {
			return nil, fmt.Errorf("%s: %s has no groups of packages; name its packages", name, a.d.Get("osvers"))
		}
	}
	return words("apt --no-install-recommends install", names), nil
}

func (a *apt) remove(names []string) []string {
	return []string{
		"set --",
		"for package in " + quoted(names) + "; do",
		`  if dpkg-query -W "$package" >/dev/null 2>&1; then set -- "$@" "$package"; fi`,
		"done",
		`[ $# = 0 ] || ` + `apt purge "$@"`,
	}
}

func quoted(names []string) string {
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = Quote(n)
	}
	return strings.Join(list, " ")
}

func (a *apt) upgrade() []string { return []string{"apt --no-install-recommends dist-upgrade"} }

func (a *apt) versioned(name string) string {
	version := a.d.Get("kernelver")
	kinds := []string{"linux-image-generic", "linux-image-amd64", "linux-image-arm64", "linux-image-powerpc64le", "linux-image-virtual", "linux-image-cloud-amd64", "linux-image-cloud-arm64", "linux-image-riscv64", "linux-image-s390x"}
	if version == "" || !slices.Contains(kinds, name) {
		return name
	}
	return "linux-image-" + version
}

func (a *apt) drivers([]string) ([]string, error) {
	return nil, fmt.Errorf("driverupdatesrc: %s has no RPM packages; put packages of drivers into otherpkglist", a.d.Get("osvers"))
}

func (a *apt) dhcp(port string) File {
	return File{Name: "/etc/systemd/network/75-" + port + ".network", Mode: 0o644, Content: "[Match]\nName=" + port + "\n\n[Network]\nDHCP=yes\n\n[DHCPv4]\nClientIdentifier=mac\n"}
}
