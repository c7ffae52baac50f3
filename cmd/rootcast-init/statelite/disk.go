package statelite

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// How long a disk may take to appear, and how often to look for it.
const (
	diskWait = 30 * time.Second
	diskPoll = 200 * time.Millisecond
)

// disk is a block device with what is on it.
type disk struct {
	path     string
	partName string // GPT
	partUUID string // GPT
	superblock
}

// String tells a person which one it is.
func (d *disk) String() string {
	switch {
	case d.kind == "":
		return d.path + " (no file system known here)"
	case d.label == "":
		return fmt.Sprintf("%s (%s without a label)", d.path, d.kind)
	}
	return fmt.Sprintf("%s (%s labelled %s)", d.path, d.kind, d.label)
}

// finder finds disks by what is on them, as blkid(8) does.
type finder struct {
	sys, dev string // where the kernel shows the devices
	wait     time.Duration
	format   bool // an empty partition may be formatted
	root     string
	log      func(format string, args ...any)
}

func (a *applier) finder() *finder {
	f := &finder{sys: a.sys, dev: "/dev", wait: a.Wait, format: a.Format, root: a.Root, log: a.Log}
	if f.sys == "" {
		f.sys = "/sys/class/block"
	}
	if f.wait == 0 {
		f.wait = diskWait
	}
	return f
}

// find waits for the disk, and formats it if it must.
func (f *finder) find(ctx context.Context, source string) (*disk, error) {
	w, err := parseDisk(source)
	if err != nil {
		return nil, err
	}
	end := time.NewTimer(f.wait)
	defer end.Stop()
	tick := time.NewTicker(diskPoll)
	defer tick.Stop()
	for first := true; ; first = false {
		disks, err := f.disks()
		if err != nil {
			return nil, fmt.Errorf("listing the disks: %w", err)
		}
		d, err := f.choose(ctx, w, disks)
		if d != nil || err != nil {
			return d, err
		}
		if first {
			f.log("statelite: waiting up to %v for the disk %s", f.wait, source)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-end.C:
			return nil, fmt.Errorf("no disk is %s after %v; %s", source, f.wait, seen(disks))
		case <-tick.C:
		}
	}
}

// seen lists the disks there are, for the one who has to find the mistake.
func seen(disks []*disk) string {
	if len(disks) == 0 {
		return "there are none: is the module for their controller in the initrd (--add-module)?"
	}
	var all []string
	for _, d := range disks {
		all = append(all, d.String())
	}
	return "there are " + strings.Join(all, ", ")
}

// wanted is how a disk is named.
type wanted struct {
	tag   string // LABEL, UUID, PARTLABEL, PARTUUID; "": a path
	value string
}

func (w wanted) String() string { return strings.TrimPrefix(w.tag+"="+w.value, "=") }

func parseDisk(source string) (wanted, error) {
	if strings.HasPrefix(source, "/dev/") {
		return wanted{"", source}, nil
	}
	tag, value, _ := strings.Cut(source, "=")
	switch tag {
	case "LABEL", "UUID", "PARTLABEL", "PARTUUID":
		if value = strings.Trim(value, `"`); value != "" {
			return wanted{tag, value}, nil
		}
	}
	return wanted{}, fmt.Errorf("%q names no place: write SERVER:/DIR, LABEL=NAME, UUID=, PARTLABEL=, PARTUUID= or /dev/NAME", source)
}

// is tells whether a disk is the wanted one.
func (w wanted) is(d *disk) bool {
	switch w.tag {
	case "LABEL":
		return d.kind != "" && d.label == w.value
	case "UUID":
		return d.kind != "" && strings.EqualFold(d.uuid, w.value)
	case "PARTLABEL":
		return d.partName == w.value
	case "PARTUUID":
		return strings.EqualFold(d.partUUID, w.value)
	default:
		if real, err := filepath.EvalSymlinks(w.value); err == nil {
			return d.path == real
		}
		return d.path == w.value
	}
}

// choose returns the wanted disk, nil where it is not there yet.
func (f *finder) choose(ctx context.Context, w wanted, disks []*disk) (*disk, error) {
	var found *disk
	for _, d := range disks {
		switch {
		case !w.is(d):
		case found == nil:
			found = d
		case found.kind == "" || found.uuid != d.uuid: // else these are two ways to one disk
			return nil, fmt.Errorf("two disks are %s: %s and %s; name one by its UUID=", w, found, d)
		}
	}
	if found == nil && w.tag == "LABEL" { // a partition of that name may be there to get the label
		for _, d := range disks {
			if d.partName == w.value {
				return f.prepare(ctx, w, d)
			}
		}
	}
	if found != nil && found.kind == "" {
		return f.prepare(ctx, w, found)
	}
	return found, nil
}

// disks reads what is on every disk and partition. Those that cannot be read, such
// as an empty drive, are not there.
func (f *finder) disks() ([]*disk, error) {
	entries, err := os.ReadDir(f.sys)
	if err != nil {
		return nil, err
	}
	var disks []*disk
	for _, e := range entries {
		if size, err := os.ReadFile(filepath.Join(f.sys, e.Name(), "size")); err != nil || strings.TrimSpace(string(size)) == "0" {
			continue
		}
		d := &disk{path: filepath.Join(f.dev, strings.ReplaceAll(e.Name(), "!", "/"))} // sysfs has no slashes in names
		if d.superblock, err = readDisk(d.path); err != nil {
			continue
		}
		if uevent, err := os.Open(filepath.Join(f.sys, e.Name(), "uevent")); err == nil {
			d.partName, d.partUUID = partition(uevent)
			_ = uevent.Close() // it was only read
		}
		disks = append(disks, d)
	}
	return disks, nil
}

func readDisk(path string) (superblock, error) {
	f, err := os.Open(path)
	if err != nil {
		return superblock{}, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	return readSuperblock(f)
}

// partition reads what the partition table says (part_uevent, block/partitions/core.c).
// Older kernels do not tell the UUID.
func partition(uevent io.Reader) (name, uuid string) {
	lines := bufio.NewScanner(uevent)
	for lines.Scan() {
		switch key, value, _ := strings.Cut(lines.Text(), "="); key {
		case "PARTNAME":
			name = value
		case "PARTUUID":
			uuid = value
		}
	}
	return name, uuid
}
