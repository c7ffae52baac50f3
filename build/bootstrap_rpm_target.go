package build

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/rootcast/rootcast/build/osimage"
)

// rpmNames are the distributions of RPM packages: what xCAT calls them and what
// people do.
func rpmNames() map[string]string {
	return map[string]string{
		"rocky": "Rocky Linux", "alma": "AlmaLinux", "rhel": "Red Hat Enterprise Linux", "rhels": "Red Hat Enterprise Linux",
		"centos-stream": "CentOS Stream", "centos": "CentOS", "ol": "Oracle Linux", "fedora": "Fedora Linux", "SL": "Scientific Linux",
		"leap": "openSUSE Leap", "opensuse-leap": "openSUSE Leap", "sles": "SUSE Linux Enterprise Server", "sle": "SUSE Linux Enterprise Server",
	}
}

// parseRPMTarget parses the target of a distribution of RPM packages.
func parseRPMTarget(name, release string) (bootstrapTarget, error) {
	if name == "sl" {
		name = "SL"
	}
	title, ok := rpmNames()[name]
	if !ok {
		return bootstrapTarget{}, fmt.Errorf("distribution %q cannot be bootstrapped; debian, ubuntu, rocky, alma, rhel, centos-stream, centos, ol, fedora, leap and sles can", name)
	}
	d, err := osimage.ParseDistribution(name + release)
	if err != nil || d.Name != name {
		return bootstrapTarget{}, fmt.Errorf("%q is no release of %s, as 9.4 or 15.6 are", release, title)
	}
	d.Version = regexp.MustCompile(`-?sp`).ReplaceAllString(d.Version, ".") // SUSE's 15sp5 is its 15.5
	if !regexp.MustCompile(`^[0-9]+(\.[0-9]+)*$`).MatchString(d.Version) {
		return bootstrapTarget{}, fmt.Errorf("%q is no release of %s, as 9.4 or 15.6 are", release, title)
	}
	return bootstrapTarget{distro: distribution{name: name, title: title}, release: d.Version, rpm: d}, nil
}

// major is the release without what comes after the dot.
func (t bootstrapTarget) major() int {
	n := 0
	fmt.Sscanf(t.rpm.Major(), "%d", &n) //nolint:errcheck // digits by parseRPMTarget
	return n
}

// isEL tells RHEL and its clones.
func (t bootstrapTarget) isEL() bool {
	return t.rpm.Family == osimage.DNF && t.rpm.Name != "fedora"
}

// dbPath is where the release's rpm has its database.
func (t bootstrapTarget) dbPath() string {
	switch {
	case t.isEL() && t.major() < 10, t.rpm.Name == "fedora" && t.major() < 36, t.rpm.Family == osimage.Zypper && t.major() < 15:
		return "/var/lib/rpm"
	}
	return "/usr/lib/sysimage/rpm"
}

// modulePlatform is what modules of the release are made for, if it has some.
func (t bootstrapTarget) modulePlatform() string {
	switch {
	case t.rpm.Name == "fedora":
		return "platform:f" + t.rpm.Major()
	case t.isEL() && t.major() >= 8:
		return "platform:el" + t.rpm.Major()
	}
	return ""
}

// packageChoice is a package of the minimal set by the names that it has in
// one release or another; the first that there is, is taken.
type packageChoice struct {
	names    []string
	optional bool
}

// minimalPackages are those of the variant minbase.
func (t bootstrapTarget) minimalPackages() []packageChoice {
	need := func(names ...string) packageChoice { return packageChoice{names: names} }
	if t.rpm.Family == osimage.Zypper {
		release := need("sles-release", "SLES-release")
		if strings.HasSuffix(t.rpm.Name, "leap") {
			release = need("Leap-release", "openSUSE-release", "leap-release")
		}
		return []packageChoice{release, need("bash"), need("coreutils"), need("rpm"), need("zypper")}
	}
	release := map[string]packageChoice{
		"rocky": need("rocky-release"), "alma": need("almalinux-release"), "ol": need("oraclelinux-release"),
		"rhel": need("redhat-release", "redhat-release-server"), "rhels": need("redhat-release", "redhat-release-server"),
		"centos-stream": need("centos-stream-release"), "centos": need("centos-linux-release", "centos-release"),
		"fedora": need("fedora-release-container", "fedora-release"), "SL": need("sl-release"),
	}[t.rpm.Name]
	list := []packageChoice{
		release, need("bash"), need("coreutils-single", "coreutils"),
		{names: []string{"glibc-minimal-langpack"}, optional: true},
		need("rpm"),
	}
	if t.isEL() && t.major() < 8 {
		return append(list, need("yum"))
	}
	return append(list, need("dnf", "dnf5"))
}

