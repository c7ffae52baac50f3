package kernel_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/rootcast/rootcast/convert/kernel"
)

func packed(t testing.TB, codec, text string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&b)
	if codec == "zstd" {
		var err error
		if w, err = zstd.NewWriter(&b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// zboot lays an EFI zboot image out as the kernel's zboot-header.S does: the
// payload lies between two sections, and all but gzip have its size behind it.
func zboot(codec, payload string) string {
	const offset = 4096
	head := make([]byte, offset)
	copy(head, "MZ\x00\x00zimg")
	binary.LittleEndian.PutUint32(head[8:], offset)
	binary.LittleEndian.PutUint32(head[12:], uint32(len(payload)))
	copy(head[24:], codec+"\x00")
	copy(head[56:], "\xcd\x23\x82\x81\x40\x00\x00\x00PE\x00\x00")
	return string(head) + payload + "\x05\x00\x00\x00 the next section"
}

func TestCopy(t *testing.T) {
	image := "MZ Image " + strings.Repeat("of a kernel, ", 1000)
	gz, zst := packed(t, "gzip", image), packed(t, "zstd", image)
	elf := "\x7fELF" + image
	for _, tt := range []struct {
		name, arch, data string
		want, packed     string
		err              string
	}{
		{name: "bzImage", arch: "amd64", data: image, want: image},
		{name: "Image", arch: "arm64", data: image, want: image},
		{name: "Image.gz", arch: "arm64", data: gz, want: image, packed: "gzip"},
		{name: "Image.gz of riscv64", arch: "riscv64", data: gz, want: image, packed: "gzip"},
		{name: "Image.zst", arch: "arm64", data: zst, want: image, packed: "zstd"},
		{name: "zboot by gzip", arch: "arm64", data: zboot("gzip", gz), want: image, packed: "zboot gzip"},
		{name: "zboot by zstd", arch: "arm64", data: zboot("zstd", zst), want: image, packed: "zboot zstd"},
		{name: "zboot of riscv64", arch: "riscv64", data: zboot("zstd", zst), want: image, packed: "zboot zstd"},
		{name: "ELF", arch: "ppc64le", data: elf, want: elf},
		{name: "packed ELF", arch: "ppc64le", data: packed(t, "gzip", elf), want: elf, packed: "gzip"},
		{name: "what unpacks itself", arch: "s390x", data: gz, want: gz},
		{name: "an EFI program that is no zboot", arch: "arm64", data: "MZ\x00\x00" + image, want: "MZ\x00\x00" + image},
		{name: "short", arch: "arm64", data: "M", want: "M"},
		{name: "short after zimg", arch: "arm64", data: "MZ\x00\x00zimg", want: "MZ\x00\x00zimg"},
		{name: "cut off", arch: "arm64", data: gz[:len(gz)-5], err: "copying the kernel: unexpected EOF"},
		{name: "zboot, cut off", arch: "arm64", data: zboot("zstd", zst)[:4096+len(zst)/2], err: "copying the kernel: unexpected EOF"},
		{name: "zboot, cut off before the kernel", arch: "arm64", data: zboot("gzip", gz)[:100], err: "unpacking the kernel: it is an EFI zboot image that is cut off: EOF"},
		{name: "zboot by xz", arch: "arm64", data: zboot("xz", "\xfd7zXZ"), err: `unpacking the kernel: it is an EFI zboot image packed by "xz", and gzip and zstd can be unpacked: `},
		{name: "zboot of rubbish", arch: "arm64", data: zboot("gzip", "rubbish, and enough of it"), err: "unpacking the kernel: gzip: invalid header"},
		{name: "a damaged header", arch: "arm64", data: "\x1f\x8b\xff", err: "unpacking the kernel: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			packed, err := kernel.Copy(&b, strings.NewReader(tt.data), tt.arch)
			if tt.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
					t.Errorf("error %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil || b.String() != tt.want || packed != tt.packed {
				t.Errorf("%d bytes of %d, packed %q, want %q; %v", b.Len(), len(tt.want), packed, tt.packed, err)
			}
		})
	}
}
