package main

import "fmt"

// row is one comparison of design §9.
type row struct {
	number        int
	work, against string
	ours, theirs  string // names of sides; theirs is "" where only ours is measured
	target        target
}

// kind is the way that a target is stated.
type kind int

const (
	forInformation kind = iota
	atMost              // our time is at most limit × theirs
	atLeast             // their time is at least limit × ours
	share               // our time is at most limit percent of theirs
	memory              // our peak is below limit MiB
	within              // our time is at most limit seconds, and our size at most size MB
)

// target is what a row must reach.
type target struct {
	kind  kind
	limit float64
	size  float64 // what we make is at most size × theirs, or size MB; 0: not asked
}

// rows are all comparisons, in the order of the table.
func rows() []row {
	const (
		fromStore  = "convert, image in the store → cpio.zst"
		fromLayout = "convert from an OCI layout (gzip layers) → cpio.zst"
	)
	return []row{
		{1, fromStore, "`zstd -3 -T0` on the finished cpio file", "store", "zstd", target{atMost, 1, 1.02}},
		{2, fromStore, "`find | cpio | pigz`, xCAT's default", "store", "xcat", target{atLeast, 10, 1}},
		{3, fromStore, "Warewulf's image build", "store", "warewulf-build", target{atLeast, 10, 0}},
		{4, fromLayout, "Warewulf's import and build", "layout", "warewulf", target{atLeast, 8, 0}},
		{5, "convert again, one file changed", "its own first time", "changed", "first", target{share, 15, 0}},
		{6, "convert again, nothing changed", "its own first time", "again", "first", target{share, 5, 0}},
		{7, "convert → tar.zst", "`tar | zstd -3 -T0`", "tar", "gnu-tar", target{}},
		{7, "convert → squashfs, zstd", "`mksquashfs`", "squashfs", "mksquashfs", target{}},
		{7, "convert → erofs, lz4", "`mkfs.erofs`", "erofs", "mkfs.erofs", target{}},
		{8, "peak memory of convert, this image", "", "store", "", target{memory, 400, 0}},
		{8, "peak memory of convert, this image from its layout", "", "layout", "", target{memory, 400, 0}},
		{8, "peak memory of convert, a file of 3.5 GiB", "", "huge", "", target{memory, 400, 0}},
		{9, "build with nothing changed", "`buildah build --layers`", "build", "buildah", target{atMost, 1, 0}},
		{10, "initrd for aarch64 on x86_64, by itself", "", "initrd-arm64", "", target{within, 1.5, 25}},
		{10, "initrd for x86_64, by itself", "", "initrd-amd64", "", target{within, 1.5, 25}},
		{11, "node: rootimg.cpio.zst → mounted root", "`gzip -dc | cpio -idum` on the same tmpfs", "node-cpio", "gzip-cpio", target{atLeast, 5, 0}},
		{11, "node: rootimg.sfs → mounted root", "`gzip -dc | cpio -idum` on the same tmpfs", "node-squashfs", "gzip-cpio", target{atLeast, 50, 0}},
		{12, "node: kernel's start → image's init, without the root's transfer, in guest time", "", "guest", "", target{within, 3, 0}},
		{12, "node: kernel's start → /init, of it", "", "guest-kernel", "", target{}},
		{13, "initrd for aarch64 on x86_64", "`mkinitramfs` in the image, under qemu", "initrd-arm64", "mkinitramfs", target{atLeast, 50, 0}},
		{14, "build for aarch64 on x86_64, no step from the cache", "`buildah build`", "cross", "buildah-cross", target{atMost, 1.15, 0}},
	}
}

// String states the target.
func (t target) String() string {
	var s string
	switch t.kind {
	case atMost:
		s = fmt.Sprintf("≤ %v×", t.limit)
	case atLeast:
		s = fmt.Sprintf("≥ %.0f× faster", t.limit)
	case share:
		s = fmt.Sprintf("≤ %.0f %%", t.limit)
	case memory:
		s = fmt.Sprintf("< %.0f MiB", t.limit)
	case within:
		if s = fmt.Sprintf("≤ %.1f s", t.limit); t.size > 0 {
			s += fmt.Sprintf(", ≤ %.0f MB", t.size)
		}
		return s
	default:
		s = "none"
	}
	switch t.size {
	case 0:
		return s
	case 1:
		return s + ", smaller"
	default:
		return fmt.Sprintf("%s, size ≤ %.2f×", s, t.size)
	}
}

// judge compares two sides: how they stand to each other, in the terms of the
// target, and whether that meets it.
func (t target) judge(ours, theirs sample) (string, bool) {
	var s string
	var met bool
	switch t.kind {
	case memory:
		return "", float64(ours.peak) < t.limit*(1<<20)
	case within:
		const mb = 1e6
		size := float64(ours.size) / mb
		if t.size == 0 {
			return "", ours.wall.Seconds() <= t.limit
		}
		return fmt.Sprintf("%.1f MB", size), ours.wall.Seconds() <= t.limit && size > 0 && size <= t.size
	case atLeast:
		r := ratio(theirs.wall, ours.wall)
		s, met = fmt.Sprintf("%.1f× faster", r), r >= t.limit
	case share:
		r := 100 * ratio(ours.wall, theirs.wall)
		s, met = fmt.Sprintf("%.1f %%", r), r <= t.limit
	case atMost:
		r := ratio(ours.wall, theirs.wall)
		s, met = fmt.Sprintf("%.2f×", r), r <= t.limit
	default:
		if theirs.wall == 0 {
			return "", true
		}
		s, met = fmt.Sprintf("%.2f×", ratio(ours.wall, theirs.wall)), true
	}
	if ours.size == 0 || theirs.size == 0 {
		return s, met && t.size == 0
	}
	r := ratio(ours.size, theirs.size)
	if t.size > 0 && (r > t.size || t.size == 1 && r == 1) {
		met = false
	}
	return fmt.Sprintf("%s, size %.3f×", s, r), met
}
