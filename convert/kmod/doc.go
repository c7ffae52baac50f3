// Package kmod reads what depmod(8) wrote about the modules of a kernel, and what
// a module says of itself: enough to choose modules for an initrd, and to load
// them on a node, without a program of the image.
//
//	set, err := kmod.Read(fsys, "lib/modules/6.1.0-37-amd64")
//	names := set.Match("pci:v00001AF4d00001000sv…")
//	modules, missing := set.Closure(names...)
//
// The files are those of modules.dep(5), modprobe.d(5) and Documentation/kbuild/kbuild.rst
// (modules.builtin) in their text forms. Names, aliases and their order mean what
// they mean to modprobe(8) of kmod; the files of /etc/modprobe.d are not read.
package kmod
