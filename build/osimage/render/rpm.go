package render

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rootcast/rootcast/build/osimage"
)

// rpmRepositories writes the .repo files of pkgdir and otherpkgdir, which dnf and
// zypper both read. Directories without repository data get some made.
func (r *renderer) rpmRepositories() error {
	id := r.d.Get("osvers") + "-" + r.d.Get("osarch")
	var text strings.Builder
	n := 0
	for _, entry := range r.d.Items("pkgdir") {
		for _, url := range r.repositoriesOf(entry, &r.out.Repositories) {
			r.stanza(&text, fmt.Sprintf("%s-%d", id, n), url, r.o.Unchecked == AllUnchecked)
			n++
		}
	}
	if text.Len() > 0 {
		r.content(pkgPart+"/pkgdir.repo", text.String())
	}
	text.Reset()
	n = 0
	for _, entry := range r.d.Items("otherpkgdir") {
		dirs := []string{entry}
		if !isURL(entry) {
			dirs = r.subdirectories(entry)
		}
		for _, dir := range dirs {
			r.stanza(&text, fmt.Sprintf("otherpkgs%d", n), r.otherRepository(dir, n), r.o.Unchecked != CheckAll)
			n++
		}
	}
	if dir := r.d.Get("kerneldir"); dir != "" {
		if v := filepath.Join(dir, r.d.Get("kernelver")); isFile(filepath.Join(v, "repodata", "repomd.xml")) {
			dir = v
		}
		for _, url := range r.repositoriesOf(dir, &r.out.Others) {
			r.stanza(&text, fmt.Sprintf("kernels%d", n), url, r.o.Unchecked != CheckAll)
			n++
		}
	}
	if text.Len() > 0 {
		r.content(otherPart+"/otherpkgs.repo", text.String())
	}
	return nil
}

func isURL(entry string) bool { return strings.Contains(entry, "://") }

func (r *renderer) stanza(text *strings.Builder, name, url string, unchecked bool) {
	check := "1"
	if unchecked {
		check = "0"
	}
	fmt.Fprintf(text, "[%s]\nname=%s\nbaseurl=%s\nenabled=1\nautorefresh=1\ngpgcheck=%s\n", name, name, url, check)
	if keys := r.keys(); keys != nil {
		fmt.Fprintf(text, "gpgkey=file://%s\n", strings.Join(keys, "\n       file://"))
	}
	text.WriteString("\n")
}

// repositoriesOf are the URLs of what an entry of pkgdir holds: it may be a medium
// with a repository in each of its directories, as xCAT has it.
func (r *renderer) repositoriesOf(entry string, repositories *[]string) []string {
	if isURL(entry) {
		*repositories = append(*repositories, entry)
		return []string{entry}
	}
	var urls []string
	err := filepath.WalkDir(entry, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !e.IsDir():
			return nil
		case e.Name() == "repodata" && isFile(filepath.Join(path, "repomd.xml")):
			urls = append(urls, "file://"+filepath.Dir(path))
			return fs.SkipDir
		case e.Name() == "Packages" || strings.Count(strings.TrimPrefix(path, entry), "/") > 4:
			return fs.SkipDir
		}
		return nil
	})
	if err != nil || urls == nil {
		text := fmt.Sprintf("pkgdir: %s holds no repository (repodata/repomd.xml)", entry)
		if err != nil {
			text = fmt.Sprintf("pkgdir: %v", err)
		}
		r.problems = append(r.problems, osimage.Problem{File: r.d.Path, Text: text})
		return nil
	}
	*repositories = append(*repositories, entry)
	r.volume(entry)
	return urls
}

// otherRepository is the URL of a directory of otherpkgdir, whose repository data
// may have to be made.
func (r *renderer) otherRepository(dir string, n int) string {
	if isURL(dir) {
		r.out.Others = append(r.out.Others, dir)
		return dir
	}
	r.volume(dir)
	if isFile(filepath.Join(dir, "repodata", "repomd.xml")) {
		r.out.Others = append(r.out.Others, dir)
		return "file://" + dir
	}
	name := fmt.Sprintf("%s/indexes/%d", otherPart, n)
	r.out.Indexes = append(r.out.Indexes, Index{Dir: dir, Name: contextDir + "/" + name})
	return "file://" + mountedAt + "/" + name
}

// importKeys has the image's rpm trust the keys of gpgkeys, or those that the base
// brings along.
func (r *renderer) importKeys() []string {
	if r.o.Unchecked == AllUnchecked {
		return nil
	}
	if keys := r.keys(); keys != nil {
		return words("rpm --import", keys)
	}
	return []string{
		"for key in /etc/pki/rpm-gpg/* /usr/lib/rpm/gnupg/keys/*; do",
		`  [ ! -f "$key" ] || rpm --import "$key" 2>/dev/null || true`,
		"done",
	}
}

// driverFiles installs RPM files, though they may want another kernel.
func driverFiles(files []string) []string {
	return append(words("rpm -U --replacepkgs --nodeps", files), "for v in /lib/modules/*; do depmod \"${v##*/}\"; done")
}

// dnf installs packages of RHEL, its clones and Fedora.
type dnf struct{ *renderer }

func (m *dnf) begin() []string {
	return []string{
		"# Nodes get their first stage from convert; no kernel package makes one.",
		"RUN mkdir -p /etc/kernel/install.d && ln -sf /dev/null /etc/kernel/install.d/50-dracut.install && ln -sf /dev/null /etc/kernel/install.d/51-dracut-rescue.install",
	}
}

