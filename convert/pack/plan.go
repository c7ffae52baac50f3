package pack

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"time"

	"github.com/rootcast/rootcast/convert/cpio"
	"github.com/rootcast/rootcast/convert/rootfs"
)

// The size of a segment before compression: it may end from minSegment on,
// every file's bytes making it likelier, and ends at maxSegment at the latest,
// unless one file is larger than that.
const (
	minSegment  = 1 << 20
	meanSegment = 6 << 20
	maxSegment  = 16 << 20
)

// item is one entry of the archive.
type item struct {
	header cpio.Header
	inode  *rootfs.Inode
}

// plan lays out the whole archive: one slice of entries a segment.
func plan(t *rootfs.Tree, epoch time.Time) ([][]item, error) {
	items, err := list(t, epoch)
	if err != nil {
		return nil, err
	}
	return cut(items), nil
}

// list returns every entry in the tree's order. Of a hard-linked file the last
// name carries the bytes, as with GNU cpio and the kernel's gen_init_cpio.
func list(t *rootfs.Tree, epoch time.Time) ([]item, error) {
	var items []item
	carrier := map[*rootfs.Inode]int{} // where the latest name of a linked file is
	for name, in := range t.All() {
		h := header(name, in, epoch)
		if h.Size > cpio.MaxSize {
			return nil, fmt.Errorf("%q has %d bytes: %w", "/"+name, h.Size, cpio.ErrTooLarge)
		}
		if in.Names() > 1 && !in.IsDir() {
			if at, ok := carrier[in]; ok {
				first := &items[at].header
				h.Ino, h.DevMajor, h.DevMinor = first.Ino, first.DevMajor, first.DevMinor
				if in.Type() == rootfs.TypeRegular {
					first.Size = 0
				}
			} else {
				h.Ino, h.DevMajor, h.DevMinor = linkID(name)
			}
			carrier[in] = len(items)
		}
		items = append(items, item{h, in})
	}
	return items, nil
}

func header(name string, in *rootfs.Inode, epoch time.Time) cpio.Header {
	h := cpio.Header{
		Name: name, Mode: in.Mode, UID: in.UID, GID: in.GID, ModTime: ModTime(in, epoch),
		Size: in.Size, Major: in.Major, Minor: in.Minor, Links: uint32(in.Names()), //nolint:gosec // a count of names
	}
	switch in.Type() {
	case rootfs.TypeSymlink: // the kernel takes a symlink's target from its own entry alone, linked or not
		h.Size = int64(len(in.Target))
	case rootfs.TypeDir:
		h.Links = 2
	}
	return h
}

// ModTime is the time that the archive gives a file: whole seconds, not after
// the epoch unless that is zero, within what newc's 32 bits can say.
func ModTime(in *rootfs.Inode, epoch time.Time) uint32 {
	t := in.ModTime
	if !epoch.IsZero() && t.After(epoch) {
		t = epoch
	}
	return uint32(min(max(t.Unix(), 0), math.MaxUint32)) //nolint:gosec // clamped
}

// linkID names a group of hard links by its first name, so that no other file
// of the image changes it. The numbers stay within what makedev(3) can hold.
func linkID(first string) (ino, major, minor uint32) {
	sum := sha256.Sum256([]byte(first))
	return binary.BigEndian.Uint32(sum[0:]) | 1, binary.BigEndian.Uint32(sum[4:]) & 0xfff, binary.BigEndian.Uint32(sum[8:]) & 0xfffff
}

// cut divides the entries into segments.
func cut(items []item) [][]item {
	var segments [][]item
	start, size := 0, int64(0)
	for i := range items {
		h := &items[i].header
		entry := entrySize(h)
		if i > start && size+entry > maxSegment {
			segments = append(segments, items[start:i])
			start, size = i, 0
		}
		size += entry
		if size >= minSegment && endsHere(h.Name, entry) {
			segments = append(segments, items[start:i+1])
			start, size = i+1, 0
		}
	}
	if start < len(items) {
		segments = append(segments, items[start:])
	}
	return segments
}

// endsHere tells by the name alone whether a segment ends after an entry; the
// odds are its share of a mean segment.
func endsHere(name string, size int64) bool {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return uint64(h.Sum32())*meanSegment < uint64(size)<<32 //nolint:gosec // sizes are below 2^33
}

// entrySize is the length of an entry in the archive.
func entrySize(h *cpio.Header) int64 {
	pad := func(n int64) int64 { return (n + 3) &^ 3 }
	return pad(110+int64(len(h.Name))+1) + pad(h.Size)
}
