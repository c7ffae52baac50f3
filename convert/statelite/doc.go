// Package statelite reads the rules that say which files of a node are kept in
// memory, on a server or on a disk, and which are read-only: xCAT's litefile table.
//
//	rules, err := statelite.Parse(file, "compute.litefile")
//	for _, warning := range rules.Check(tree) { … }
//	text, err := rules.Encode() // goes into the image as [Path]
//
// A rule is a path and an option. They come one a line, with comments after "#",
//
//	/etc/ntp.conf                  # tmpfs, the default
//	/var/lib/slurm/   persistent   # a directory ends with a slash
//
// or as "tabdump litefile" prints them:
//
//	#image,file,options,comments,disable
//	"ALL","/etc/ntp.conf","tmpfs",,
//
// The options are those that xCAT's liteimg takes:
//
//	tmpfs, rw        what the image has, writable, forgotten when the node stops
//	persistent       copied to the persistent store at the first boot, and then kept there
//	localdisk        the same on the node's own disk
//	ro               what the image has, read-only
//	con              the image's file with the file of that path in the persistent store after it
//	link             the same as tmpfs; "tmpfs,rw" is its old name
//	link,persistent  the same as persistent
//	link,ro          the same as ro
//	link,con         the same as con
//
// Two things differ from xCAT. There is no litetree: what ro and con would look
// for there comes from the image and from the node's own persistent store. And no
// rule changes the image: link mounts the file over its path as the others do, so
// "ls -l" on the node shows the file with its own mode and owner and no symlink to
// /.statelite/tmpfs. Programs that refuse a symlink, such as sshd, work with it;
// where xCAT lets a program replace the link by renaming another file over it, a
// mounted file answers EBUSY, and a rule for the directory is the way out.
package statelite
