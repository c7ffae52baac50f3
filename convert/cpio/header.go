package cpio

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

var (
	// ErrTooLarge is a file of 4 GiB or more: newc stores sizes in 32 bits.
	ErrTooLarge = errors.New("too large for a cpio archive, which holds less than 4 GiB a file")
	// ErrNameTooLong is a name or symlink target that the kernel would skip.
	ErrNameTooLong = errors.New("longer than the kernel unpacks: 4095 bytes, 255 between two slashes")
)

const (
	// MaxSize is the largest file that newc can hold.
	MaxSize = math.MaxUint32
	pathMax = 4096 // PATH_MAX, with the NUL
	nameMax = 255  // NAME_MAX

	headerSize  = 110
	trailerName = "TRAILER!!!"

	// TrailerSize is the length of the entry that ends an archive.
	TrailerSize = 124
)

// Header describes one entry.
type Header struct {
	Name         string // relative, without "./"
	Mode         uint32 // st_mode
	UID, GID     uint32
	ModTime      uint32 // seconds since the epoch
	Size         int64  // of the content that follows; of a symlink the length of its target
	Major, Minor uint32 // of a device

	// Ino, DevMajor, DevMinor and Links say which entries are one file: those
	// that agree in the first three where Links is 2 or more. Links must be the
	// number of such entries.
	Ino                uint32
	DevMajor, DevMinor uint32
	Links              uint32
}

// Append appends an entry's header, name and padding to b, whose length is a
// multiple of 4. The entry's content follows, padded to a multiple of 4 again.
func (h *Header) Append(b []byte) ([]byte, error) {
	if err := h.check(); err != nil {
		return b, fmt.Errorf("writing cpio entry %q: %w", h.Name, err)
	}
	return h.append(b), nil
}

// AppendTrailer appends the entry that ends an archive, [TrailerSize] bytes.
func AppendTrailer(b []byte) []byte {
	return (&Header{Name: trailerName, Links: 1}).append(b)
}

func (h *Header) check() error {
	switch {
	case h.Size > MaxSize:
		return fmt.Errorf("%d bytes: %w", h.Size, ErrTooLarge)
	case h.Size < 0:
		return fmt.Errorf("negative size %d", h.Size)
	case len(h.Name) >= pathMax || slices.ContainsFunc(strings.Split(h.Name, "/"), func(s string) bool { return len(s) > nameMax }):
		return fmt.Errorf("its name is %w", ErrNameTooLong)
	case h.Mode&0o170000 == 0o120000 && h.Size >= pathMax:
		return fmt.Errorf("its target is %w", ErrNameTooLong)
	case h.Mode&0o170000 == 0o120000 && h.Size == 0:
		return errors.New("a symlink without a target")
	case h.Name == "" || h.Name == trailerName || strings.ContainsRune(h.Name, 0):
		return errors.New("no name that an archive can hold")
	}
	return nil
}

// append appends the 110 bytes, the name, its NUL and the padding.
func (h *Header) append(b []byte) []byte {
	start := len(b)
	b = append(b, "070701"...)
	for _, v := range [...]uint32{
		h.Ino, h.Mode, h.UID, h.GID, h.Links, h.ModTime, uint32(h.Size), //nolint:gosec // checked
		h.DevMajor, h.DevMinor, h.Major, h.Minor, uint32(len(h.Name) + 1), 0, //nolint:gosec // below PATH_MAX
	} {
		b = appendHex(b, v)
	}
	b = append(b, h.Name...)
	b = append(b, 0)
	for (len(b)-start)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// appendHex appends v as newc has it: eight digits.
func appendHex(b []byte, v uint32) []byte {
	const digits = "0123456789abcdef"
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, digits[v>>shift&15])
	}
	return b
}
