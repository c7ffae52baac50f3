package main

import (
	"slices"
	"strings"
)

// side is one of those that are compared: a script that makes something of the
// reference image, in a new directory $OUT.
type side struct {
	name   string
	title  string   // for the tables
	script string   // what is measured
	before string   // what is done before, off the clock
	after  string   // what is done after, off the clock, whatever happened
	file   string   // below $OUT, whose size is asked for
	clock  string   // below $OUT: a file with the seconds that count in place of the script's own
	check  string   // what must be true of the first output; it ends with status 0
	needs  []string // things it works on
	flags  []string // of rootcast convert, without which there is no such side
	warm   bool     // it needs no warming up: another side of its row has just read the same
	once   bool     // it takes so long that it runs in one round alone
}

// conversion is a way that convert is called, and the root it makes.
type conversion struct{ flags, file string }

// help is what rootcast convert --help prints: it tells which sides there can be.
type help string

// has tells whether convert knows all the flags of a side and their values.
func (h help) has(flags []string) bool {
	for _, f := range flags {
		if !strings.Contains(f, "$") && !strings.Contains(string(h), f) {
			return false
		}
	}
	return true
}

// conversions are the ways that are measured.
func (h help) conversions() map[string]conversion {
	if !h.has([]string{"netroot"}) { // a rootcast that knows only ramdisks
		return map[string]conversion{"cpio": {"--compress zstd", "ramdisk.img"}}
	}
	// The root alone, as the other tools make it.
	netroot := "--boot netroot "
	if h.has([]string{"--initrd"}) {
		netroot += "--initrd none "
	}
	return map[string]conversion{
		"cpio":     {netroot + "--method cpio --compress zstd", "rootimg.cpio.zst"},
		"tar":      {netroot + "--method tar --compress zstd", "rootimg.tar.zst"},
		"squashfs": {netroot + "--method squashfs --compress zstd", "rootimg.sfs"},
		"erofs":    {netroot + "--method erofs --compress lz4", "rootimg.erofs"},
	}
}

// convert is the side that converts an image by rootcast.
func (h help) convert(name, method, cache, image string, needs ...string) side {
	c, known := h.conversions()[method]
	if !known {
		return side{name: name, flags: []string{"--method " + method}}
	}
	if cache == noCache && !h.has([]string{noCache}) { // a rootcast that never has a cache
		cache = ""
	}
	return side{
		name:   name,
		script: rc + " convert " + c.flags + " " + cache + ` --rootimgdir "$OUT/node" ` + image + ` >/dev/null`,
		file:   "node/" + c.file,
		check:  rc + ` verify "$OUT/node" >/dev/null`,
		needs:  needs,
		flags:  append(strings.Fields(c.flags), strings.Fields(cache)...),
	}
}

// The caches of convert: none, and a directory that a side brings with it.
const (
	noCache = "--no-cache"
	cache   = `--cache-dir "$OUT/cache"`
)

// firstTime copies what the first conversion left.
const firstTime = `cp -a --reflink=auto "$DIR/out/first/." "$OUT"`

// warewulfBuild is Warewulf's image build of a tree: the names first, then the
// archive, then its compression (internal/pkg/util/util.go, BuildFsImage).
const warewulfBuild = `(cd "$ROOT"; find . -xdev) >"$OUT/names"
cpio --quiet --create --directory "$ROOT" --format newc --file="$OUT/node.img" <"$OUT/names"
pigz --keep "$OUT/node.img"`

// sameNames compares what an archive lists, less what rootcast adds, with the tree.
const sameNames = `names() { sed 's|^\./||' | grep -v -x -e . -e init -e '\.rootcast.*' | LC_ALL=C sort; }
{ diff <(names <"$OUT/list") <(cd "$MADE/tree"; find . -mindepth 1 | names) || true; } | head -n 5 >"$OUT/diff"
if [ -s "$OUT/diff" ]; then cat "$OUT/diff" >&2; exit 1; fi`

// sides returns all there are, in the order of their turns. A side that works on
// what another one made comes after it.
func (h help) sides() []side {
	return slices.Concat(h.cpioSides(), h.layoutSides(), h.againSides(), h.otherSides(), buildSides(), h.initrdSides(), h.nodeSides(), h.guestSides())
}

// cpioSides make a compressed cpio archive of an image in the store, or of its tree.
func (h help) cpioSides() []side {
	store := h.convert("store", "cpio", noCache, "localhost/bench/node:1", "tree", "layout")
	store.title = "rootcast convert, image in the store → cpio.zst"
	store.check += "\n" + `zstd -q -dc <"$OUT/node/` + h.conversions()["cpio"].file + `" | cpio --quiet -t >"$OUT/list"` + "\n" + sameNames
	return []side{
		store,
		{
			name: "zstd", title: "`zstd -3 -T0` on the finished cpio file",
			script: `zstd -q -3 -T0 "$MADE/root.cpio" -o "$OUT/root.cpio.zst"`, file: "root.cpio.zst",
			needs: []string{"layout", "tree", "cpio"},
		},
		{
			name: "xcat", title: "`find | cpio -H newc -o | pigz` on the tree",
			script: `cd "$MADE/tree"; find . | cpio --quiet -H newc -o | pigz >"$OUT/rootimg.cpio.gz"`, file: "rootimg.cpio.gz",
			check: `pigz -dc "$OUT/rootimg.cpio.gz" | cpio --quiet -t >"$OUT/list"` + "\n" + sameNames,
			needs: []string{"layout", "tree"},
		},
		{
			name: "warewulf-build", title: "Warewulf's image build: `find`, `cpio --create`, `pigz --keep` on the tree",
			script: `ROOT=$MADE/tree` + "\n" + warewulfBuild, file: "node.img.gz",
			check: `pigz -dc "$OUT/node.img.gz" | cpio --quiet -t >"$OUT/list"` + "\n" + sameNames,
			needs: []string{"layout", "tree"},
		},
	}
}

