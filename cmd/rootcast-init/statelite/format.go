package statelite

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxLabel is the longest label of ext4, in bytes.
const maxLabel = 16

// prepare formats a partition that is empty and has the wanted name, if that is
// allowed, and says in all other cases what keeps it from being used. Devices that are
// named in another way are never formatted: /dev/sda may be another disk tomorrow.
func (f *finder) prepare(ctx context.Context, w wanted, d *disk) (*disk, error) {
	empty, err := f.empty(d.path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("looking whether %s is empty: %w", d.path, err)
	case d.kind != "":
		return nil, fmt.Errorf("%s is the partition %s but has another label: it is not formatted; label it (e2label, xfs_admin -L), or boot with PARTLABEL=%s", d, d.partName, d.partName)
	case !empty:
		return nil, fmt.Errorf("%s holds neither ext4, xfs nor btrfs, and is not empty: it is not formatted; use another one, or wipe it (blkdiscard -z, dd if=/dev/zero)", d.path)
	case d.partName == "" || d.partName != w.value:
		return nil, fmt.Errorf("%s is empty, and a disk is formatted only if its partition has the GPT name that LABEL= or PARTLABEL= asks for (sgdisk -c 1:NAME)", d.path)
	case !f.format:
		return nil, fmt.Errorf("%s is empty: to have it formatted boot with rootcast.format=yes", d.path)
	case w.tag == "LABEL" && len(w.value) > maxLabel:
		return nil, fmt.Errorf("%s is to be formatted, but LABEL=%s is longer than the %d bytes of an ext4 label", d.path, w.value, maxLabel)
	}
	label := w.value
	if len(label) > maxLabel {
		label = ""
	}
	f.log("statelite: formatting %s, which is empty, with ext4 (rootcast.format=yes)", d.path)
	if err := f.mkfs(ctx, d.path, label); err != nil {
		return nil, fmt.Errorf("formatting %s: %w", d.path, err)
	}
	s, err := readDisk(d.path)
	if err == nil && s.kind == "" {
		err = fmt.Errorf("mkfs.ext4 has left no file system")
	}
	if err != nil {
		return nil, fmt.Errorf("formatting %s: %w", d.path, err)
	}
	d.superblock = s
	return d, nil
}

func (f *finder) empty(device string) (bool, error) {
	r, err := os.Open(device)
	if err != nil {
		return false, err
	}
	defer r.Close() //nolint:errcheck // it was only read
	size, err := r.Seek(0, io.SeekEnd)
	if err != nil {
		return false, err
	}
	return isEmpty(r, size)
}

// mkfs runs the image's own mkfs.ext4 with the image as its root.
func (f *finder) mkfs(ctx context.Context, device, label string) error {
	root, err := openTree(f.root)
	if err != nil {
		return err
	}
	defer root.close()
	program, err := mkfsOf(root)
	if err != nil {
		return err
	}
	dev, err := root.find("dev", directory)
	if err != nil {
		return fmt.Errorf("making /dev in the root: %w", err)
	}
	defer dev.close()
	if err := bind(f.dev, dev.path()); err != nil {
		return fmt.Errorf("/dev: %w", err)
	}
	defer func() {
		if at, err := root.find("dev", nothing); err == nil {
			_ = unix.Unmount(at.path(), unix.MNT_DETACH) // the switch covers it anyway
			at.close()
		}
	}()
	args := []string{"-q"}
	if label != "" {
		args = append(args, "-L", label)
	}
	cmd := exec.CommandContext(ctx, program, append(args, "/dev"+strings.TrimPrefix(device, f.dev))...) //nolint:gosec // of the image
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: f.root}
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/sbin:/sbin:/usr/bin:/bin", "LC_ALL=C"}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("the image's %s: %w: %s", program, err, strings.Join(strings.Fields(string(out)), " "))
	}
	return nil
}

// mkfsOf finds the program in the image.
func mkfsOf(root *tree) (string, error) {
	for _, name := range []string{"/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4", "/usr/bin/mkfs.ext4"} {
		if at, err := root.find(name, nothing); err == nil {
			at.close()
			return name, nil
		}
	}
	return "", fmt.Errorf("the image has no mkfs.ext4: add the package e2fsprogs to its recipe")
}
