// Package osimage reads and writes the definitions of images: what xCAT keeps as
// rows of its tables osimage and linuximage, with its attribute names, is a YAML
// file of its own here, whose name is the image's.
//
//	c := osimage.Catalog{Dirs: []string{"/etc/rootcast/osimages"}}
//	d, err := c.Load("debian12-x86_64-netboot-compute")
//	err = osimage.WriteStanzas(os.Stdout, d)   // as lsdef -z prints it
//
// In memory every path of a definition is absolute; in the file those below its
// directory are relative to it, so that a directory of definitions can be moved.
// The package is pure: it reads and writes definitions and the files that they
// name, and knows no image store, no network and no command line.
package osimage
