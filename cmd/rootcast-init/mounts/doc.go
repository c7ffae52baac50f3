// Package mounts makes the mounts of a node's start: the kernel's own file
// systems, the tmpfs or the overlay that becomes the root, and the switch to it.
//
//	mounts.Early(log)
//	err := mounts.Tmpfs("/sysroot", mounts.TmpfsOptions{Limit: "80%"})
//	…
//	err = mounts.Switch("/sysroot", "/sbin/init", args, env)
package mounts
