package main

// initrdOnly converts an image to little more than its initrd: all of its files
// but the path to its init are left out of the root.
const initrdOnly = `printf '%s\n' './*' +./sbin +./lib +./usr +./usr/lib +./usr/sbin +./usr/sbin/init \
  +./usr/lib/systemd +./usr/lib/systemd/systemd >"$OUT/exlist"`

// convertInitrd converts an image after initrdOnly.
func convertInitrd(image string) string {
	return rc + ` convert --boot netroot --method cpio --compress zstd --initrd builtin ` + noCache +
		` --exlist "$OUT/exlist" --rootimgdir "$OUT/node" ` + image + ` >/dev/null`
}

// initrdSides make the initrd of an image, ours by the whole of rootcast convert.
func (h help) initrdSides() []side {
	one := func(name, arch, image string, needs ...string) side {
		return side{
			name: name, title: "rootcast convert, only the initrd for " + arch,
			before: initrdOnly,
			script: convertInitrd(image),
			file:   "node/initrd-stateless.gz", needs: needs, flags: []string{"netroot", "builtin", noCache},
			check: rc + ` verify "$OUT/node" >/dev/null`,
		}
	}
	return []side{
		one("initrd-arm64", "aarch64", "localhost/bench/arm64:1", "arm64"),
		one("initrd-amd64", "x86_64", "localhost/bench/amd64:1", "amd64"),
		{
			name: "mkinitramfs", title: "`mkinitramfs`, initramfs-tools' default, for aarch64 under qemu-user-static",
			// The image's own programs want /proc; no other file system is at hand.
			script: `unshare --mount bash -euc '
mount -t proc proc "$MADE/arm64-tree/proc"
version=$(ls "$MADE/arm64-tree/usr/lib/modules")
chroot "$MADE/arm64-tree" mkinitramfs -o /tmp/initrd.img "$version"'
mv "$MADE/arm64-tree/tmp/initrd.img" "$OUT/initrd.img"`,
			file: "initrd.img", needs: []string{"arm64", "arm64-tree"}, flags: []string{"builtin"}, once: true,
		},
	}
}

// onTmpfs mounts the file system that a root is unpacked into, as the first stage does.
const onTmpfs = `mkdir "$OUT/root"; mount -t tmpfs -o mode=0755 rootfs "$OUT/root"`

// sameTree compares the names, types, modes, owners and sizes of a mounted root with
// the tree's: convert may add a link /init, which the tree lacks.
const sameTree = `list() { find "$1" -mindepth 1 \( -type d -printf '%P d %m %U %G\n' -o -printf '%P %y %m %U %G %s\n' \) |
  grep -v '^init l ' | LC_ALL=C sort; }
{ diff <(list "$ROOT") <(list "$MADE/tree") || true; } | head -n 5 >"$OUT/diff"
if [ -s "$OUT/diff" ]; then cat "$OUT/diff" >&2; exit 1; fi`

// nodeSides mount a root that has arrived, by the first stage's own code.
func (h help) nodeSides() []side {
	const (
		mountRoot = `"$OUT/mountroot" "$OUT/node" "$OUT/root"`
		// The parts of an overlay are mounted below /run, and not this machine's.
		apart = `unshare --mount sh -euc 'mount -t tmpfs run /run; exec `
	)
	one := func(name, method, compress string) side {
		return side{
			name: name, flags: []string{"netroot", "builtin"}, needs: []string{"layout", "tree"},
			// What the node mounts is made anew, mostly from the cache, by the rootcast that is measured.
			before: `(cd "$HERE/../.." && go build -o "$OUT/mountroot" ./hack/bench/mountroot)
` + rc + ` convert --boot netroot --initrd none --method ` + method + ` --compress ` + compress + ` --cache-dir "$DIR/cache-node" \
  --rootimgdir "$OUT/node" localhost/bench/node:1 >/dev/null
mkdir "$OUT/root"`,
			check: `cat >"$OUT/same" <<'SAME'` + "\n" + sameTree + "\nSAME\n" +
				`ROOT=$OUT/root ` + apart + mountRoot + ` bash -o pipefail -eu "$OUT/same"'`,
		}
	}
	cpio := one("node-cpio", "cpio", "zstd")
	cpio.title = "the first stage's code: rootimg.cpio.zst, checked and unpacked into a tmpfs"
	cpio.script, cpio.after = mountRoot, `umount "$OUT/root"`
	squashfs := one("node-squashfs", "squashfs", "zstd")
	squashfs.title = "the first stage's code: rootimg.sfs in memory, mounted below an overlay"
	squashfs.script = apart + mountRoot + `'`
	return []side{
		cpio,
		squashfs,
		{
			name: "gzip-cpio", title: "`gzip -dc | cpio -idum` of rootimg.cpio.gz into a tmpfs",
			before: onTmpfs, after: `umount "$OUT/root"`, needs: []string{"layout", "tree", "cpio", "cpio.gz"}, flags: []string{"builtin"},
			script: `cd "$OUT/root"; gzip -dc "$MADE/root.cpio.gz" | cpio --quiet -idum`,
		},
	}
}

// guestSides start a node, whose root is next to nothing, in a QEMU that counts
// instructions for time, one each nanosecond: how fast this machine is does not
// matter, and hardly a processor of a node is as slow.
func (h help) guestSides() []side {
	one := func(name, title, line string) side {
		return side{
			name: name, title: title, flags: []string{"netroot", "builtin", noCache}, clock: "seconds", needs: []string{"amd64"},
			before: initrdOnly + "\n" + convertInitrd("localhost/bench/amd64:1"),
			// The line ends the pipe, and that QEMU.
			script: `{ timeout 300 qemu-system-x86_64 -no-user-config -nodefaults -display none -no-reboot -accel tcg,thread=single \
  -icount shift=0,sleep=off -m 1G -monitor none -serial stdio -device virtio-rng-pci \
  -netdev user,id=net,restrict=on,tftp="$OUT/node" -device virtio-net-pci,netdev=net,romfile= \
  -kernel "$OUT/node/kernel" -initrd "$OUT/node/initrd-stateless.gz" \
  -append 'console=ttyS0 panic=-1 imgurl=tftp://10.0.2.2/rootimg.cpio.zst' </dev/null || true; } |
  sed -n '` + line + `' >"$OUT/seconds"`,
		}
	}
	return []side{
		one("guest", "from the kernel's start to that of the image's init, in guest time", `s/.*rootcast: *\([0-9.]*\) s  starting .*/\1/p;T;q`),
		one("guest-kernel", "from the kernel's start to /init, in guest time", `s/^\[ *\([0-9.]*\)\] Run \/init .*/\1/p;T;q`),
	}
}
