// Package modules loads kernel modules on a node: those that its hardware asks
// for by modalias, and those that are named, each with all that it needs.
//
//	l, err := modules.New(modules.Options{Dir: "/lib/modules/6.1.0-37-amd64", Sys: "/sys", Log: log})
//	loaded, err := l.Coldplug(ctx)
//	err = l.Load(ctx, "squashfs", "overlay")
package modules
