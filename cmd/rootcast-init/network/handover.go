package network

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// HandOver writes what lets the booted system's network manager go on with the
// address, so that the link does not drop. The new root is mounted on root, and run
// is what will be mounted on its /run: names below begin there if they begin with
// run/. Only the managers that the image has get files:
//
//   - systemd-networkd: run/systemd/network/zz-rootcast-NAME.network, which asks for
//     the same lease. It comes last of all names, so any file of the image that
//     matches the interface wins. Such files get a drop-in below
//     run/systemd/network/FILE.d that adds KeepConfiguration=yes and
//     ClientIdentifier=mac where they say neither: networkd then keeps the
//     address while it applies them, and is the same client to the server.
//     Files that generators write later, as netplan does, are not known here.
//     The interfaces of a bond that the image has no .netdev file for are unmanaged:
//     run/systemd/network/00-rootcast-NAME.network.
//   - NetworkManager: a profile in run/NetworkManager/system-connections, and the
//     state file by which it knows that the device is already up with it. If the
//     image has a profile for the interface, the state names that one instead.
//     Bonds and VLANs get neither: NetworkManager leaves alone what others made.
//   - ifupdown: with dhclient the lease in its own format, which it asks to keep;
//     otherwise the entry in run/network/ifstate that says the interface is
//     done, so that nothing sets it up again.
//   - udev, where the kernel cannot rename an interface that is up, and for a bond's:
//     a rule that keeps the name, run/udev/rules.d/79-rootcast.rules, and a .link
//     file that makes the name that udev would give an alternative one.
//   - etc/resolv.conf where it is missing, empty, or points to nowhere. A link into
//     /run is some service's, and stays.
//
// Network managers are told of a physical interface by its hardware address, since
// udev may rename it.
// No link of the image leads a write out of root. The error joins what could not
// be written; the rest is.
func (l *Lease) HandOver(root, run string) error {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return fmt.Errorf("handing the network over: %w", err)
	}
	return l.handOver(root, run, unix.ByteSliceToString(name.Release[:]))
}

// handOver is HandOver with a kernel, by its release as uname(2) has it.
func (l *Lease) handOver(root, run, kernel string) (err error) {
	h := &handover{lease: l}
	if h.root, err = os.OpenRoot(root); err != nil {
		return fmt.Errorf("handing the network over: %w", err)
	}
	defer h.root.Close() //nolint:errcheck // a directory
	if h.run, err = os.OpenRoot(run); err != nil {
		return fmt.Errorf("handing the network over: %w", err)
	}
	defer h.run.Close() //nolint:errcheck // a directory
	if h.has("usr/lib/systemd/systemd-networkd", "lib/systemd/systemd-networkd") {
		h.networkd()
	}
	if h.has("usr/sbin/NetworkManager", "usr/bin/NetworkManager", "sbin/NetworkManager") {
		h.networkManager()
	}
	if h.has("sbin/ifup", "usr/sbin/ifup") {
		h.ifupdown()
	}
	if (!renamesLive(kernel) || len(l.Slaves) > 0) && h.has("usr/lib/systemd/systemd-udevd", "lib/systemd/systemd-udevd", "sbin/udevd", "usr/sbin/udevd") {
		h.keepNames()
	}
	h.resolvConf()
	return errors.Join(h.errs...)
}

// handover collects what goes wrong: one manager's trouble is not another's.
type handover struct {
	root, run *os.Root
	lease     *Lease
	errs      []error
}

// has tells whether the image has one of the files, or a link of that name.
func (h *handover) has(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		_, err := h.root.Lstat(name)
		return err == nil
	})
}

// write makes a file anew, with its directories. A link in its place is replaced,
// not followed.
func (h *handover) write(name string, mode fs.FileMode, content []byte) {
	if err := h.try(name, mode, content); err != nil {
		h.errs = append(h.errs, fmt.Errorf("handing the network over: writing /%s: %w", name, err))
	}
}

func (h *handover) try(name string, mode fs.FileMode, content []byte) error {
	root := h.root
	if below, ok := strings.CutPrefix(name, "run/"); ok {
		root, name = h.run, below
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	// The caller's umask is none of these files' business.
	return errors.Join(err, f.Chmod(mode), f.Close())
}

// resolvConf writes etc/resolv.conf where the image has none of use.
func (h *handover) resolvConf() {
	const name = "etc/resolv.conf"
	if len(h.lease.DNS) == 0 {
		return
	}
	if target, err := h.root.Readlink(name); err == nil {
		if !path.IsAbs(target) {
			target = path.Join("/etc", target)
		}
		if target = path.Clean(target); strings.HasPrefix(target, "/run/") || strings.HasPrefix(target, "/var/run/") {
			return
		}
		if _, err := h.root.Lstat(strings.TrimPrefix(target, "/")); err == nil {
			return // somewhere in the image; an absolute link is not followed below
		}
	}
	content, err := h.root.ReadFile(name)
	if err == nil && len(bytes.TrimSpace(content)) > 0 {
		return
	}
	h.write(name, 0o644, h.lease.ResolvConf())
}
