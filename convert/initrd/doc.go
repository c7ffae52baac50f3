// Package initrd decides what a node's first stage carries: the first program,
// the kernel's modules that bring up the network, disks and file systems, their
// firmware, and what the site adds. It returns a tree, which convert/pack makes
// an archive of.
//
//	tree, rep, err := initrd.Build(ctx, image, initrd.Options{Kernel: k, Architecture: "arm64", Init: program})
//	info, err := pack.Archive(ctx, w, tree, pack.Options{Codec: pack.Gzip})
//
// The modules are those that modules.list names, by class, as far as the image's
// kernel has them, with all that they need. However the image has them compressed,
// the first stage carries each as a .zst of its own, and the lists that depmod(8)
// made are reduced to them. Everything comes from the image's files: none
// of its programs runs, the architecture does not matter, and the same image and
// options give the same tree.
//
// [Dracut] prepares a run of the image's own dracut instead, which is asked for the
// same modules; [CheckDracut] and [Carried] look at what it made.
//
// [Early] makes the archive of CPU microcode that goes before all others, and
// [CheckUser] looks at an initrd that a site wants before the packed tree.
package initrd
