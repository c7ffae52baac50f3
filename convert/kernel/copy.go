package kernel

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Copy writes a kernel that r reads as every boot loader for the architecture (a
// GOARCH name) takes it, and returns how it was packed, "" if it was not:
// gzip, zstd, or zboot and one of them.
//
// A kernel of arm64 and riscv64 does not unpack itself (Documentation/arch/arm64/booting.rst
// leaves it to the boot loader), and distributions ship Image.gz or, with
// CONFIG_EFI_ZBOOT, a program that nothing but EFI firmware can run. ppc64le is an
// ELF file to kexec_file_load, by which petitboot starts it, to GRUB and to QEMU;
// only some of them look into gzip. All other kernels unpack themselves.
func Copy(w io.Writer, r io.Reader, arch string) (packed string, err error) {
	in := bufio.NewReaderSize(r, 1<<20)
	src := io.NopCloser(in)
	if arch == "arm64" || arch == "riscv64" || arch == "ppc64le" {
		if src, packed, err = unpack(in); err != nil {
			return "", fmt.Errorf("unpacking the kernel: %w", err)
		}
	}
	defer src.Close()
	if _, err := io.Copy(w, src); err != nil {
		return "", fmt.Errorf("copying the kernel: %w", err)
	}
	return packed, nil
}

// unpack finds out by its first bytes how a kernel is packed.
func unpack(in *bufio.Reader) (plain io.ReadCloser, packed string, err error) {
	head, _ := in.Peek(zbootSize) // what is shorter is of no kind, and read again
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		packed = "gzip"
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")):
		packed = "zstd"
	case len(head) == zbootSize && string(head[:2]) == "MZ" && string(head[4:8]) == "zimg":
		return unpackZboot(in, head)
	default:
		return io.NopCloser(in), "", nil
	}
	plain, err = decoder(in, packed)
	return plain, packed, err
}

// zbootSize is the part of the head of an EFI zboot image that says where the
// kernel is in it (drivers/firmware/efi/libstub/zboot-header.S): "MZ", at 4 "zimg",
// at 8 the kernel's offset and size, at 24 the codec's name.
const zbootSize = 56

func unpackZboot(in *bufio.Reader, head []byte) (plain io.ReadCloser, packed string, err error) {
	offset, size := binary.LittleEndian.Uint32(head[8:]), binary.LittleEndian.Uint32(head[12:])
	codec, _, _ := strings.Cut(string(head[24:]), "\x00")
	if codec != "gzip" && codec != "zstd" {
		return nil, "", fmt.Errorf("it is an EFI zboot image packed by %q, and gzip and zstd can be unpacked: configure the kernel with CONFIG_KERNEL_GZIP or without CONFIG_EFI_ZBOOT", codec)
	}
	if _, err := in.Discard(int(offset)); err != nil {
		return nil, "", fmt.Errorf("it is an EFI zboot image that is cut off: %w", err)
	}
	plain, err = decoder(io.LimitReader(in, int64(size)), codec)
	return plain, "zboot " + codec, err
}

func decoder(r io.Reader, codec string) (io.ReadCloser, error) {
	if codec == "gzip" {
		return gzip.NewReader(r)
	}
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}
