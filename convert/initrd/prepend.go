package initrd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// align is what each archive of an initrd is padded to. The kernel wants an
// uncompressed one at a multiple of 4 (init/initramfs.c, unpack_to_rootfs); GNU cpio
// fills blocks of 512.
const align = 512

func padding(size int64) int64 { return -size & (align - 1) }

// Prepend writes archives that go before the packed tree, each checked by
// [CheckUser] and padded with zeros so that another one can follow, and returns
// the number of bytes.
func Prepend(w io.Writer, archives ...io.Reader) (int64, error) {
	var total int64
	for i, r := range archives {
		in := bufio.NewReaderSize(r, 1<<16)
		if err := checkUser(in); err != nil {
			return total, fmt.Errorf("prepending initrd %d of %d: %w", i+1, len(archives), err)
		}
		n, err := io.Copy(w, in)
		total += n
		if err != nil {
			return total, fmt.Errorf("prepending initrd %d of %d: %w", i+1, len(archives), err)
		}
		n, err = io.Copy(w, bytes.NewReader(make([]byte, padding(n))))
		total += n
		if err != nil {
			return total, fmt.Errorf("prepending initrd %d of %d: %w", i+1, len(archives), err)
		}
	}
	return total, nil
}

// CheckUser tells by its first bytes whether the kernel may take an initrd that
// a site made: a newc archive, or one compressed by what Linux knows
// (lib/decompress.c). Whether the image's kernel was built with that decoder is not
// checked, nor what follows.
func CheckUser(r io.Reader) error { return checkUser(bufio.NewReader(r)) }

func checkUser(r *bufio.Reader) error {
	const longest = 6
	head, err := r.Peek(longest)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading an initrd: %w", err)
	}
	for _, magic := range []string{
		"070701", "\x1f\x8b", "\x1f\x9e", "\xfd7", "BZ", "]\x00", "\x89L", "\x02!", "\x28\xb5",
	} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return nil
		}
	}
	return fmt.Errorf("%s: make it by cpio -o -H newc, and compress it by gzip, zstd, xz --check=crc32 or lz4 -l", looksLike(head))
}

// looksLike says what an initrd that is none may be.
func looksLike(head []byte) string {
	for magic, what := range map[string]string{
		"070707":       "it is a cpio archive of the old portable format",
		"070702":       "it is a cpio archive with checksums, which older kernels refuse",
		"\xc7\x71":     "it is a cpio archive of the old binary format",
		"\x04\x22\x4d": "it is an lz4 file of the new format, which the kernel does not know",
		"hsqs":         "it is a squashfs",
		"\x7fELF":      "it is a program",
	} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return what
		}
	}
	if len(head) == 0 {
		return "it is empty"
	}
	return "it is neither a newc cpio archive nor compressed"
}
