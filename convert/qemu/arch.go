package qemu

import (
	"fmt"
	"strings"
)

// arch is what differs between the machines of two architectures.
type arch struct {
	name    string // as OCI images call it
	program string
	debian  string // the Debian packages that hold the program
	machine string // -machine
	tcg     string // what -machine needs besides without KVM
	cpu     string // -cpu without KVM; empty: QEMU's choice
	console string // the first serial port's device in Linux
	baud    string // what console= says behind the device
	bus     string // which kind of virtio device there is
}

// Architectures lists the architectures that can be booted, by the names that
// OCI images have for them.
func Architectures() []string {
	return []string{"amd64", "arm64", "ppc64le", "riscv64", "s390x"}
}

// ArchName returns the OCI name of an architecture that may be given by the
// kernel's name, such as x86_64 or aarch64.
func ArchName(name string) (string, error) {
	a, err := lookArch(name)
	return a.name, err
}

func lookArch(name string) (arch, error) {
	switch name {
	case "amd64", "x86_64":
		return arch{
			name: "amd64", program: "qemu-system-x86_64", debian: "qemu-system-x86",
			// Under emulation five-level page tables and copying by "rep movsb", which
			// the kernel takes for fast, only cost time.
			machine: "q35", cpu: "max,la57=off,erms=off,fsrm=off", console: "ttyS0", baud: "115200", bus: "pci",
		}, nil
	case "arm64", "aarch64":
		return arch{
			name: "arm64", program: "qemu-system-aarch64", debian: "qemu-system-arm",
			// Emulating the architected pointer authentication takes more than
			// half of all the time; QEMU has a cheap one of its own.
			machine: "virt,gic-version=max", cpu: "max,pauth-impdef=on", console: "ttyAMA0", bus: "pci",
		}, nil
	case "ppc64le":
		return arch{
			name: "ppc64le", program: "qemu-system-ppc64", debian: "qemu-system-ppc",
			// Emulation has no mitigations against speculation to offer.
			machine: "pseries", tcg: ",cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken", console: "hvc0", bus: "pci",
		}, nil
	case "riscv64":
		return arch{
			name: "riscv64", program: "qemu-system-riscv64", debian: "qemu-system-misc (Debian 12) or qemu-system-riscv",
			machine: "virt", console: "ttyS0", baud: "115200", bus: "pci",
		}, nil
	case "s390x":
		return arch{
			name: "s390x", program: "qemu-system-s390x", debian: "qemu-system-misc (Debian 12) or qemu-system-s390x",
			machine: "s390-ccw-virtio", cpu: "max", console: "ttysclp0", bus: "ccw",
		}, nil
	default:
		return arch{}, fmt.Errorf("no QEMU machine for architecture %q; there are %s", name, strings.Join(Architectures(), ", "))
	}
}

// consoleArg is the kernel argument that makes the serial port the console.
func (a arch) consoleArg() string {
	if a.baud == "" {
		return "console=" + a.console
	}
	return "console=" + a.console + "," + a.baud
}

// card is a network card on a -netdev.
func (a arch) card(netdev string) string {
	card := "virtio-net-" + a.bus + ",netdev=" + netdev
	if a.bus == "pci" {
		card += ",romfile=" // or QEMU asks for a network boot ROM
	}
	return card
}
