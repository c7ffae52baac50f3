package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// rc begins each call of rootcast: with the store of the benchmark.
const rc = `"$ROOTCAST" --quiet --root "$DIR/store" --runroot "$DIR/run"`

// buildah begins each call of Buildah, which has a store of its own. The policy
// is the one that rootcast has without any policy.json: to accept every image.
const buildah = `buildah --root "$DIR/buildah/store" --runroot "$DIR/buildah/run" --storage-driver overlay`

// thing is something that sides work on, made before the clock starts. It is
// made once for each reference image, and kept for the next time.
type thing struct {
	name   string
	script string // makes it in $MADE
}

// things returns all there are, each after those that it is made from. Buildah
// names what it pulls by the path, which must therefore look like a name.
func things() []thing {
	return []thing{
		{"changed", rc + ` build -t localhost/bench/node:2 -f "$HERE/changed.Containerfile" "$HERE/node"`},
		{"huge", rc + ` build -t localhost/bench/huge:1 -f "$HERE/huge.Containerfile" "$HERE/node"`},
		{"layout", `rm -rf "$MADE/layout"; ` + rc + ` push --compress gzip localhost/bench/node:1 oci:"$MADE/layout":node`},
		{"tree", `rm -rf "$MADE/tree"; umoci raw unpack --image "$MADE/layout":node "$MADE/tree"`},
		{"cpio", `cd "$MADE/tree"; find . -mindepth 1 -printf '%P\n' | LC_ALL=C sort | cpio --quiet --create --format newc --file="$MADE/root.cpio"`},
		{"cpio.gz", `gzip -c "$MADE/root.cpio" >"$MADE/root.cpio.gz"`},
		{"amd64", rc + ` build -t localhost/bench/amd64:1 "$HERE/initrd"`},
		{"arm64", rc + ` inspect localhost/bench/base-arm64:12 >/dev/null 2>&1 || ` + rc + ` bootstrap --platform linux/arm64 -t localhost/bench/base-arm64:12 debian:bookworm
` + rc + ` build --platform linux/arm64 --build-arg BASE=localhost/bench/base-arm64:12 -t localhost/bench/arm64:1 "$HERE/initrd"`},
		{"buildah-arm64", `rm -rf "$MADE/base-arm64"; ` + rc + ` push localhost/bench/base-arm64:12 oci:"$MADE/base-arm64":base
cd "$MADE"
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$DIR/policy.json"
` + buildah + ` pull --quiet --arch arm64 --signature-policy "$DIR/policy.json" oci:base-arm64:base >base-arm64.id
` + buildah + ` tag "$(<base-arm64.id)" localhost/bench/base-arm64:12`},
		{"arm64-tree", `rm -rf "$MADE/arm64-tree" "$MADE/arm64-layout"; ` + rc + ` push localhost/bench/arm64:1 oci:"$MADE/arm64-layout":node
umoci raw unpack --image "$MADE/arm64-layout":node "$MADE/arm64-tree"`},
		{"buildah", `rm -rf "$MADE/base"; ` + rc + ` push localhost/bench/base:12 oci:"$MADE/base":base
cd "$MADE"
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$DIR/policy.json"
` + buildah + ` pull --quiet --signature-policy "$DIR/policy.json" oci:base:base >base.id
` + buildah + ` tag "$(<base.id)" localhost/bench/base:12
` + buildahBuild},
	}
}

// buildahBuild builds the reference image with Buildah's layer cache.
const buildahBuild = buildah + ` build --quiet --layers --pull-never --isolation chroot --network host \
  --signature-policy "$DIR/policy.json" -t localhost/bench/node:1 "$HERE/node"`

// bench is one run of the benchmark.
type bench struct {
	options
	env   []string // for every script
	image image
}

// image describes the reference image.
type image struct {
	id     string
	layers int
	packed int64 // bytes of the layers, with gzip
	bytes  int64 // of the files of the merged tree
	files  int   // and directories and all else in it
}

