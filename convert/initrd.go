package convert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/rootcast/rootcast/convert/ctxio"
	"github.com/rootcast/rootcast/convert/firststage"
	"github.com/rootcast/rootcast/convert/initrd"
	"github.com/rootcast/rootcast/convert/netboot"
	"github.com/rootcast/rootcast/convert/node"
	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs"
)

// The kinds of initrd.
const (
	InitrdBuiltin = "builtin" // rootcast's own first stage
	InitrdDracut  = "dracut"  // rootcast's own, in an initrd that the image's dracut makes
	InitrdImage   = "image"   // the one that the image holds beside its kernel
	InitrdNone    = "none"    // no first stage
)

func initrdKinds() []string { return []string{InitrdBuiltin, InitrdDracut, InitrdImage, InitrdNone} }

// FirstStage says what goes into the initrd beside what every node needs.
type FirstStage struct {
	AddModules  []string         // names, aliases, globs, or directories of modules
	OmitModules []string         // names or globs
	Firmware    []string         // files or directories below /lib/firmware, or globs
	Include     []initrd.Include // files of this machine
	CA          []byte           // certificates, in PEM, that the servers of a root are checked by
	Prepend     [][]byte         // whole initrds that go before
}

// initrdPlan is what was decided about the initrd before anything is written.
type initrdPlan struct {
	tree  *rootfs.Tree // of the first stage; nil: there is none
	early []byte       // what goes before it: microcode and the user's initrds
	own   fs.File      // the image's initrd

	contents io.Closer // what the tree's files are read from; nil: from the image
}

// planInitrd chooses what the initrd holds, while the tree has all that the
// exclude list drops.
func (c *converter) planInitrd(ctx context.Context) (err error) {
	switch c.o.Initrd {
	case InitrdImage:
		c.manifest.Initrd = &netboot.Initrd{Kind: InitrdImage}
		c.initrd.own, err = openInitrd(c.tree, c.kernel.Version)
		return err
	case InitrdBuiltin, InitrdDracut:
		return c.planFirstStage(ctx)
	}
	return nil
}

func (c *converter) planFirstStage(ctx context.Context) error {
	arch, first := c.img.Config.Architecture, c.o.First
	program, err := firststage.Program(arch)
	if err != nil {
		return err
	}
	o := initrd.Options{
		Kernel: c.kernel, Architecture: arch, Init: program, AddModules: first.AddModules, OmitModules: first.OmitModules,
		Firmware: first.Firmware, Include: first.Include, CA: first.CA, Jobs: c.o.Jobs,
	}
	var report *initrd.Report
	if c.o.Initrd == InitrdDracut {
		if report, err = c.planDracut(ctx, o); err != nil {
			return err
		}
	} else if c.initrd.tree, report, err = initrd.Build(ctx, c.tree, o); err != nil {
		return fmt.Errorf("choosing what the initrd carries: %w", err)
	}
	early, err := initrd.Early(c.tree, arch)
	if err != nil {
		return err
	}
	c.initrd.early = pad(early)
	for i, user := range first.Prepend {
		if err := initrd.CheckUser(bytes.NewReader(user)); err != nil {
			return fmt.Errorf("initrd %d of those that go before: %w", i+1, err)
		}
		c.initrd.early = pad(append(c.initrd.early, user...))
	}
	c.manifest.Initrd = &netboot.Initrd{Kind: c.o.Initrd, Modules: report.Modules, Firmware: report.Firmware, Unpacked: report.Unpacked}
	c.manifest.Warnings = append(c.manifest.Warnings, report.Warnings...)
	return nil
}

// close lets go of what the initrd is made of.
func (p *initrdPlan) close() error {
	if p.contents == nil {
		return nil
	}
	return p.contents.Close()
}

// initrdNames are where distributions keep the initrd of a kernel.
func initrdNames(version string) []string {
	return []string{
		"boot/initrd.img-" + version, "boot/initramfs-" + version + ".img", "boot/initrd-" + version,
		"usr/lib/modules/" + version + "/initrd", "lib/modules/" + version + "/initrd",
	}
}

func openInitrd(tree *rootfs.Tree, version string) (fs.File, error) {
	names := initrdNames(version)
	for _, name := range names {
		if info, err := fs.Stat(tree, name); err == nil && info.Mode().IsRegular() {
			return tree.Open(name)
		}
	}
	return nil, fmt.Errorf("the image has no initrd of its kernel %s: looked for %q; make one in the recipe (update-initramfs, dracut), or use --initrd builtin", version, names)
}

// alignment is where an archive starts behind another: where newc members may
// start, and what boot loaders round sizes to.
const alignment = 512

func pad(b []byte) []byte { return append(b, make([]byte, -len(b)&(alignment-1))...) }

