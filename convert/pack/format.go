package pack

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/rootcast/rootcast/convert/cpio"
	"github.com/rootcast/rootcast/convert/rootfs"
)

// item is one entry of an archive.
type item struct {
	name   string
	inode  *rootfs.Inode
	first  string // the first name of a file that has several; else ""
	size   int64  // of the content that follows the head
	length int64  // of the entry, head, content and padding
}

// format is how an archive writes its entries.
type format interface {
	// carries tells which of a file's names has its content: the first or the last.
	carries() place
	// appendHead appends to b what comes before an entry's content, padded to
	// align, and refuses what the format cannot hold.
	appendHead(b []byte, it *item) ([]byte, error)
	// align is what an entry's length is a multiple of.
	align() int64
	// appendTrailer appends what ends the archive.
	appendTrailer(b []byte) []byte
}

type place int

const (
	atFirst place = iota
	atLast
)

func (o Options) format() (format, error) {
	switch o.Method {
	case CPIO, "":
		return newc{o.Epoch}, nil
	case Tar:
		return pax{epoch: o.Epoch}, nil
	case SquashFS, EROFS: // the stream that their tools take
		return pax{epoch: o.Epoch, seconds: true}, nil
	}
	return nil, fmt.Errorf("unknown method %q", o.Method)
}

// newc is the cpio format that the kernel unpacks (package cpio).
type newc struct{ epoch time.Time }

// carries: the last name has the bytes, as with GNU cpio and the kernel's gen_init_cpio.
func (newc) carries() place { return atLast }

func (newc) align() int64 { return 4 }

func (newc) appendTrailer(b []byte) []byte { return cpio.AppendTrailer(b) }

func (f newc) appendHead(b []byte, it *item) ([]byte, error) {
	in := it.inode
	if it.size > cpio.MaxSize {
		return b, fmt.Errorf("%q has %d bytes: %w", "/"+it.name, it.size, cpio.ErrTooLarge)
	}
	h := cpio.Header{
		Name: it.name, Mode: in.Mode, UID: in.UID, GID: in.GID, ModTime: ModTime(in, f.epoch),
		Size: it.size, Major: in.Major, Minor: in.Minor, Links: uint32(in.Names()), //nolint:gosec // a count of names
	}
	if it.first != "" {
		h.Ino, h.DevMajor, h.DevMinor = linkID(it.first)
	}
	switch in.Type() {
	case rootfs.TypeDir:
		h.Links = 2
	case rootfs.TypeSymlink: // the kernel takes a target from the symlink's own entry alone, linked or not
		h.Size = int64(len(in.Target))
	}
	b, err := h.Append(b)
	if err != nil || in.Type() != rootfs.TypeSymlink {
		return b, err
	}
	return pad(append(b, in.Target...), len(in.Target), f.align()), nil
}

// pad appends zeros to b, which is written up to n, to a multiple of align.
func pad[N int | int64](b []byte, n N, align int64) []byte {
	for range padding(int64(n), align) {
		b = append(b, 0)
	}
	return b
}

func padding(n, align int64) int64 { return (align - n%align) % align }

// ModTime is the time that a cpio archive gives a file: whole seconds, not after
// the epoch unless that is zero, within what newc's 32 bits can say.
func ModTime(in *rootfs.Inode, epoch time.Time) uint32 {
	return uint32(min(max(clamped(in, epoch).Unix(), 0), math.MaxUint32)) //nolint:gosec // clamped
}

// linkID names a group of hard links by its first name, so that no other file
// of the image changes it. The numbers stay within what makedev(3) can hold.
func linkID(first string) (ino, major, minor uint32) {
	sum := sha256.Sum256([]byte(first))
	return binary.BigEndian.Uint32(sum[0:]) | 1, binary.BigEndian.Uint32(sum[4:]) & 0xfff, binary.BigEndian.Uint32(sum[8:]) & 0xfffff
}
