// Package convert casts an OCI image into a rootimgdir that nodes boot from.
//
//	img, err := image.Open(ctx, ref, image.Options{})
//	manifest, err := convert.Convert(ctx, img, convert.Options{Dir: "/srv/boot/compute"})
//
// Data flows one way:
//
//	image.Open     layers of any transport, as plain tars
//	rootfs.Merge   one tree: names and where the bytes are
//	kernel.Choose  the kernel to boot
//	pack.Archive   the root as an archive, or pack.Image as a file system
//	netboot.Stage  files, manifest, and the step that makes them current
//
// No root file system is ever unpacked, and no program of the image runs; but where
// its own dracut is asked for the initrd, the caller runs it ([Options].Run). How
// images are built is package build's business; a reference is all that comes from
// there.
package convert
