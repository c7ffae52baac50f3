// Package synclist puts into an image what xCAT's synclists name: files of this
// machine, lines for files of the image, accounts.
//
//	rules, err := synclist.Read(d.Items("synclists"), d.Environment())
//	report, err := synclist.Apply(ctx, mounted, rules)
//
// Files arrive as rsync -Lptgo would bring them: symlinks of this machine are
// followed; owners, groups, modes and times are kept, and unlike there extended
// attributes too, capabilities among them. A file takes the place of another, or of
// a symlink, in one step. Symlinks of the image to directories are followed, and
// lead nowhere out of it.
//
// Where a source goes:
//
//	file -> dest     into dest where that is a directory of the image, else to be dest
//	file -> dest/    into dest
//	dir/ -> dest     what is in dir into dest
//	dir -> dest/     into dest
//	dir -> dest      to be dest; into it where the image has such a directory of another name
//
// Several sources and patterns go into dest. Directories that the image lacks are made.
//
// Lines for some nodes alone and scripts to be run on nodes (EXECUTE:,
// EXECUTEALWAYS:) are for no image; the report counts them.
package synclist
