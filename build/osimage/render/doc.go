// Package render turns an osimage definition into the build context that it
// stands for: a Containerfile and the files beside it, which rootcast build, or
// any other builder of Containerfiles, makes the image of.
//
//	r, err := render.Render(d, render.Options{Base: "localhost/base/debian:12"})
//	err = r.Write("context")
//
// Passes of lists of packages, scripts and settings become RUN steps that call the
// distribution's own package manager inside the image. Local repositories are not
// copied: the steps see them through Volumes. The package is pure: it reads the
// definition and the files that it names, and knows no image store and no network.
package render
