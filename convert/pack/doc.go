// Package pack writes a merged tree as the root that a node boots from: an
// archive, or by other programs a file system.
//
//	info, err := pack.Archive(ctx, file, tree, pack.Options{Codec: pack.Zstd})
//
// The archive is a row of segments. Each holds whole entries and is compressed
// by itself; the last ends with the only trailer. So the file is one that the
// kernel unpacks as an initramfs (init/initramfs.c takes any row of archives,
// compressed or not), that "zstd -dc | cpio -i" reads, and whose segments can be
// made, and unpacked, side by side. Where a segment ends depends on the names
// and sizes around that place alone, and its bytes on its entries alone: the
// number of workers changes nothing. A large file is a segment by itself, which
// zstd packs in pieces, side by side too, that are one frame. Packed segments are
// kept in a cache, by keys that are known without reading a file.
package pack
