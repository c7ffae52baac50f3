// Package xattrs holds the list of extended attributes that a cpio root carries
// as a file, because newc has no place for them, and sets them on the files:
//
//	list, err := xattrs.Read(file)            // <root>/.rootcast/xattrs
//	done, err := xattrs.Apply(ctx, root, list) // root is an *os.Root
//
// The list is what "getfattr --dump --encoding=base64" prints, so that
// "setfattr -h --restore" in the unpacked root does the same. Its writer is
// pack.Xattrs. This package needs nothing but the kernel: it runs on the node, where
// /proc must be mounted.
package xattrs
