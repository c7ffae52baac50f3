// Package kernel finds the kernels of an image and puts them in version order.
//
//	k, err := kernel.Choose(tree, "") // the newest
//	f, err := tree.Open(k.Path)
//	err = kernel.Copy(w, f, "arm64")
//
// It works on any [io/fs.FS] and runs nothing of the image.
package kernel
