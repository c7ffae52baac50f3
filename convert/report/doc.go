// Package report says what an image's bytes are spent on, and how two images differ.
//
//	r, err := report.Build(ctx, tree, report.Options{Name: "compute:1", Layers: layers})
//	err = r.WriteTable(os.Stdout, 20)
//	err = r.WriteHTML(page)
//
//	d, err := report.Compare(ctx, old, new, report.DiffOptions{})
//	err = d.WriteTable(os.Stdout, false)
//
// Sizes are bytes of content. A file with several names is counted once, at the
// first of them in the order of the tree, so that all parts add up to the whole.
// A file that several packages own is counted to the first.
//
// The package reads trees and the package databases in them. It opens no image
// and no rootimgdir, and runs nothing.
package report
