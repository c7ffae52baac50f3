package initrd_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rootcast/rootcast/convert/initrd"
	"github.com/rootcast/rootcast/convert/kmod/kmodtest"
	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// What pack and the tools of distributions make is taken, to the first byte that
// tells.
func TestCheckUser(t *testing.T) {
	newc := archive(t, rootfstest.Tree(t, "file f 0644 x"), pack.None)
	for name, b := range map[string][]byte{
		"cpio": newc, "gzip": kmodtest.Pack(t, ".gz", newc), "xz": kmodtest.Pack(t, ".xz", newc), "zstd": kmodtest.Pack(t, ".zst", newc),
		"lz4": archive(t, rootfstest.Tree(t, "file f 0644 x"), pack.LZ4), "bzip2": []byte("BZh91AY&SY"), "lzma": []byte("]\x00\x00\x80\x00"), "lzop": []byte("\x89LZO\x00"),
	} {
		if err := initrd.CheckUser(iotest.OneByteReader(bytes.NewReader(b))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckUserRefuses(t *testing.T) {
	const remedy = ": make it by cpio -o -H newc, and compress it by gzip, zstd, xz --check=crc32 or lz4 -l"
	for head, want := range map[string]string{
		"":                      "it is empty",
		"070707 more":           "it is a cpio archive of the old portable format",
		"070702 more":           "it is a cpio archive with checksums, which older kernels refuse",
		"\xc7\x71\x00\x00":      "it is a cpio archive of the old binary format",
		"\x04\x22\x4d\x18 more": "it is an lz4 file of the new format, which the kernel does not know",
		"hsqs more":             "it is a squashfs",
		"\x7fELF\x02\x01":       "it is a program",
		"0707":                  "it is neither a newc cpio archive nor compressed",
		"<html>":                "it is neither a newc cpio archive nor compressed",
	} {
		if err := initrd.CheckUser(strings.NewReader(head)); err == nil || err.Error() != want+remedy {
			t.Errorf("%q: error\n%v, want\n%s", head, err, want+remedy)
		}
	}
	broken := errors.New("input/output error")
	if err := initrd.CheckUser(io.MultiReader(strings.NewReader("0707"), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}
