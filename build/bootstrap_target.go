package build

import (
	"context"
	"fmt"
	"io/fs"
	"regexp"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/rootcast/rootcast/build/binfmt"
	"github.com/rootcast/rootcast/build/osimage"
)

// distribution is what bootstrap knows of a family of releases.
type distribution struct {
	name, title    string
	keyring        string // path of its keys, on a host and in an image
	keyringPackage string // what puts them there
	components     []string
	releases       map[string]string // number → codename
	usrmerge       []string          // releases whose packages are from before the merged /usr, by codename
}

func debian() distribution {
	return distribution{
		name: "debian", title: "Debian",
		keyring:        "/usr/share/keyrings/debian-archive-keyring.gpg",
		keyringPackage: "debian-archive-keyring",
		components:     []string{"main"},
		releases:       map[string]string{"10": "buster", "11": "bullseye", "12": "bookworm", "13": "trixie", "14": "forky"},
		usrmerge:       []string{"buster", "bullseye", "bookworm"},
	}
}

func ubuntu() distribution {
	return distribution{
		name: "ubuntu", title: "Ubuntu",
		keyring:        "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
		keyringPackage: "ubuntu-keyring",
		components:     []string{"main", "universe"},
		releases:       map[string]string{"20.04": "focal", "22.04": "jammy", "24.04": "noble", "26.04": "resolute"},
		usrmerge:       []string{"focal", "jammy"},
	}
}

// suites are the release's own and those of its updates, which not each
// mirror has.
func (t bootstrapTarget) suites() []string {
	return []string{t.release, t.release + "-updates", t.release + "-security"}
}

// bootstrapTarget is a parsed DISTRO:RELEASE.
type bootstrapTarget struct {
	distro  distribution
	release string               // codename, or the version
	rpm     osimage.Distribution // of a distribution of RPM packages; else zero
}

// isRPM tells the distributions that dnf or zypper installs.
func (t bootstrapTarget) isRPM() bool { return t.rpm.Name != "" }

func (t bootstrapTarget) String() string { return t.distro.name + ":" + t.release }

func parseTarget(text string) (bootstrapTarget, error) {
	name, release, ok := strings.Cut(text, ":")
	if !ok || release == "" {
		return bootstrapTarget{}, fmt.Errorf("%q is not DISTRO:RELEASE, such as debian:bookworm, ubuntu:noble, rocky:9.4 or leap:15.6", text)
	}
	t := bootstrapTarget{release: strings.ToLower(release)}
	switch strings.ToLower(name) {
	case "debian":
		t.distro = debian()
	case "ubuntu":
		t.distro = ubuntu()
	default:
		return parseRPMTarget(strings.ToLower(name), strings.ToLower(release))
	}
	if codename, ok := t.distro.releases[t.release]; ok {
		t.release = codename
	}
	if !regexp.MustCompile(`^[a-z][a-z0-9.-]*$`).MatchString(t.release) {
		return bootstrapTarget{}, fmt.Errorf("%q is no release of %s; known are %s", release, t.distro.title, t.distro.known())
	}
	return t, nil
}

// known lists the releases that have a number, oldest first.
func (d distribution) known() string {
	var list []string
	for number, codename := range d.releases {
		list = append(list, number+" "+codename)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// architecture is one processor architecture under each name that it has here.
type architecture struct {
	goarch, variant string // OCI's
	debian, qemu    string
}

func architectures() []architecture {
	return []architecture{
		{"amd64", "", "amd64", "x86_64"},
		{"arm64", "v8", "arm64", "aarch64"},
		{"ppc64le", "", "ppc64el", "ppc64le"},
		{"riscv64", "", "riscv64", "riscv64"},
		{"s390x", "", "s390x", "s390x"},
		{"386", "", "i386", "i386"},
		{"arm", "v7", "armhf", "arm"},
		{"arm", "v5", "armel", "arm"},
	}
}

// parseArchitecture finds the architecture of OS/ARCH[/VARIANT].
func parseArchitecture(platform string) (architecture, error) {
	if platform == "" {
		platform = "linux/" + runtime.GOARCH
	}
	var known []string
	for _, a := range architectures() {
		names := []string{a.platformName(), "linux/" + a.goarch, a.goarch, "linux/" + a.debian, a.debian, "linux/" + a.qemu, a.qemu}
		if slices.Contains(names, platform) {
			return a, nil
		}
		known = append(known, a.platformName())
	}
	return architecture{}, platformErrorf("platform %q cannot be bootstrapped; %s can", platform, strings.Join(known, ", "))
}

func (a architecture) platform() v1.Platform {
	return v1.Platform{OS: "linux", Architecture: a.goarch, Variant: a.variant}
}

func (a architecture) platformName() string {
	return strings.TrimSuffix("linux/"+a.goarch+"/"+a.variant, "/")
}

// rpm is what RPM packages call the architecture.
func (a architecture) rpm() string {
	switch a.goarch + a.variant {
	case "386":
		return "i686"
	case "armv7":
		return "armv7hl"
	case "armv5":
		return "armv5tel"
	}
	return a.qemu
}

// isUbuntuPort tells the architectures that Ubuntu serves from a place apart.
func (a architecture) isUbuntuPort() bool { return a.debian != "amd64" && a.debian != "i386" }

// emulated is a as binfmt_misc has it, which knows every one of architectures.
func (a architecture) emulated() binfmt.Arch {
	found, _ := binfmt.Find(a.goarch)
	return found
}

// isNative tells whether the host runs a's programs by itself.
func (a architecture) isNative() bool { return a.emulated().IsNative() }

// checkRunnable makes sure that a's programs run on a host, by themselves or
// through binfmt_misc: RUN steps and the packages' scripts need it. The host is
// its root directory, or this one (nil), on which a program is also tried.
func (a architecture) checkRunnable(ctx context.Context, host fs.FS) error {
	return binfmt.Machine{Files: host}.Check(ctx, a.emulated())
}

func checkVariant(name string) error {
	known := []string{"essential", "apt", "required", "minbase", "buildd", "important", "debootstrap", "standard"}
	if !slices.Contains(known, name) {
		return fmt.Errorf("variant %q is not one of %s", name, strings.Join(known, ", "))
	}
	return nil
}

// checkPackage keeps out what apt would take for a pattern, a file or a flag.
func checkPackage(name string) error {
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]*(:[a-z0-9-]+)?([=/][A-Za-z0-9.+:~-]+)?$`).MatchString(name) {
		return fmt.Errorf("%q is not the name of a package", name)
	}
	return nil
}
