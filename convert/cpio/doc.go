// Package cpio writes "newc" archives (cpio -H newc, magic 070701), the only
// ones that Linux unpacks as an initramfs.
//
//	h := cpio.Header{Name: "etc/hostname", Mode: 0o100644, Links: 1, Size: 5}
//	archive, err := h.Append(nil)
//	archive = append(archive, "node\n\x00\x00\x00"...) // padded to a multiple of 4
//	archive = cpio.AppendTrailer(archive)
//
// The format is that of Documentation/driver-api/early-userspace/buffer-format.rst
// and init/initramfs.c in the kernel's source. What the kernel would skip in
// silence (a name over PATH_MAX) or could not hold (a file of 4 GiB) is an error
// here. Device numbers, hard links and every mode bit are carried, extended
// attributes and times below a second cannot be.
package cpio
