package pack

import (
	"errors"
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

// Codecs are those that the method knows. Of erofs, what the installed tool knows may be less.
func (m Method) Codecs() []Codec {
	return []Codec{Zstd, Gzip, XZ, LZ4, None}
}

// CheckCodec refuses a codec, and a level of it, that the method does not have;
// level 0 is the codec's default.
func (m Method) CheckCodec(c Codec, level int) error {
	if codecs := m.Codecs(); !slices.Contains(codecs, c) {
		return fmt.Errorf("unknown compression %q: one of %s", c, join(codecs))
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

// level returns the method's own default of a codec for 0, and checks all others.
func (m Method) level(c Codec, level int) (int, error) {
	switch {
	case m == SquashFS && c == Zstd:
		return c.inRange(level, 15, 22)
	case m == SquashFS && c == Gzip:
		return c.inRange(level, 9, 9)
	case m == SquashFS && c == XZ && level != 0:
		return 0, errors.New("xz has no levels in squashfs")
	case m == SquashFS && c == LZ4, m == EROFS && c == LZ4:
		return c.inRange(level, 9, 12)
	case m == EROFS && c == Zstd:
		return c.inRange(level, 3, 22)
	}
	return c.level(level)
}