// publicRepositories are the well-known ones of the release, by places that
// are tried one after the other: what is no longer current moves.
func (t bootstrapTarget) publicRepositories(arch string) [][]string {
	major := t.rpm.Major()
	below := func(base string, subs ...string) []string {
		var list []string
		for _, sub := range subs {
			list = append(list, base+strings.NewReplacer("ARCH", arch, "MAJOR", major).Replace(sub))
		}
		return list
	}
	el := []string{"/BaseOS/ARCH/os", "/AppStream/ARCH/os"}
	v := t.release
	switch t.rpm.Name {
	case "rocky":
		return [][]string{below("https://dl.rockylinux.org/pub/rocky/"+v, el...), below("https://dl.rockylinux.org/vault/rocky/"+v, el...)}
	case "alma":
		return [][]string{below("https://repo.almalinux.org/almalinux/"+v, el...), below("https://vault.almalinux.org/"+v, el...)}
	case "centos-stream":
		return [][]string{below("https://mirror.stream.centos.org/"+major+"-stream", el...), below("https://vault.centos.org/"+major+"-stream", el...)}
	case "fedora":
		subs := []string{"/releases/" + v + "/Everything/ARCH/os", "/updates/" + v + "/Everything/ARCH"}
		return [][]string{below("https://dl.fedoraproject.org/pub/fedora/linux", subs...), below("https://archives.fedoraproject.org/pub/archive/fedora/linux", subs...)}
	case "ol":
		if t.major() < 8 {
			return [][]string{below("https://yum.oracle.com/repo/OracleLinux/OL"+major, "/latest/ARCH")}
		}
		return [][]string{below("https://yum.oracle.com/repo/OracleLinux/OL"+major, "/baseos/latest/ARCH", "/appstream/ARCH")}
	case "leap", "opensuse-leap":
		return [][]string{below("https://download.opensuse.org", "/distribution/leap/"+v+"/repo/oss", "/update/leap/"+v+"/oss", "/update/leap/"+v+"/sle")}
	}
	return nil
}

// keyPatterns are the names of the distribution's keys below /etc/pki/rpm-gpg,
// and below a directory of its own in /usr/share/distribution-gpg-keys.
func (t bootstrapTarget) keyPatterns() []string {
	major := t.rpm.Major()
	dir, names := "", []string(nil)
	switch t.rpm.Name {
	case "rocky":
		dir, names = "rocky", []string{"RPM-GPG-KEY-Rocky-" + major}
		if t.major() == 8 {
			names = append(names, "RPM-GPG-KEY-rockyofficial")
		}
	case "alma":
		dir, names = "alma", []string{"RPM-GPG-KEY-AlmaLinux-" + major}
		if t.major() == 8 {
			names = append(names, "RPM-GPG-KEY-AlmaLinux")
		}
	case "rhel", "rhels":
		dir, names = "redhat", []string{"RPM-GPG-KEY-redhat" + major + "-release", "RPM-GPG-KEY-redhat-release"}
	case "centos-stream", "centos":
		dir, names = "centos", []string{"RPM-GPG-KEY-CentOS-" + major, "RPM-GPG-KEY-CentOS-Official", "RPM-GPG-KEY-centosofficial", "RPM-GPG-KEY-centosofficial-SHA256"}
	case "fedora":
		dir, names = "fedora", []string{"RPM-GPG-KEY-fedora-" + major + "-primary"}
	case "ol":
		dir, names = "oraclelinux", []string{"RPM-GPG-KEY-oracle-ol" + major, "RPM-GPG-KEY-oracle"}
	case "leap", "opensuse-leap":
		dir, names = "opensuse", []string{"RPM-GPG-KEY-openSUSE*", "gpg-pubkey-*"}
	case "sles", "sle":
		dir, names = "suse", []string{"RPM-GPG-KEY-SuSE-SLE-" + major, "RPM-GPG-KEY-SUSE*", "gpg-pubkey-*"}
	}
	var list []string
	for _, name := range names {
		list = append(list, "etc/pki/rpm-gpg/"+name)
		if dir != "" {
			list = append(list, "usr/share/distribution-gpg-keys/"+dir+"/"+name)
		}
	}
	return list
}