func (m *dnf) cache() []string {
	return []string{"type=cache,id=osimage-" + m.d.Get("osvers") + "-" + m.d.Get("osarch") + "-dnf,target=/var/cache/dnf,sharing=locked"}
}

func (m *dnf) repositories() error { return m.rpmRepositories() }

func (m *dnf) prepare(others bool) []string {
	c := "dnf -y --setopt=install_weak_deps=0 --setopt=skip_if_unavailable=0 --setopt=keepcache=1"
	var dirs []string
	if m.hasPart(pkgPart) {
		c += " --releasever=" + quote(m.distribution.Version)
		dirs = append(dirs, mountedAt+"/"+pkgPart)
	} else {
		dirs = append(dirs, "/etc/yum.repos.d")
	}
	if others && m.hasPart(otherPart) {
		dirs = append(dirs, mountedAt+"/"+otherPart)
	}
	if len(dirs) > 1 || m.hasPart(pkgPart) {
		c += " --setopt=reposdir=" + strings.Join(dirs, ",")
	}
	return append(m.importKeys(), "packages() { "+c+` "$@"; }`, "packages --refresh makecache")
}

func (m *dnf) finish() []string { return []string{"rm -rf /var/log/dnf* /var/log/hawkey*"} }

func (m *dnf) install(names []string) ([]string, error) { return words("packages install", names), nil }

func (m *dnf) remove(names []string) []string { return words("packages remove", names) }

func (m *dnf) upgrade() []string {
	if m.d.Get("kernelver") != "" {
		return []string{"packages --exclude='kernel*' upgrade"}
	}
	return []string{"packages upgrade"}
}

func (m *dnf) versioned(name string) string {
	version := m.d.Get("kernelver")
	if version == "" || !slices.Contains([]string{"kernel", "kernel-headers", "kernel-devel", "kernel-bootwrapper", "kernel-tools", "kernel-core", "kernel-modules"}, name) {
		return name
	}
	return name + "-" + version
}

func (m *dnf) drivers(files []string) ([]string, error) {
	if m.o.IgnoreKernel {
		return driverFiles(files), nil
	}
	return append(words("packages install", files), "for v in /lib/modules/*; do depmod \"${v##*/}\"; done"), nil
}

func (m *dnf) dhcp(port string) File {
	return File{
		Name: "/etc/NetworkManager/system-connections/" + port + ".nmconnection", Mode: 0o600,
		Content: "[connection]\nid=" + port + "\ntype=ethernet\ninterface-name=" + port + "\n\n[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n",
	}
}

// zypper installs packages of SLES and Leap.
type zypper struct{ *renderer }

const zypperRepos = "/tmp/rootcast-repos"

func (z *zypper) begin() []string { return nil }

func (z *zypper) cache() []string {
	return []string{"type=cache,id=osimage-" + z.d.Get("osvers") + "-" + z.d.Get("osarch") + "-zypp,target=/var/cache/zypp,sharing=locked"}
}

func (z *zypper) repositories() error { return z.rpmRepositories() }

func (z *zypper) prepare(others bool) []string {
	c := "zypper --non-interactive --reposd-dir " + zypperRepos
	if z.o.Unchecked == AllUnchecked {
		c += " --no-gpg-checks"
	}
	lines := append(z.importKeys(), "packages() { "+c+` "$@"; }`, "mkdir -p "+zypperRepos)
	if z.hasPart(pkgPart) {
		lines = append(lines, "cp "+mountedAt+"/"+pkgPart+"/*.repo "+zypperRepos)
	} else {
		lines = append(lines, "cp /etc/zypp/repos.d/*.repo "+zypperRepos+" 2>/dev/null || true")
	}
	if others && z.hasPart(otherPart) {
		lines = append(lines, "cp "+mountedAt+"/"+otherPart+"/*.repo "+zypperRepos)
	}
	return append(lines, "packages refresh")
}

func (z *zypper) finish() []string {
	return []string{"rm -rf " + zypperRepos + " /var/log/zypp /var/log/zypper.log"}
}

// install takes patterns apart from packages, as zypper does.
func (z *zypper) install(names []string) ([]string, error) {
	var packages, patterns, lines []string
	for _, name := range names {
		if pattern, ok := strings.CutPrefix(name, "@"); ok {
			patterns = append(patterns, pattern)
		} else {
			packages = append(packages, name)
		}
	}
	if packages != nil {
		lines = append(lines, words("packages install -l --no-recommends", packages)...)
	}
	if patterns != nil {
		lines = append(lines, words("packages install -l --no-recommends -t pattern", patterns)...)
	}
	return lines, nil
}

func (z *zypper) remove(names []string) []string {
	return []string{
		"set --",
		"for package in " + quoted(names) + "; do",
		`  if rpm -q "$package" >/dev/null 2>&1; then set -- "$@" "$package"; fi`,
		"done",
		`[ $# = 0 ] || ` + `packages remove "$@"`,
	}
}

func (z *zypper) upgrade() []string {
	return []string{"packages update -l --no-recommends"}
}

func (z *zypper) versioned(name string) string {
	version := z.d.Get("krpmver")
	if version == "" || !strings.HasPrefix(name, "kernel-") || strings.Contains(name, "firmware") {
		return name
	}
	return name + "=" + version
}

func (z *zypper) drivers(files []string) ([]string, error) {
	if z.o.IgnoreKernel {
		return driverFiles(files), nil
	}
	return append(words("packages install -l --no-recommends", files), "for v in /lib/modules/*; do depmod \"${v##*/}\"; done"), nil
}

func (z *zypper) dhcp(port string) File {
	return File{Name: "/etc/sysconfig/network/ifcfg-" + port, Mode: 0o644, Content: "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n"}
}
