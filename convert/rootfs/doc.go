// Package rootfs merges the layers of an OCI image into one file tree without
// unpacking them.
//
//	lower, err := rootfs.IndexTar(ctx, rootfs.Layer{Name: "sha256:1…", Tar: lowerTar, Size: size})
//	upper, err := rootfs.IndexTar(ctx, rootfs.Layer{Name: "sha256:2…", Tar: upperTar, Size: size})
//	tree, err := rootfs.Merge(ctx, lower, upper)
//	for name, inode := range tree.All() { … inode.Open() … }
//
// An index holds names, metadata and where the bytes are, never the bytes:
// memory grows with the number of files and not with their size. The rules are
// those of the OCI image specification (layer.md, "Applying Changesets") and of
// what containers/storage and overlayfs show of the same layers; [Merge] states
// them. A [Tree] is an [io/fs.FS].
//
// The package does not fetch, decompress or verify layers (see convert/image)
// and writes no archive (see convert/pack).
package rootfs
