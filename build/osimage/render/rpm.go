package render

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// rpmRepositories writes the .repo files of pkgdir and otherpkgdir, which dnf and
// zypper both read. Directories without repository data get some made.
func (r *renderer) rpmRepositories() error {
	id := r.d.Get("osvers") + "-" + r.d.Get("osarch")
	var text strings.Builder
	n := 0
	for _, entry := range r.d.Items("pkgdir") {
		for _, url := range r.repositoriesOf("pkgdir", entry, &r.out.Repositories) {
			r.stanza(&text, fmt.Sprintf("%s-%d", id, n), url, r.o.Unchecked == AllUnchecked)
			n++
		}
	}
	if text.Len() > 0 {
		r.content(pkgPart+"/pkgdir.repo", text.String())
	}
	r.kernelRepositories()
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
	if text.Len() > 0 {
		r.content(otherPart+"/otherpkgs.repo", text.String())
	}
	return nil
}

// kernelRepositories writes those of kerneldir, of the kernel that is wanted if it has
// one of its own there.
func (r *renderer) kernelRepositories() {
	dir := r.d.Get("kerneldir")
	if dir == "" {
		return
	}
	if v := filepath.Join(dir, r.d.Get("kernelver")); isFile(filepath.Join(v, "repodata", "repomd.xml")) {
		dir = v
	}
	var text strings.Builder
	for i, url := range r.repositoriesOf("kerneldir", dir, &r.out.Repositories) {
		r.stanza(&text, fmt.Sprintf("kernels%d", i), url, r.o.Unchecked != CheckAll)
	}
	r.content(pkgPart+"/kerneldir.repo", text.String())
}

func isURL(entry string) bool { return strings.Contains(entry, "://") }

func (r *renderer) stanza(text *strings.Builder, name, url string, unchecked bool) {
	check := "1"
	if unchecked {
		check = "0"
	}
	fmt.Fprintf(text, "[%s]\nname=%s\nbaseurl=%s\nenabled=1\nautorefresh=1\ngpgcheck=%s\n", name, name, url, check)
	if dir, ok := strings.CutPrefix(url, "file://"); ok && !unchecked && !isFile(filepath.Join(dir, "repodata", "repomd.xml.asc")) {
		// What nobody signed; zypper would want it, and packages are checked as they are elsewhere.
		text.WriteString("repo_gpgcheck=0\npkg_gpgcheck=1\n")
	}
	if keys := r.keys(); keys != nil {
		fmt.Fprintf(text, "gpgkey=file://%s\n", strings.Join(keys, "\n       file://"))
	}
	text.WriteString("\n")
}

// repositoriesOf are the URLs of what an entry of pkgdir holds: it may be a medium
// with a repository in each of its directories, as xCAT has it.
func (r *renderer) repositoriesOf(attribute, entry string, repositories *[]string) []string {
	if isURL(entry) {
		*repositories = append(*repositories, entry)
		return []string{entry}
	}
	var urls []string
	given := entry
	entry, err := filepath.EvalSymlinks(entry)
	if err != nil {
		r.problem(attribute, "%v", err)
		return nil
	}
	err = filepath.WalkDir(entry, func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrPermission) && path != entry: // such as lost+found
			return fs.SkipDir
		case err != nil:
			return err
		case e.Name() == "repodata" && isFile(filepath.Join(path, "repomd.xml")):
			urls = append(urls, "file://"+filepath.Dir(path))
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		case !e.IsDir():
			return nil
		case e.Name() == "Packages" || strings.Count(strings.TrimPrefix(path, entry), "/") > 4:
			return fs.SkipDir
		}
		return nil
	})
	if err != nil || urls == nil {
		if err == nil {
			err = fmt.Errorf("%s holds no repository (repodata/repomd.xml)", given)
		}
		r.problem(attribute, "%v", err)
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
	return fmt.Sprintf("file://%s/%d", indexes, len(r.out.Indexes))
}

