package binfmt

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"runtime"
	"slices"
	"strings"
)

// Arch is a processor architecture as the heads of its programs tell it.
type Arch struct {
	Name  string // as Go and OCI have it
	QEMU  string // as QEMU and, mostly, uname -m have it
	alias []string

	class   elf.Class
	order   elf.Data
	machine elf.Machine
	flags   uint32 // of the ELF header
	code    []byte // of a program that ends with the number of its arguments
}

// Architectures lists those that nodes and their images have.
func Architectures() []Arch {
	return []Arch{
		{
			Name: "amd64", QEMU: "x86_64", class: elf.ELFCLASS64, order: elf.ELFDATA2LSB, machine: elf.EM_X86_64,
			code: []byte{
				0x8b, 0x3c, 0x24, //             mov (%rsp), %edi
				0xb8, 0x3c, 0x00, 0x00, 0x00, // mov $60, %eax
				0x0f, 0x05, //                   syscall
			},
		},
		{
			Name: "arm64", QEMU: "aarch64", class: elf.ELFCLASS64, order: elf.ELFDATA2LSB, machine: elf.EM_AARCH64,
			code: words(binary.LittleEndian,
				0xf94003e0, // ldr x0, [sp]
				0xd2800ba8, // mov x8, #93
				0xd4000001, // svc #0
			),
		},
		{
			Name: "ppc64le", QEMU: "ppc64le", alias: []string{"ppc64el"}, class: elf.ELFCLASS64, order: elf.ELFDATA2LSB, machine: elf.EM_PPC64,
			flags: 2, // ABI version 2: the entry is an address and no descriptor
			code: words(binary.LittleEndian,
				0xe8610000, // ld r3, 0(r1)
				0x38000001, // li r0, 1
				0x44000002, // sc
			),
		},
		{
			Name: "riscv64", QEMU: "riscv64", class: elf.ELFCLASS64, order: elf.ELFDATA2LSB, machine: elf.EM_RISCV,
			code: words(binary.LittleEndian,
				0x00013503, // ld a0, 0(sp)
				0x05d00893, // li a7, 93
				0x00000073, // ecall
			),
		},
		{
			Name: "s390x", QEMU: "s390x", class: elf.ELFCLASS64, order: elf.ELFDATA2MSB, machine: elf.EM_S390,
			code: []byte{
				0xe3, 0x20, 0xf0, 0x00, 0x00, 0x04, // lg %r2, 0(%r15)
				0x0a, 0x01, //                         svc 1
			},
		},
		{
			Name: "386", QEMU: "i386", class: elf.ELFCLASS32, order: elf.ELFDATA2LSB, machine: elf.EM_386,
			code: []byte{
				0x8b, 0x1c, 0x24, //             mov (%esp), %ebx
				0xb8, 0x01, 0x00, 0x00, 0x00, // mov $1, %eax
				0xcd, 0x80, //                   int $0x80
			},
		},
		{
			Name: "arm", QEMU: "arm", alias: []string{"armhf", "armel"}, class: elf.ELFCLASS32, order: elf.ELFDATA2LSB, machine: elf.EM_ARM,
			flags: 0x05000000, // EABI version 5
			code: words(binary.LittleEndian,
				0xe59d0000, // ldr r0, [sp]
				0xe3a07001, // mov r7, #1
				0xef000000, // svc 0
			),
		},
	}
}

// Find returns the architecture of a name: that of OCI, QEMU or Debian, or a
// platform such as linux/arm64/v8.
func Find(name string) (Arch, bool) {
	name, _, _ = strings.Cut(strings.TrimPrefix(name, "linux/"), "/")
	for _, a := range Architectures() {
		if name == a.Name || name == a.QEMU || slices.Contains(a.alias, name) {
			return a, true
		}
	}
	return Arch{}, false
}

// Names lists what the architectures are called.
func Names() []string {
	var list []string
	for _, a := range Architectures() {
		list = append(list, a.Name)
	}
	return list
}

// host is the architecture of this machine; of others than the above nothing is known.
func host() (Arch, bool) { return Find(runtime.GOARCH) }

// IsNative tells whether this machine runs a's programs by itself. Some arm64
// processors run arm's too; only trying tells.
func (a Arch) IsNative() bool {
	return a.Name == runtime.GOARCH || a.Name == "386" && runtime.GOARCH == "amd64"
}

