package statelite

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// mountSource mounts a store on target, and returns what it is called on the console.
func (a *applier) mountSource(ctx context.Context, source, options, target string) (from string, err error) {
	flags, data := parseMountOptions(options)
	if e, ok := parseExport(source); ok {
		n := nfs{export: e, flags: flags, options: data, log: a.Log}
		return source, n.mount(ctx, target)
	}
	disk, err := a.finder().find(ctx, source)
	if err != nil {
		return "", err
	}
	err = unix.Mount(disk.path, target, disk.kind, flags|unix.MS_NOATIME, strings.Join(data, ","))
	switch {
	case errors.Is(err, unix.ENODEV):
		return "", fmt.Errorf("this kernel has no %s: the image's kernel lacks the module, or convert left it out (--add-module %s)", disk.kind, disk.kind)
	case err != nil:
		return "", fmt.Errorf("mounting %s (%s): %w; check the disk with fsck, and the mount options %q", disk.path, disk.kind, err, options)
	}
	if disk.path == source {
		return source, nil
	}
	return source + " (" + disk.path + ")", nil
}

// parseMountOptions splits options into the flags of mount(2) and those that the
// file system reads. What mount(8) and mount.nfs(8) keep for themselves is left out.
func parseMountOptions(options string) (flags uintptr, data []string) {
	for o := range strings.SplitSeq(options, ",") {
		switch o = strings.TrimSpace(o); o {
		case "", "rw", "defaults", "auto", "noauto", "user", "nouser", "_netdev", "nofail", "bg", "fg", "suid", "dev", "exec", "async", "atime":
		case "ro":
			flags |= unix.MS_RDONLY
		case "nosuid":
			flags |= unix.MS_NOSUID
		case "nodev":
			flags |= unix.MS_NODEV
		case "noexec":
			flags |= unix.MS_NOEXEC
		case "sync":
			flags |= unix.MS_SYNCHRONOUS
		case "dirsync":
			flags |= unix.MS_DIRSYNC
		case "noatime":
			flags |= unix.MS_NOATIME
		case "nodiratime":
			flags |= unix.MS_NODIRATIME
		case "relatime":
			flags |= unix.MS_RELATIME
		default:
			if !strings.HasPrefix(o, "retry=") && !strings.HasPrefix(o, "x-") {
				data = append(data, o)
			}
		}
	}
	return flags, data
}