// indexed puts together repositories of packages and of the data that was made of
// them, for zypper looks for both in one place.
func (r *renderer) indexed() []string {
	var lines []string
	for i, x := range r.out.Indexes {
		at := fmt.Sprintf("%s/%d", indexes, i+1)
		lines = append(lines, "mkdir -p "+at, "ln -s "+Quote(x.Dir)+"/* "+mountedAt+strings.TrimPrefix(x.Name, contextDir)+"/repodata "+at)
	}
	return lines
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

// removeInstalled removes those packages that are there.
func removeInstalled(names []string) []string {
	return []string{
		"set --",
		"for package in " + quoted(names) + "; do",
		`  if rpm -q "$package" >/dev/null 2>&1; then set -- "$@" "$package"; fi`,
		"done",
		`[ $# = 0 ] || packages remove "$@"`,
	}
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
	id := "type=cache,id=osimage-" + m.d.Get("osvers") + "-" + m.d.Get("osarch")
	return []string{id + "-dnf,target=/var/cache/dnf,sharing=locked", id + "-libdnf5,target=/var/cache/libdnf5,sharing=locked"}
}

func (m *dnf) repositories() error { return m.rpmRepositories() }

func (m *dnf) prepare(others bool) []string {
	c := "dnf -y --setopt=install_weak_deps=0 --setopt=skip_if_unavailable=0 --setopt=keepcache=1"
	var dirs []string
	if m.hasPart(pkgPart) {
		c += " --releasever=" + Quote(m.distribution.Version)
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
	lines := m.importKeys()
	if others {
		lines = append(lines, m.indexed()...)
	}
	return append(lines, "packages() { "+c+` "$@"; }`, "packages --refresh makecache")
}

func (m *dnf) finish() []string {
	return []string{"rm -rf " + indexes + " /var/log/dnf* /var/log/hawkey*"}
}

// install asks for environments as for groups: dnf knows no @^.
func (m *dnf) install(names []string) ([]string, error) {
	names = slices.Clone(names)
	for i, name := range names {
		if environment, ok := strings.CutPrefix(name, "@^"); ok {
			names[i] = "@" + environment
		}
	}
	return words("packages install", names), nil
}

func (m *dnf) remove(names []string) []string { return removeInstalled(names) }

func (m *dnf) upgrade() []string {
	if m.d.Get("kernelver") != "" {
		return []string{"packages --exclude='kernel*' upgrade"}
	}
	return []string{"packages upgrade"}
}

func (m *dnf) versioned(name string) string {
	version := m.d.Get("kernelver")
	other := []string{"kernel-srpm-macros", "kernel-rpm-macros", "kernel-abi-stablelists"}
	if version == "" || name != "kernel" && !strings.HasPrefix(name, "kernel-") || slices.Contains(other, name) {
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
	// 102 and 103 ask for a restart, of the machine or of zypper. With /.buildenv
	// SUSE's kernel packages make no initrd.
	lines := append(z.importKeys(),
		"packages() { code=0; "+c+` "$@" || code=$?; case $code in 0 | 102 | 103) ;; *) return "$code" ;; esac; }`,
		": >/.buildenv", "mkdir -p "+zypperRepos)
	if z.hasPart(pkgPart) {
		lines = append(lines, "cp "+mountedAt+"/"+pkgPart+"/*.repo "+zypperRepos)
	} else {
		lines = append(lines, "cp /etc/zypp/repos.d/*.repo "+zypperRepos+" 2>/dev/null || true")
	}
	if others && z.hasPart(otherPart) {
		lines = append(lines, z.indexed()...)
		lines = append(lines, "cp "+mountedAt+"/"+otherPart+"/*.repo "+zypperRepos)
	}
	return append(lines, "packages refresh")
}

func (z *zypper) finish() []string {
	return []string{"rm -rf /.buildenv " + indexes + " " + zypperRepos + " /var/log/zypp /var/log/zypper.log"}
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

func (z *zypper) remove(names []string) []string { return removeInstalled(names) }

func (z *zypper) upgrade() []string {
	update := "packages update -l --no-recommends"
	if z.d.Get("krpmver") != "" {
		return []string{"packages addlock 'kernel-*'", update, "packages removelock 'kernel-*'"}
	}
	return []string{update}
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
