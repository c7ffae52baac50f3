package mounts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// UpperZram mounts a file system on a compressed device of the given size
// (Documentation/admin-guide/blockdev/zram.rst, disksize) for what the node
// writes. The program that makes it, mkfs.ext4, is the image's, whose root is
// mounted on lower.
func UpperZram(ctx context.Context, size, lower string) (dir string, err error) {
	device, err := newZram(size)
	if err != nil {
		return "", fmt.Errorf("rootcast.zram=%s: %w", size, err)
	}
	if err := makeExt4(ctx, device, lower); err != nil {
		return "", fmt.Errorf("rootcast.zram=%s: %w", size, err)
	}
	return UpperDevice(device, "ext4")
}

// zramControl makes a device when it is read (zram.rst, hot_add).
const zramControl = "/sys/class/zram-control/hot_add"

func newZram(size string) (device string, err error) {
	number, err := os.ReadFile(zramControl)
	if errors.Is(err, os.ErrNotExist) {
		return "", errors.New("this kernel has no zram: the image's kernel lacks the module, or convert left it out (--omit-module)")
	}
	if err != nil {
		return "", err
	}
	name := "zram" + strings.TrimSpace(string(number))
	if err := os.WriteFile("/sys/block/"+name+"/disksize", []byte(size), 0); err != nil {
		return "", fmt.Errorf("setting the size of %s: %w", name, err)
	}
	f, err := openDevice("/dev/" + name)
	if err != nil {
		return "", err
	}
	return "/dev/" + name, f.Close()
}

// makeExt4 runs the image's mkfs.ext4 in the image. No journal: after a crash the
// memory is gone.
func makeExt4(ctx context.Context, device, root string) error {
	dev := root + "/dev"
	if err := unix.Mount("/dev", dev, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("giving the image's mkfs.ext4 a /dev: %w", err)
	}
	defer unix.Unmount(dev, unix.MNT_DETACH) //nolint:errcheck // the switch to the root leaves it behind
	for _, program := range []string{"/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4"} {
		cmd := exec.CommandContext(ctx, program, "-q", "-F", "-O", "^has_journal", device)
		cmd.SysProcAttr = &unix.SysProcAttr{Chroot: root}
		cmd.Dir, cmd.Env = "/", []string{}
		out, err := cmd.CombinedOutput()
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s on %s: %w: %s", program, device, err, strings.TrimSpace(string(out)))
		}
		return nil
	}
	return errors.New("the image has no mkfs.ext4: add the package e2fsprogs to the recipe")
}
