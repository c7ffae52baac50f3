// Package extract writes a packed root, cpio or tar, into a directory while it
// arrives, on all cores:
//
//	stats, err := extract.Archive(ctx, body, "/newroot", extract.Options{
//		Method: "cpio", Compress: "zstd", Segments: spec.Root.Segments,
//	})
//
// One goroutine reads the stream and cuts it into segments, by the table that
// convert made of them, or at the frames of zstd. Workers decompress a segment and
// write its entries. At most Jobs+1 packed segments and Jobs unpacked ones are in
// memory; one that is larger than 16 MiB goes through in pieces. What has no
// segments, or is no cpio, is written by one worker, in order, while others
// decompress ahead.
//
// The result is what the archive says, whoever wrote first: parents are made where
// they are missing, directories get their metadata at the end, and the names of a
// hard-linked file may stand in any segments. A file that an archive names twice is
// replaced, as the kernel does, where one worker goes by the order; it is an error
// where several do. Nothing is written outside the directory: each part of a name
// is opened by itself, and no symlink is followed, not even one that leads to another
// place within.
//
// The directory is to be empty, and the caller verifies the digest of what it
// passes in: files are there before the last byte is known. Where Archive fails, what
// it wrote stays; a second try wants an empty directory.
//
// The extended attributes of a cpio root (package xattrs) are set at the end and
// their list is removed. They need /proc.
package extract
