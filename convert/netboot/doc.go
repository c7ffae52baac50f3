// Package netboot keeps a rootimgdir: the directory that nodes boot from.
//
//	stage, err := netboot.Begin(ctx, dir, netboot.Options{Keep: 3})
//	defer stage.Abort()
//	f, err := stage.Create(netboot.RamdiskName)
//	… write, f.Close() …
//	err = stage.Publish(ctx, manifest)
//
// Each version is a directory of its own below versions/. The link current
// names one of them, and each file's name in the rootimgdir is a link through
// current: one rename changes them all at once.
//
//	kernel -> current/kernel
//	ramdisk.img -> current/ramdisk.img
//	manifest.json -> current/manifest.json
//	current -> versions/1f0c…
//
// The versions that were current last stay, in the order that .history says,
// and Rollback makes one of them current again. The file .lock belongs to the
// process that writes.
//
// A node that has opened a file of the old version reads it to its end, and a
// crash at any point leaves the old version in place.
package netboot
