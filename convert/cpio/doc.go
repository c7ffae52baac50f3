// Package cpio writes "newc" archives (cpio -H newc, magic 070701), the only
// ones that Linux unpacks as an initramfs.
//
//	w := cpio.NewWriter(out)
//	err := w.WriteHeader(&cpio.Header{Name: "etc/hostname", Mode: 0o100644, Links: 1, Size: 5})
//	_, err = io.WriteString(w, "node\n")
//	err = w.Close() // the trailer
//
// The format is that of Documentation/driver-api/early-userspace/buffer-format.rst
// and init/initramfs.c in the kernel's source. What the kernel would skip in
// silence (a name over PATH_MAX) or could not hold (a file of 4 GiB) is an error
// here. Device numbers, hard links and every mode bit are carried, extended
// attributes and times below a second cannot be.
package cpio
