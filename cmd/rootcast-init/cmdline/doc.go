// Package cmdline reads the kernel's command line: what the administrator asks of
// the first stage. README has the table of arguments.
//
//	o, unknown := cmdline.Parse(text)
//	if o.ImgURL == "" { … }
package cmdline
