package pack

import (
	"fmt"
	"slices"
	"strings"
)

// Method is the format of a packed root.
type Method string

// The methods. The first two are archives: a row of entries, which is cut into
// segments. The others are file systems that a node mounts, made by a tool from
// a stream of tar.
const (
	CPIO     Method = "cpio" // newc, what the kernel unpacks
	Tar      Method = "tar"
	SquashFS Method = "squashfs"
	EROFS    Method = "erofs"
)

// ParseMethod returns the method called name.
func ParseMethod(name string) (Method, error) {
	switch m := Method(name); m {
	case CPIO, Tar, SquashFS, EROFS:
		return m, nil
	}
	return "", fmt.Errorf("unknown method %q: one of cpio, tar, squashfs, erofs", name)
}

// IsArchive tells whether the method is an archive, which [Archive] makes; the
// others are file systems, which [Image] makes.
func (m Method) IsArchive() bool { return m == CPIO || m == Tar || m == "" }

// Codecs are those that the method knows: tar2sqfs cannot leave a squashfs uncompressed.
func (m Method) Codecs() []Codec {
	if m == SquashFS {
		return []Codec{Zstd, Gzip, XZ, LZ4}
	}
	return []Codec{Zstd, Gzip, XZ, LZ4, None}
}

// CheckCodec refuses a codec, and a level of it, that the method does not have;
// level 0 is the codec's default.
func (m Method) CheckCodec(c Codec, level int) error {
	if codecs := m.Codecs(); !slices.Contains(codecs, c) {
		return fmt.Errorf("%s cannot be compressed by %q: one of %s", m, c, join(codecs))
	}
	_, err := m.level(c, level)
	return err
}

// join lists codecs for people.
func join(codecs []Codec) string {
	names := make([]string, len(codecs))
	for i, c := range codecs {
		names[i] = string(c)
	}
	return strings.Join(names, ", ")
}

// level returns the codec's default for 0, and checks all others. In blocks, as
// file systems compress, the higher levels do not ask more of a node.
func (m Method) level(c Codec, level int) (int, error) {
	switch {
	case !m.IsArchive() && c == Zstd:
		return c.inRange(level, 3, 22)
	case m == EROFS && c == LZ4:
		return c.inRange(level, 1, 12)
	}
	return c.level(level)
}
