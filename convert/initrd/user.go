package initrd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// CheckUser tells by its first bytes whether the kernel may take an initrd that
// a site made: a newc archive, or one compressed by what Linux knows
// (lib/decompress.c). Whether the image's kernel was built with that decoder is not
// checked, nor what follows.
func CheckUser(r io.Reader) error {
	head := make([]byte, len("070701"))
	n, err := io.ReadFull(r, head)
	head = head[:n]
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
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
