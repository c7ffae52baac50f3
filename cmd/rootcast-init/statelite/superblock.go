package statelite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// superblock is what a file system says of itself.
type superblock struct {
	kind  string // for mount(2); "": none that is known here
	label string
	uuid  string
}

// probeSize is how much of a device is looked at: up to the end of btrfs's superblock.
const probeSize = 0x10000 + 0x1000

// readSuperblock looks for ext2, ext3, ext4, xfs and btrfs.
func readSuperblock(r io.ReaderAt) (superblock, error) {
	b := make([]byte, probeSize)
	n, err := r.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return superblock{}, err
	}
	b = b[:n]
	for _, probe := range []func([]byte) (superblock, bool){probeExt, probeXFS, probeBtrfs} {
		if s, ok := probe(b); ok {
			return s, nil
		}
	}
	return superblock{}, nil
}

// probeExt reads the superblock at byte 1024 (Documentation/filesystems/ext4/super.rst).
// The driver ext4 mounts its elders too.
func probeExt(b []byte) (superblock, bool) {
	if len(b) < 2048 {
		return superblock{}, false
	}
	b = b[1024:2048]
	if binary.LittleEndian.Uint16(b[0x38:]) != 0xEF53 {
		return superblock{}, false
	}
	return superblock{"ext4", text(b[0x78:0x88]), uuid(b[0x68:0x78])}, true
}

// probeXFS reads struct xfs_dsb (fs/xfs/libxfs/xfs_format.h).
func probeXFS(b []byte) (superblock, bool) {
	if len(b) < 512 || string(b[:4]) != "XFSB" {
		return superblock{}, false
	}
	return superblock{"xfs", text(b[108:120]), uuid(b[32:48])}, true
}

// probeBtrfs reads struct btrfs_super_block at 64 KiB (include/uapi/linux/btrfs_tree.h).
func probeBtrfs(b []byte) (superblock, bool) {
	if len(b) < probeSize {
		return superblock{}, false
	}
	b = b[0x10000:]
	if string(b[0x40:0x48]) != "_BHRfS_M" {
		return superblock{}, false
	}
	return superblock{"btrfs", text(b[0x12b:0x22b]), uuid(b[0x20:0x30])}, true
}

func text(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b)
}

func uuid(b []byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// edge is how much at either end of a device must be zero for it to be empty. Whatever
// keeps something on a disk has its superblock there: file systems, RAID, LVM, LUKS, ZFS.
const edge = 1 << 20

// isEmpty tells whether both ends of a device of size bytes hold zeros alone.
func isEmpty(r io.ReaderAt, size int64) (bool, error) {
	for _, from := range []int64{0, max(size-edge, 0)} {
		b := make([]byte, min(edge, size))
		if _, err := r.ReadAt(b, from); err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		if len(bytes.Trim(b, "\x00")) > 0 {
			return false, nil
		}
	}
	return true, nil
}