// packFirstStage packs the first stage: its bytes, padded.
func (c *converter) packFirstStage(ctx context.Context, tree *rootfs.Tree) ([]byte, error) {
	codec, err := c.initrdCodec()
	if err != nil {
		return nil, err
	}
	var size int64
	for _, in := range tree.All() {
		size += in.Size
	}
	// Most of it is compressed already. Grow would clear all of that memory first.
	out := bytes.NewBuffer(make([]byte, 0, size))
	_, err = pack.Archive(ctx, out, tree, pack.Options{Method: pack.CPIO, Codec: codec, Jobs: c.o.Jobs, Epoch: c.manifest.Epoch, Cache: c.o.Cache})
	return pad(out.Bytes()), err
}

// initrdCodec is the best that the configuration of the image's kernel names,
// zstd as a rule, which the kernel unpacks several times faster than gzip. Where
// there is no configuration it is gzip, which hardly a kernel lacks. The name ends
// in .gz either way: it is xCAT's, whatever the compressor was.
func (c *converter) initrdCodec() (pack.Codec, error) {
	codecs := c.support.Codecs(string(pack.CPIO))
	if c.support.Source == "" && slices.Contains(codecs, string(pack.Gzip)) {
		return pack.Gzip, nil
	}
	return bestCodec(c.support, pack.CPIO, c.kernel)
}

// packSpec packs what the first stage must know of the root.
func (c *converter) packSpec(ctx context.Context, root node.Root) ([]byte, error) {
	spec := node.Spec{
		Version: node.Version, Tool: c.o.Tool, Image: c.title(), Boot: c.o.Boot, Init: c.manifest.Init, Kernel: c.kernel.Version,
		Platform: c.manifest.Platform, Peak: c.manifest.Memory.Peak, Root: root,
	}
	text, err := spec.Encode()
	if err != nil {
		return nil, err
	}
	tree, err := rootfs.Merge(ctx)
	if err != nil {
		return nil, err
	}
	if err := tree.Put(node.Path, rootfs.NewText(0o644, text)); err != nil {
		return nil, err
	}
	return c.packFirstStage(ctx, tree)
}

// title names the image on a node's console: not by its reference, for the same
// image makes the same bytes wherever it comes from.
func (c *converter) title() string {
	const digits = 12
	id := c.img.ID.Encoded()
	id = id[:min(digits, len(id))]
	if title := c.img.Config.Config.Labels[v1.AnnotationTitle]; title != "" {
		return title + " (" + id + ")"
	}
	return "image " + id
}

// nodeRoot is the root as the first stage knows it.
func nodeRoot(f netboot.File) node.Root {
	r := node.Root{Name: f.Name, Method: f.Method, Compress: f.Compress, Size: f.Size, Unpacked: f.Unpacked, SHA256: f.SHA256}
	if f.Root != nil {
		r.Size, r.SHA256 = f.Root.Size, f.Root.SHA256
	}
	for _, s := range f.Segments {
		r.Segments = append(r.Segments, node.Segment{Offset: s.Offset, Size: s.Size, Unpacked: s.Unpacked})
	}
	return r
}

// writeInitrd writes the initrd that fetches the root.
func (c *converter) writeInitrd(ctx context.Context, out *netboot.Output, first []byte, root netboot.File) (netboot.File, error) {
	if c.initrd.own != nil {
		if _, err := io.Copy(out, ctxio.NewReader(ctx, c.initrd.own, nil)); err != nil {
			return netboot.File{}, err
		}
		return out.Finish(ctx)
	}
	spec, err := c.packSpec(ctx, nodeRoot(root))
	if err != nil {
		return netboot.File{}, err
	}
	for _, part := range [][]byte{c.initrd.early, first, spec} {
		if _, err := out.Write(part); err != nil {
			return netboot.File{}, err
		}
	}
	return out.Finish(ctx)
}

// writeRamdisk writes first stage and root into one file.
func (c *converter) writeRamdisk(ctx context.Context, stage *netboot.Stage, out *netboot.Output, first <-chan []byte) (file netboot.File, err error) {
	if _, err := out.Write(c.initrd.early); err != nil {
		return file, err
	}
	counted := &countWriter{w: out, n: int64(len(c.initrd.early))}
	info, part, err := c.writeParts(ctx, stage, counted, counted.n)
	if err != nil {
		return file, err
	}
	base, ok := <-first
	if !ok {
		return file, errNoBase
	}
	c.describe(&file, info)
	file.Root = part
	c.manifest.Memory = c.memory(part.Size)
	spec, err := c.packSpec(ctx, nodeRoot(file))
	if err != nil {
		return file, err
	}
	gap := make([]byte, -counted.n&(alignment-1))
	for _, b := range [][]byte{gap, base, spec} {
		if _, err := out.Write(b); err != nil {
			return file, err
		}
	}
	written, err := out.Finish(ctx)
	file.Name, file.Size, file.SHA256 = written.Name, written.Size, written.SHA256
	return file, err
}

// errNoBase follows the error that kept the first stage from being packed.
var errNoBase = errors.New("the first stage was not packed")
