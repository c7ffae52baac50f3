package qemu

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
)

// Accel names what runs the guest's code.
type Accel string

// The accelerators.
const (
	TCG Accel = "tcg" // software emulation: any guest on any host
	KVM Accel = "kvm" // the host's processor: guests of its own architecture
)

// Network says what a guest's user-mode network card reaches.
type Network string

// The networks.
const (
	// Isolated gives the guest an address and no way to the host or beyond; a
	// forwarded port still leads in. Without it a guest could talk to services
	// that listen on the host's loopback interface alone.
	Isolated Network = "isolated"
	// User lets the guest reach the host at 10.0.2.2, and what the host reaches.
	User Network = "user"
	// None is no network card.
	None Network = "none"
)

const (
	minMemory     = 1024 // MiB
	memoryStep    = 256  // MiB
	defaultMemory = minMemory
)

// Machine describes one virtual machine.
type Machine struct {
	// Arch is the guest's architecture; the default is the host's.
	Arch string
	// Kernel is the path of the kernel image.
	Kernel string
	// Initrd is the path of the ramdisk; empty: none.
	Initrd string
	// CommandLine holds the kernel's arguments. The serial console's argument
	// is added, or moved to the end, as it takes.
	CommandLine string
	// Memory is the machine's memory in MiB; the default is 1024.
	Memory int
	// CPUs is the number of processors; the default is 1.
	CPUs int
	// Accel is TCG or KVM; the default is TCG.
	Accel Accel
	// Network is Isolated, User or None; the default is Isolated.
	Network Network
	// Disks are raw files that the guest sees as virtio disks, in this order, and
	// may write to.
	Disks []string
	// SSHPort, if not 0, is the port of the host's 127.0.0.1 that leads to the
	// guest's port 22.
	SSHPort int
	// More are further arguments for QEMU, as they stand.
	More []string
	// Program is the QEMU binary; the default is the architecture's, found in
	// PATH.
	Program string
}

// MemoryFor is the memory in MiB to give a machine that needs peak bytes.
func MemoryFor(peak int64) int {
	const step = memoryStep << 20
	mib := int((peak + step - 1) / step * memoryStep)
	return max(mib, minMemory)
}

// Args returns QEMU's arguments for a machine whose serial console is QEMU's
// standard input and output.
func (m Machine) Args() ([]string, error) {
	return m.args("stdio")
}

func (m Machine) args(serial string) ([]string, error) {
	m = m.withDefaults()
	a, err := lookArch(m.Arch)
	if err != nil {
		return nil, err
	}
	if err := m.check(a); err != nil {
		return nil, err
	}
	args := []string{"-no-user-config", "-nodefaults", "-display", "none", "-no-reboot"}
	args = append(args, m.accelArgs(a)...)
	args = append(args, "-m", strconv.Itoa(m.Memory)+"M", "-smp", strconv.Itoa(m.CPUs))
	if serial == "stdio" {
		args = append(args, "-monitor", "none")
	}
	args = append(args, "-serial", serial)
	args = append(args, "-device", "virtio-rng-"+a.bus)
	if m.Network != None {
		args = append(args, "-netdev", m.netdev(), "-device", a.card("net0"))
	}
	for i, disk := range m.Disks {
		// A comma in a path is doubled, as in all of QEMU's lists.
		args = append(args, "-drive", fmt.Sprintf("if=none,id=disk%d,format=raw,file=%s", i, strings.ReplaceAll(disk, ",", ",,")),
			"-device", fmt.Sprintf("virtio-blk-%s,drive=disk%d", a.bus, i))
	}
	args = append(args, m.More...)
	// Unlike most of QEMU's values these three are taken as they stand: a comma
	// in a path must not be doubled.
	args = append(args, "-kernel", m.Kernel)
	if m.Initrd != "" {
		args = append(args, "-initrd", m.Initrd)
	}
	return append(args, "-append", commandLine(a, m.CommandLine)), nil
}

func (m Machine) withDefaults() Machine {
	if m.Arch == "" {
		m.Arch = runtime.GOARCH
	}
	if m.Memory == 0 {
		m.Memory = defaultMemory
	}
	if m.CPUs == 0 {
		m.CPUs = 1
	}
	if m.Accel == "" {
		m.Accel = TCG
	}
	if m.Network == "" {
		m.Network = Isolated
	}
	return m
}

func (m Machine) check(a arch) error {
	switch {
	case m.Kernel == "":
		return errors.New("the machine has no kernel")
	case m.Memory < 0:
		return fmt.Errorf("%d MiB of memory is no memory", m.Memory)
	case m.CPUs < 0:
		return fmt.Errorf("%d processors are none", m.CPUs)
	case m.SSHPort < 0 || m.SSHPort > 65535:
		return fmt.Errorf("port %d does not exist; ports are 1 to 65535", m.SSHPort)
	case m.Network != Isolated && m.Network != User && m.Network != None:
		return fmt.Errorf("no network %q; there are %s, %s and %s", m.Network, Isolated, User, None)
	case m.Network == None && m.SSHPort != 0:
		return errors.New("a port leads to a machine that has a network card")
	case m.Accel != TCG && m.Accel != KVM:
		return fmt.Errorf("no accelerator %q; there are %s and %s", m.Accel, KVM, TCG)
	case m.Accel == KVM && a.name != runtime.GOARCH:
		return fmt.Errorf("KVM runs %s guests here and not %s; use %s", runtime.GOARCH, a.name, TCG)
	}
	return nil
}

func (m Machine) accelArgs(a arch) []string {
	if m.Accel == KVM {
		return []string{"-machine", a.machine, "-accel", "kvm", "-cpu", "host"}
	}
	args := []string{"-machine", a.machine + a.tcg, "-accel", "tcg,thread=multi"}
	if a.cpu != "" {
		args = append(args, "-cpu", a.cpu)
	}
	return args
}

func (m Machine) netdev() string {
	s := "user,id=net0"
	if m.Network == Isolated {
		s += ",restrict=on"
	}
	if m.SSHPort != 0 {
		s += fmt.Sprintf(",hostfwd=tcp:127.0.0.1:%d-:22", m.SSHPort)
	}
	return s
}

// program finds the QEMU binary.
func (m Machine) program() (string, error) {
	a, err := lookArch(m.withDefaults().Arch)
	if err != nil {
		return "", err
	}
	name := m.Program
	if name == "" {
		name = a.program
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("finding QEMU for %s: %w; on Debian it is in the package %s", a.name, err, a.debian)
	}
	return path, nil
}
