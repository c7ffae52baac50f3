// Package bundle reads and writes the bundles in which xCAT's imgexport and
// imgimport carry an osimage from one machine to another: a tar, packed by gzip or
// not, of one directory with a manifest.xml and the image's files flat beside it.
//
//	plan, err := bundle.New(d, bundle.Sources{Kernel: "/srv/boot/compute/kernel"})
//	err = plan.Write(ctx, w, nil)
//
//	contents, err := bundle.Scan(ctx, f, bundle.Limits{})    // names, sizes, the manifest
//	files, err := contents.Files()                           // what goes where
//	restored, err := bundle.Restore(ctx, f, contents, files) // beside what is there
//	err = restored.Commit()
//
// The manifest says by absolute paths where files go when they are imported, and
// who made a bundle chose them: [Places] says which of them are taken.
//
// A bundle cannot be followed out of the directories that it may write to, and has
// no links, devices or files that its manifest does not name. The package knows
// files and readers, and neither an image store nor a network.
package bundle
