package initrd

import (
	"bytes"
	"crypto/x509"
	"debug/elf"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rootcast/rootcast/convert/rootfs"
)

// CAPath is where the initrd has the certificates of [Options].CA.
const CAPath = "etc/rootcast/ca.pem"

// skeleton puts everything into the tree that does not depend on the kernel.
func (b *builder) skeleton() error {
	if err := b.checkInit(); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		in   *rootfs.Inode
	}{
		{"dev", dir(0o755)},
		// The kernel opens the console for the first program, which has not mounted
		// /dev by then; without one Go's runtime opens /dev/null in its place.
		{"dev/console", char(0o600, 5, 1)},
		{"dev/null", char(0o666, 1, 3)},
		{"etc", dir(0o755)},
		{"init", rootfs.NewText(0o755, b.o.Init)},
		{"proc", dir(0o555)},
		{"root", dir(0o700)},
		{"run", dir(0o755)},
		{"sys", dir(0o555)},
		{"sysroot", dir(0o755)},
		{"tmp", dir(0o1777)},
	} {
		if err := b.add(f.name, f.in); err != nil {
			return err
		}
	}
	if err := b.certificates(); err != nil {
		return err
	}
	return b.shell()
}

func (b *builder) certificates() error {
	if len(b.o.CA) == 0 {
		return nil
	}
	ca, err := certificates(b.o.CA)
	if err != nil {
		return fmt.Errorf("reading the CA certificates: %w", err)
	}
	return b.add(CAPath, rootfs.NewText(0o644, ca))
}

func dir(mode uint32) *rootfs.Inode {
	return &rootfs.Inode{Mode: rootfs.TypeDir | mode, ModTime: time.Unix(0, 0)}
}

func char(mode, major, minor uint32) *rootfs.Inode {
	return &rootfs.Inode{Mode: rootfs.TypeChar | mode, Major: major, Minor: minor, ModTime: time.Unix(0, 0)}
}

// checkInit refuses a first program that no kernel of the architecture starts.
func (b *builder) checkInit() error {
	if len(b.o.Init) == 0 {
		return errors.New("there is no first program")
	}
	if !bytes.HasPrefix(b.o.Init, []byte(elf.ELFMAG)) {
		return nil // a script may do in a pinch
	}
	if !static(bytes.NewReader(b.o.Init), b.o.Architecture) {
		return fmt.Errorf("the first program is not a static one for %s", b.o.Architecture)
	}
	return nil
}

// static tells whether r is an ELF program for the architecture that needs no
// other file: it has no PT_INTERP.
func static(r io.ReaderAt, arch string) bool {
	f, err := elf.NewFile(r)
	if err != nil || f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return false
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return false
		}
	}
	class, order, machine := elfOf(arch)
	return machine == 0 || f.Machine == machine && f.Class == class && f.Data == order
}

// elfOf is what the header of an architecture's programs says; of one that is not
// known the machine is 0.
func elfOf(arch string) (elf.Class, elf.Data, elf.Machine) {
	switch arch {
	case "amd64":
		return elf.ELFCLASS64, elf.ELFDATA2LSB, elf.EM_X86_64
	case "arm64":
		return elf.ELFCLASS64, elf.ELFDATA2LSB, elf.EM_AARCH64
	case "ppc64le":
		return elf.ELFCLASS64, elf.ELFDATA2LSB, elf.EM_PPC64
	case "riscv64":
		return elf.ELFCLASS64, elf.ELFDATA2LSB, elf.EM_RISCV
	case "s390x":
		return elf.ELFCLASS64, elf.ELFDATA2MSB, elf.EM_S390
	default:
		return elf.ELFCLASSNONE, elf.ELFDATANONE, elf.EM_NONE
	}
}

// shell carries the image's busybox for rootcast.shell, where it is a static one.
func (b *builder) shell() error {
	for _, name := range []string{"bin/busybox", "usr/bin/busybox", "sbin/busybox", "usr/sbin/busybox"} {
		if _, err := b.stat(name); err != nil {
			continue // a directory, or nothing
		}
		in, packed, err := b.read(name, 0o755)
		if err != nil {
			return fmt.Errorf("carrying busybox: %w", err)
		}
		if !static(bytes.NewReader(packed), b.o.Architecture) {
			continue
		}
		if err := b.add("bin/busybox", in); err != nil {
			return err
		}
		return b.add("bin/sh", rootfs.NewSymlink("busybox"))
	}
	return nil
}

// certificates checks a file of PEM certificates and returns them without what
// stands between them.
func certificates(text []byte) ([]byte, error) {
	var out bytes.Buffer
	n := 0
	for rest := text; ; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("PEM block %d is a %s: give certificates alone, and never a private key", n+1, block.Type)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return nil, fmt.Errorf("PEM block %d: %w", n+1, err)
		}
		if err := pem.Encode(&out, &pem.Block{Type: block.Type, Bytes: block.Bytes}); err != nil {
			return nil, err
		}
	}
	if n == 0 {
		return nil, errors.New("no PEM certificate among them (-----BEGIN CERTIFICATE-----)")
	}
	return out.Bytes(), nil
}
