package convert

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/rootcast/rootcast/convert/exlist"
	"github.com/rootcast/rootcast/convert/netboot"
	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/statelite"
)

// initPrograms are where an image may keep its first program: the kernel's own
// list (init/main.c, kernel_init) and where systemd lies by itself.
var initPrograms = [...]string{ //nolint:gochecknoglobals // a constant table
	"init", "sbin/init", "usr/sbin/init", "etc/init", "bin/init", "usr/lib/systemd/systemd", "lib/systemd/systemd",
}

// errNoInit is an image that nothing could start.
var errNoInit = errors.New("the image has no init: looked for /init, /sbin/init, /etc/init, /bin/init and systemd;" +
	" install one (on Debian the package systemd-sysv) in the recipe")

// FindInit returns the path of the image's first program.
func FindInit(tree *rootfs.Tree) (string, error) {
	for _, name := range initPrograms {
		info, err := fs.Stat(tree, name)
		if err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return "/" + name, nil
		}
	}
	return "", errNoInit
}

// finish makes of the image's tree what is packed: without what the exclude rules
// drop, with the statelite rules, and in a ramdisk without a first stage with
// /init, the program that the kernel starts there, leading to the image's own.
func finish(tree *rootfs.Tree, m *netboot.Manifest) error {
	if len(m.Exclude) > 0 {
		tree.Prune(exlist.New(m.Exclude...).Drops)
	}
	if _, err := fs.Stat(tree, m.Init[1:]); err != nil {
		return fmt.Errorf("the exclude list drops the image's init: %w", err)
	}
	if len(m.Statelite) > 0 {
		text, err := (&statelite.Rules{Rules: m.Statelite}).Encode()
		if err != nil {
			return err
		}
		if err := tree.Put(statelite.Path, rootfs.NewText(0o644, text)); err != nil {
			return err
		}
	}
	if m.Boot != netboot.BootRamdisk || m.Initrd != nil || m.Init == "/init" {
		return nil
	}
	return tree.Put("init", rootfs.NewSymlink(m.Init[1:]))
}
