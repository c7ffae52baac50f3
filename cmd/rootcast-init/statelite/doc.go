// Package statelite gives the paths of litefile rules their place before the
// switch to the new root: in memory, on a server or on a local disk.
//
//	report, err := statelite.Apply(ctx, statelite.Options{
//		Root: "/sysroot", Rules: rules, Persistent: "n1:/state", Node: "node7", Log: log,
//	})
//
// What the booted system finds:
//
//	/.statelite/tmpfs        one tmpfs with what is kept in memory
//	/.statelite/persistent   the node's own directory of the persistent store
//	/.sllocal/localmnt       the local disk
//
// A file of a tmpfs rule is copied to /.statelite/tmpfs under its own path and
// mounted over it. A directory is not copied: an overlay lies over it, whose
// changes are in /.statelite/tmpfs/.overlay, so that a large one costs nothing
// until it is written to. Without overlay in the kernel it is copied too.
//
// What is persistent or on the local disk is copied there at the first boot, with
// owners, modes, times, links and extended attributes, under another name at first:
// after a power cut there is nothing or all of it. From then on the copy counts,
// even if a later image holds something else. It is never an overlay, because NFS
// cannot be the upper layer of one, and because changes of the image would shine
// through.
//
// Every rule is a mount, so a program that wants to replace a file of a rule by
// renaming another one over it gets EBUSY; it needs a rule for the directory. A
// rule within a directory of the same kind needs no mount of its own.
//
// Symlinks of the image are followed with the new root as their root, and those
// of a store with the node's directory as theirs. None leads out.
package statelite
