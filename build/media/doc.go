// Package media reads the media that distributions come on: images of ISO 9660
// file systems with Rock Ridge or Joliet names, images of UDF, and directories
// that hold what was on one. It says which distribution it is, and copies it.
//
//	m, err := media.Open("Rocky-9.4-x86_64-dvd.iso")
//	defer m.Close()
//	id, err := media.Identify(m)                        // rocky9.4, x86_64, disc 1
//	result, err := media.Copy(ctx, m, "/install/rocky9.4/x86_64", media.CopyOptions{})
//
// An image is read in user space: nothing is mounted, and root is not needed. The
// whole directory is read when it is opened, and what an image must not have is
// refused then, with its path: names with a slash, a zero byte or "..", extents
// beyond the image's end, a directory within itself, special files, and symbolic
// links that lead out of the medium.
//
// The readers are this package's own, since the libraries that there are take a
// file's data to be in one piece (go-diskfs; a file of 4 GiB and more is not, in
// ISO 9660), know no symbolic links (kdomanski/iso9660), or say of themselves that
// they read certain images only (mogaika/udf).
//
// It does not read compressed files (zisofs), what is written in several sessions,
// nor UDF on rewritable disks (virtual and sparable partitions).
package media
