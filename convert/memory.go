package convert

import (
	"github.com/rootcast/rootcast/convert/netboot"
	"github.com/rootcast/rootcast/convert/rootfs"
)

// What a node needs beside its root, in bytes.
const (
	inodeSize  = 1024      // of tmpfs, with its directory entry
	kernelSize = 160 << 20 // the kernel itself and the first programs
	slackSize  = 128 << 20 // what a node writes to its root: logs, caches, leases
	cacheSize  = 256 << 20 // what programs and their data take of the page cache
	bufferSize = 128 << 20 // what the first stage unpacks in
)

// packedSize is the size of the packed root alone.
func packedSize(f netboot.File) int64 {
	if f.Root != nil {
		return f.Root.Size
	}
	return f.Size
}

// memory estimates what a node needs. A tmpfs takes at most half of the memory
// (Documentation/filesystems/tmpfs.rst, "size"), and the initramfs is one too.
//
// A first stage holds the packed root only as far as it is not unpacked yet; but
// while the kernel unpacks a ramdisk, its bytes are there twice. A kernel that
// unpacks the root itself holds it packed and unpacked.
func (c *converter) memory(packed int64) netboot.Memory {
	root := c.unpackedSize()
	var initrd int64
	if c.manifest.Initrd != nil {
		initrd = c.manifest.Initrd.Unpacked + int64(len(c.manifest.Initrd.Modules)+len(c.manifest.Initrd.Firmware))*c.pageSize()
	}
	loaded := int64(0)
	if c.o.Boot == netboot.BootRamdisk {
		loaded = 2 * (packed + initrd)
	}
	switch {
	case !c.o.Method.IsArchive():
		return netboot.Memory{Peak: max(loaded, packed+initrd+min(root, cacheSize)+slackSize, 2*packed) + kernelSize, After: packed}
	case !c.o.hasFirstStage():
		return netboot.Memory{Peak: max(root+packed, 2*(root+slackSize)) + kernelSize, After: root}
	default:
		return netboot.Memory{Peak: max(loaded, root+initrd+bufferSize, 2*(root+slackSize)) + kernelSize, After: root}
	}
}

// pageSize is how the kernel divides memory, in bytes: each file of a tmpfs takes
// whole pages.
func (c *converter) pageSize() int64 {
	switch {
	case c.support.PageSize > 0:
		return c.support.PageSize
	case c.img.Config.Architecture == "ppc64le":
		return 64 << 10 // as distributions' kernels have it
	default:
		return 4 << 10
	}
}

// unpackedSize is what the root takes of a tmpfs.
func (c *converter) unpackedSize() (size int64) {
	seen, page := map[*rootfs.Inode]bool{}, c.pageSize()
	for _, in := range c.tree.All() {
		if !seen[in] {
			seen[in] = true
			size += (in.Size+page-1)/page*page + inodeSize
		}
	}
	return size
}
