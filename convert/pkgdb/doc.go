// Package pkgdb reads which packages a root file system holds, and which files
// each of them owns, from the databases of dpkg and rpm.
//
//	packages, err := pkgdb.Read(ctx, tree, "/var/tmp")
//	for _, p := range packages { … p.Name, p.Version, p.Files … }
//
// It runs nothing of the image and needs neither dpkg nor rpm on this machine.
// Names are those that the files have in the tree: where dpkg's list says /bin/x
// and bin is a link to usr/bin, it is usr/bin/x, and a diverted file is where
// its diversion has put it.
//
// The package does not read signatures, dependencies or scripts, and trusts
// nothing that a database says: what is damaged is an error, never a crash.
package pkgdb
