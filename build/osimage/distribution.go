package osimage

import (
	"fmt"
	"slices"
	"strings"
)

// Family is how a distribution installs packages.
type Family string

// The families, by their package managers.
const (
	APT    Family = "apt"    // Debian, Ubuntu
	DNF    Family = "dnf"    // RHEL and its clones, Fedora
	Zypper Family = "zypper" // SLES, Leap
)

// Distribution is what an osvers such as rocky9.4 names.
type Distribution struct {
	Name    string // rocky, as xCAT calls it
	Version string // 9.4
	Family  Family
}

// distributions are the names that osvers begins with (xCAT's discinfo.pm and the
// directories of its share/xcat/netboot).
func distributions() map[string]Family {
	return map[string]Family{
		"debian": APT, "ubuntu": APT,
		"rhels": DNF, "rhel": DNF, "rocky": DNF, "alma": DNF, "centos": DNF, "centos-stream": DNF, "ol": DNF, "fedora": DNF, "SL": DNF,
		"sles": Zypper, "sle": Zypper, "leap": Zypper, "opensuse-leap": Zypper,
	}
}

// ParseDistribution reads an osvers. An error means that its name is none that
// rootcast knows how to install packages of.
func ParseDistribution(osvers string) (Distribution, error) {
	i := strings.IndexAny(osvers, "0123456789")
	if i < 0 {
		return Distribution{}, fmt.Errorf("osvers %q has no version, as in rocky9.4 or debian12", osvers)
	}
	d := Distribution{Name: strings.TrimRight(osvers[:i], "-"), Version: osvers[i:]}
	known := distributions()
	if d.Family = known[d.Name]; d.Family == "" {
		var names []string
		for name := range known {
			names = append(names, name)
		}
		slices.Sort(names)
		return d, fmt.Errorf("osvers %q: there is no distribution %q; there is %s", osvers, d.Name, strings.Join(names, ", "))
	}
	if strings.ContainsFunc(d.Version, func(r rune) bool { return !strings.ContainsRune("0123456789.spSP-", r) }) {
		return d, fmt.Errorf("osvers %q: %q is no version, as in rocky9.4 or debian12", osvers, d.Version)
	}
	return d, nil
}

// Major is the version up to the first thing that is no digit: the 9 of 9.4, the
// 15 of 15sp5.
func (d Distribution) Major() string {
	if i := strings.IndexFunc(d.Version, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		return d.Version[:i]
	}
	return d.Version
}

// Platform is what OCI images call an osarch, such as linux/arm64 for aarch64.
func Platform(osarch string) (string, error) {
	names := map[string]string{
		"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64le", "ppc64el": "ppc64le", "riscv64": "riscv64", "s390x": "s390x", "x86": "386",
	}
	name, ok := names[osarch]
	if !ok {
		return "", fmt.Errorf("osarch %q: no image is built for it here; there is x86_64, aarch64, ppc64le, ppc64el, riscv64, s390x", osarch)
	}
	return "linux/" + name, nil
}

// Architecture is the osarch of an OCI platform, "" if there is none.
func Architecture(platform string) string {
	names := map[string]string{
		"linux/amd64": "x86_64", "linux/arm64": "aarch64", "linux/arm64/v8": "aarch64", "linux/ppc64le": "ppc64le", "linux/riscv64": "riscv64",
		"linux/s390x": "s390x", "linux/386": "x86",
	}
	return names[platform]
}