// Sizes and offsets in an ELF header (System V ABI, chapter 4).
const (
	ruleSize   = 20 // up to the end of e_machine
	typeOffset = 16
)

func (a Arch) byteOrder() interface {
	binary.ByteOrder
	binary.AppendByteOrder
} {
	if a.order == elf.ELFDATA2MSB {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// head is how a's programs of a type and an ABI begin.
func (a Arch) head(typ elf.Type, abi elf.OSABI) []byte {
	head := append([]byte(elf.ELFMAG), byte(a.class), byte(a.order), byte(elf.EV_CURRENT), byte(abi))
	head = append(head, make([]byte, typeOffset-len(head))...)
	head = a.byteOrder().AppendUint16(head, uint16(typ))
	return a.byteOrder().AppendUint16(head, uint16(a.machine))
}

// heads are all the ways in which a Linux program of a begins: at a fixed place
// or anywhere, with or without the GNU extensions that static programs use.
func (a Arch) heads() [][]byte {
	var list [][]byte
	for _, typ := range []elf.Type{elf.ET_EXEC, elf.ET_DYN} {
		for _, abi := range []elf.OSABI{elf.ELFOSABI_NONE, elf.ELFOSABI_LINUX} {
			list = append(list, a.head(typ, abi))
		}
	}
	return list
}

// magic is what the kernel compares a program's beginning with, under mask.
func (a Arch) magic() []byte { return a.head(elf.ET_EXEC, elf.ELFOSABI_NONE) }

// mask lets all of heads through: the low bit of the type and the two of the
// ABI do not count. The rest is as in qemu-binfmt-conf.sh.
func (a Arch) mask() []byte {
	mask := bytes.Repeat([]byte{0xff}, ruleSize)
	mask[elf.EI_OSABI] = 0xfc
	low := typeOffset
	if a.order == elf.ELFDATA2MSB {
		low++
	}
	mask[low] = 0xfe
	return mask
}

// program is the smallest static program of a. It ends with the number of its
// arguments, its name included, as its exit code: whoever finds the right one
// knows that it ran, and that its arguments arrived as they were given.
func (a Arch) program() []byte {
	const (
		address = 0x400000
		align   = 0x10000 // the largest page that any of them has
	)
	var b bytes.Buffer
	ident := [elf.EI_NIDENT]byte{}
	copy(ident[:], a.magic())
	write := func(header, segment any) {
		// Writing to memory does not fail, and all of it has a fixed size.
		_ = binary.Write(&b, a.byteOrder(), header)
		_ = binary.Write(&b, a.byteOrder(), segment)
	}
	if a.class == elf.ELFCLASS32 {
		const head, start = 52, 52 + 32
		size := uint32(start + len(a.code))
		write(elf.Header32{
			Ident: ident, Type: uint16(elf.ET_EXEC), Machine: uint16(a.machine), Version: uint32(elf.EV_CURRENT),
			Entry: address + start, Phoff: head, Flags: a.flags, Ehsize: head, Phentsize: start - head, Phnum: 1,
		}, elf.Prog32{
			Type: uint32(elf.PT_LOAD), Vaddr: address, Paddr: address, Filesz: size, Memsz: size,
			Flags: uint32(elf.PF_R | elf.PF_X), Align: align,
		})
	} else {
		const head, start = 64, 64 + 56
		size := uint64(start + len(a.code))
		write(elf.Header64{
			Ident: ident, Type: uint16(elf.ET_EXEC), Machine: uint16(a.machine), Version: uint32(elf.EV_CURRENT),
			Entry: address + start, Phoff: head, Flags: a.flags, Ehsize: head, Phentsize: start - head, Phnum: 1,
		}, elf.Prog64{
			Type: uint32(elf.PT_LOAD), Vaddr: address, Paddr: address, Filesz: size, Memsz: size,
			Flags: uint32(elf.PF_R | elf.PF_X), Align: align,
		})
	}
	return append(b.Bytes(), a.code...)
}

func words(order binary.AppendByteOrder, list ...uint32) []byte {
	var b []byte
	for _, w := range list {
		b = order.AppendUint32(b, w)
	}
	return b
}