// layoutSides begin with an OCI layout.
func (h help) layoutSides() []side {
	layout := h.convert("layout", "cpio", noCache, `oci:"$MADE/layout":node`, "layout", "tree")
	layout.title = "rootcast convert, OCI layout → cpio.zst"
	return []side{
		layout,
		{
			name: "warewulf", title: "Warewulf's import and build: two copies of the blobs by `skopeo copy`, `umoci raw unpack`, image build",
			script: `skopeo copy --quiet --insecure-policy --remove-signatures "oci:$MADE/layout:node" "oci:$OUT/blobs:node"
skopeo copy --quiet --insecure-policy --remove-signatures "oci:$OUT/blobs:node" "oci:$OUT/copy:node"
umoci --log=error raw unpack --image "$OUT/copy":node "$OUT/rootfs"
rm -rf "$OUT/copy"
ROOT=$OUT/rootfs` + "\n" + warewulfBuild,
			file: "node.img.gz", needs: []string{"layout", "tree"}, warm: true,
		},
	}
}

// againSides convert with a cache: an empty one, and the one that this left.
func (h help) againSides() []side {
	first := h.convert("first", "cpio", cache, "localhost/bench/node:1")
	first.title = "rootcast convert for the first time, with an empty cache"
	changed := h.convert("changed", "cpio", cache, "localhost/bench/node:2", "changed")
	changed.title, changed.before = "rootcast convert again, one file changed", firstTime
	again := h.convert("again", "cpio", cache, "localhost/bench/node:1")
	// A copy of a rootimgdir is not known to be what was written: one more convert makes it so.
	again.title, again.before = "rootcast convert again, nothing changed", firstTime+"\n"+again.script
	return []side{first, changed, again}
}

// otherSides make the other formats, and a root with a huge file.
func (h help) otherSides() []side {
	tar := h.convert("tar", "tar", noCache, "localhost/bench/node:1")
	tar.title = "rootcast convert → tar.zst"
	squashfs := h.convert("squashfs", "squashfs", noCache, "localhost/bench/node:1")
	squashfs.title = "rootcast convert → squashfs, zstd"
	erofs := h.convert("erofs", "erofs", noCache, "localhost/bench/node:1")
	erofs.title = "rootcast convert → erofs, lz4"
	huge := h.convert("huge", "cpio", noCache, "localhost/bench/huge:1", "huge")
	huge.title = "rootcast convert, image with a file of 3.5 GiB → cpio.zst"
	tree := []string{"layout", "tree"}
	return []side{
		tar,
		{
			name: "gnu-tar", title: "`tar --xattrs | zstd -3 -T0` on the tree", needs: tree, file: "root.tar.zst", flags: tar.flags,
			script: `tar --xattrs --xattrs-include='*' --numeric-owner -C "$MADE/tree" -cf - . | zstd -q -3 -T0 -o "$OUT/root.tar.zst"`,
		},
		squashfs,
		{
			name: "mksquashfs", title: "`mksquashfs -comp zstd -Xcompression-level 3` on the tree", needs: tree, file: "root.sfs", flags: squashfs.flags,
			script: `mksquashfs "$MADE/tree" "$OUT/root.sfs" -comp zstd -Xcompression-level 3 -noappend -no-progress -quiet >/dev/null`,
		},
		erofs,
		{
			name: "mkfs.erofs", title: "`mkfs.erofs -zlz4` on the tree", needs: tree, file: "root.erofs", flags: erofs.flags,
			script: `mkfs.erofs --quiet -zlz4 "$OUT/root.erofs" "$MADE/tree" >/dev/null`,
		},
		huge,
	}
}

// crossArgs are what both sides of the cross-build are called with.
const crossArgs = `--build-arg BASE=localhost/bench/base-arm64:12 -t localhost/bench/cross:1 "$HERE/initrd" >/dev/null`

// buildSides build the reference image again, with nothing changed, and an image of another architecture.
func buildSides() []side {
	return []side{
		{name: "build", title: "rootcast build, nothing changed", script: rc + ` build -t localhost/bench/node:1 "$HERE/node" >/dev/null`},
		{
			name: "cross", title: "rootcast build for aarch64: kernel, systemd, udev",
			script: rc + ` build --no-cache --platform linux/arm64 ` + crossArgs, needs: []string{"arm64"}, once: true,
		},
		{
			name: "buildah-cross", title: "`buildah build` for aarch64: the same Containerfile",
			script: buildah + ` build --quiet --layers --no-cache --pull-never --isolation chroot --network host \
  --signature-policy "$DIR/policy.json" --platform linux/arm64 ` + crossArgs, needs: []string{"arm64", "buildah-arm64"}, once: true,
		},
		{name: "buildah", title: "`buildah build --layers`, nothing changed", script: buildahBuild + ` >/dev/null`, needs: []string{"buildah"}},
	}
}
