// Package ramdisk lays a packed root into a ramdisk, after the initrd: a row of
// newc members of equal size, below [node.RootDir], that the kernel copies into
// its initramfs. The first stage reads them in their order and frees each once it
// is read, so that a node never holds the packed root and the unpacked one at
// once. No file is so large that newc could not hold it.
//
//	w := ramdisk.NewWriter(out)
//	… // the packed root
//	err := w.Close()
//
//	r := ramdisk.NewReader(io.NewSectionReader(file, offset, size))
package ramdisk
