// Package unpack reads a packed root back, entry by entry, whatever its format,
// with readers that share no code with the packer:
//
//	root := unpack.Root{Path: "rootimg.sfs", Method: pack.SquashFS}
//	err := root.Walk(ctx, func(e *unpack.Entry) error { … })
//
// Nothing is unpacked on disk. A squashfs is read through sqfs2tar; an erofs is
// mounted, out of sight of all other processes, which takes root.
package unpack