// prepare makes the reference image and the things that the sides need.
func (b *bench) prepare(ctx context.Context, needs []string) error {
	if err := os.MkdirAll(filepath.Join(b.dir, "tmp"), 0o755); err != nil {
		return err
	}
	b.say("the reference image")
	_, err := output(ctx, rc+` inspect localhost/bench/base:12 >/dev/null 2>&1 || `+rc+` bootstrap -t localhost/bench/base:12 debian:bookworm`, b.env)
	if err != nil {
		return err
	}
	if b.image.id, err = output(ctx, rc+` build -t localhost/bench/node:1 "$HERE/node"`, b.env); err != nil {
		return err
	}
	made := filepath.Join(b.dir, "made-"+b.image.id[:min(12, len(b.image.id))])
	if err := removeOthers(b.dir, made); err != nil {
		return err
	}
	if err := os.MkdirAll(made, 0o755); err != nil {
		return err
	}
	b.env = append(b.env, "MADE="+made)
	for _, t := range things() {
		if !slices.Contains(needs, t.name) {
			continue
		}
		if err := b.make(ctx, t, filepath.Join(made, t.name+".done")); err != nil {
			return err
		}
	}
	return b.describe(ctx, made)
}

// make makes a thing unless it is there from an earlier time.
func (b *bench) make(ctx context.Context, t thing, marker string) error {
	if _, err := os.Stat(marker); err == nil {
		return nil
	}
	b.say("making %s", t.name)
	if _, err := output(ctx, t.script, b.env); err != nil {
		return err
	}
	return os.WriteFile(marker, nil, 0o644)
}

// removeOthers removes what was made from other reference images.
func removeOthers(dir, made string) error {
	old, err := filepath.Glob(filepath.Join(dir, "made-*"))
	if err != nil {
		return err
	}
	for _, name := range old {
		if name == made {
			continue
		}
		if err := os.RemoveAll(name); err != nil {
			return err
		}
	}
	return nil
}

// describe reads what the image is made of from its layout and its tree.
func (b *bench) describe(ctx context.Context, made string) error {
	counted, err := output(ctx, `find "$MADE/tree" -mindepth 1 -printf '%y %i %s\n' | awk '
		{ n++ } $1 == "f" && !seen[$2]++ { bytes += $3 } END { printf "%d %d\n", n, bytes }'`, b.env)
	if err != nil {
		return err
	}
	if _, err := fmt.Sscan(counted, &b.image.files, &b.image.bytes); err != nil {
		return fmt.Errorf("counting the files of the reference image: %w", err)
	}
	layers, err := layersOf(filepath.Join(made, "layout"))
	if err != nil {
		return fmt.Errorf("reading the reference image's layout: %w", err)
	}
	b.image.layers, b.image.packed = len(layers), 0
	for _, l := range layers {
		b.image.packed += l.Size
	}
	return nil
}

// descriptor is what the benchmark reads of a descriptor in an OCI layout.
type descriptor struct {
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
}

// layersOf returns the layers of the first image in an OCI layout.
func layersOf(layout string) ([]descriptor, error) {
	var index struct {
		Manifests []descriptor `json:"manifests"`
	}
	if err := readJSON(filepath.Join(layout, "index.json"), &index); err != nil {
		return nil, err
	}
	if len(index.Manifests) == 0 {
		return nil, fmt.Errorf("%s holds no image", layout)
	}
	var manifest struct {
		Layers []descriptor `json:"layers"`
	}
	algorithm, sum, _ := strings.Cut(index.Manifests[0].Digest, ":")
	err := readJSON(filepath.Join(layout, "blobs", algorithm, sum), &manifest)
	return manifest.Layers, err
}

func readJSON(name string, v any) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return nil
}

// String describes the image in a line.
func (i image) String() string {
	return fmt.Sprintf("%s of files, %s entries, %d layers (%s with gzip), ID %.12s",
		bytesString(i.bytes), thousands(i.files), i.layers, bytesString(i.packed), i.id)
}

// thousands writes n with a comma before each group of three digits.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
