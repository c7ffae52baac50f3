package initrd

import (
	"io/fs"
	"strings"
)

// kernelPackage names the package of the image's distribution that brings a
// kernel's drivers.
func (c *chooser) kernelPackage() string {
	text, _ := fs.ReadFile(c.image, "etc/os-release") // without it the general answer does
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if key != "ID" && key != "ID_LIKE" {
			continue
		}
		for id := range strings.FieldsSeq(strings.Trim(value, `"'`)) {
			if name := kernelPackageOf(id, c.o.Architecture); name != "" {
				return name
			}
		}
	}
	return "the distribution's full kernel package"
}

func kernelPackageOf(id, arch string) string {
	switch id {
	case "debian":
		if arch == "ppc64le" {
			arch = "powerpc64le"
		}
		return "linux-image-" + arch
	case "ubuntu":
		return "linux-image-generic"
	case "rhel", "fedora", "centos", "rocky", "almalinux":
		return "kernel-modules"
	case "suse", "opensuse", "sles", "opensuse-leap", "opensuse-tumbleweed":
		return "kernel-default"
	default:
		return ""
	}
}
