package convert

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rootcast/rootcast/convert/cache"
	"github.com/rootcast/rootcast/convert/ctxio"
	"github.com/rootcast/rootcast/convert/exlist"
	"github.com/rootcast/rootcast/convert/image"
	"github.com/rootcast/rootcast/convert/kernel"
	"github.com/rootcast/rootcast/convert/netboot"
	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/statelite"
)

// ArgumentsLabel is the image label with the kernel arguments that its nodes need.
const ArgumentsLabel = "io.rootcast.kernel.args"

// Options says what to make of an image.
type Options struct {
	Dir      string           // the rootimgdir
	Boot     string           // how nodes get the root; "": ramdisk for cpio, netroot for all others
	Method   pack.Method      // "" is cpio
	Compress pack.Codec       // "" is Auto
	Level    int              // of the codec; 0: its default
	Jobs     int              // segments packed side by side; 0: the number of cores
	Kernel   string           // version, or how it starts; "": the newest
	Exclude  *exlist.List     // what stays out of the root; nil: nothing does
	Initrd   string           // InitrdBuiltin, InitrdDracut, InitrdImage or InitrdNone; "": the first
	First    FirstStage       // what InitrdBuiltin and InitrdDracut carry
	State    *statelite.Rules // what of a node outlives its boots; nil: nothing
	Append   string           // kernel arguments after those of the image's label
	Epoch    *time.Time       // no file of the root is newer; nil: when the image was created
	Cache    *cache.Store     // of what earlier converts made; nil: none
	Tool     string           // rootcast's version, for the manifest
	Program  string           // names this program better than its version, on this machine; "": nothing does

	Keep int  // versions of the rootimgdir that stay, the new one among them; 0: netboot.DefaultKeep
	Wait bool // wait for another process that writes the rootimgdir
	// Adopt keeps what others made in the rootimgdir, in netboot.AdoptedDir, instead of
	// refusing to write beside it.
	Adopt bool

	Run     Runner // for InitrdDracut
	TempDir string // for what InitrdDracut makes; "": the system's

	Report  Report               // nil: nobody is told
	Explain func(*exlist.Report) // is told what Exclude does; nil: nobody is
}

// Report is told of long work, from one goroutine at a time: when a step starts
// and as it goes on, with bytes done and bytes in all (0: unknown).
type Report func(step string, done, total int64)

func (r Report) say(step string, done, total int64) {
	if r != nil {
		r(step, done, total)
	}
}

// ErrNotFetched is an image that was opened without its layers because nothing
// had changed, and then something had.
var ErrNotFetched = errors.New("the layers of the image were not fetched")

// Convert writes a new version of o.Dir from the image and makes it current. When
// it fails, or is cancelled, what was current before still is. Where nothing has
// changed since o.Dir was made, it stays as it is.
func Convert(ctx context.Context, img *image.Image, o Options) (_ *netboot.Manifest, err error) {
	if err := o.SetFormat(); err != nil {
		return nil, fmt.Errorf("converting %s: %w", img.Name, err)
	}
	c := converter{o: o, img: img}
	defer func() { err = errors.Join(err, c.initrd.close()) }()
	inputs := c.inputs(ctx) // before the image's kernel has a say
	if m, ok := Unchanged(ctx, img, o); ok && ctx.Err() == nil {
		o.Report.say("nothing has changed since "+o.Dir+" was made", 0, 0)
		return m, netboot.Tidy(o.Dir, netboot.Options{Keep: o.Keep, Doing: "convert " + img.Name})
	}
	if len(img.Layers) == 0 {
		return nil, ErrNotFetched
	}
	if err := c.prepare(ctx); err != nil {
		return nil, fmt.Errorf("converting %s: %w", img.Name, err)
	}
	stage, err := netboot.Begin(ctx, o.Dir, netboot.Options{
		Keep: o.Keep, Adopt: o.Adopt, Wait: o.Wait, Waiting: o.Report.step, Doing: "convert " + img.Name, Inputs: inputs,
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stage.Abort()) }()
	if err := c.write(ctx, stage); err != nil {
		return nil, fmt.Errorf("converting %s: %w", img.Name, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.o.Report.say("publishing", 0, 0)
	return c.manifest, stage.Publish(ctx, c.manifest)
}

// Unchanged returns the manifest of o.Dir if that is what Convert would make of
// the image, whose layers it does not look at. To explain what is left out takes
// a look at them.
func Unchanged(ctx context.Context, img *image.Image, o Options) (*netboot.Manifest, bool) {
	if o.Explain != nil {
		return nil, false
	}
	if o.SetFormat() != nil {
		return nil, false
	}
	c := converter{o: o, img: img}
	return netboot.Unchanged(o.Dir, c.inputs(ctx))
}

// Merge returns the image's file tree. Indexes of layers come from the store,
// where it has them.
func Merge(ctx context.Context, img *image.Image, store *cache.Store) (*rootfs.Tree, error) {
	layers := make([]*rootfs.Index, len(img.Layers))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, i := range largestFirst(img.Layers) { // so that none is left to one core at the end
		g.Go(func() (err error) {
			layers[i], err = index(gctx, &img.Layers[i], store)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return rootfs.Merge(ctx, layers...)
}

// largestFirst returns the places of the layers.
func largestFirst(layers []image.Layer) []int {
	order := make([]int, len(layers))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(layers[b].Size, layers[a].Size) })
	return order
}

// index reads the headers of a layer, once for all times if there is a store.
func index(ctx context.Context, l *image.Layer, store *cache.Store) (*rootfs.Index, error) {
	layer := rootfs.Layer{Name: l.Digest.String(), Key: l.Key, Tar: l.Tar, Size: l.Size}
	if files, ok := l.Tar.(rootfs.FileReader); ok {
		layer.Files = files
	}
	if store == nil || l.Key == "" {
		return rootfs.IndexTar(ctx, layer)
	}
	key := cache.Key(sha256.Sum256([]byte(rootfs.IndexVersion + l.Key)))
	if data, ok := store.Get(cache.Indexes, key, nil); ok {
		if x, err := rootfs.DecodeIndex(layer, data); err == nil {
			return x, nil
		}
	}
	x, err := rootfs.IndexTar(ctx, layer)
	if err == nil {
		store.Put(cache.Indexes, key, x.Encode())
	}
	return x, err
}

// converter makes one version.
type converter struct {
	o          Options
	img        *image.Image
	tree       *rootfs.Tree
	kernel     kernel.Kernel
	kernelFile fs.File // the kernel's file, which the exclude list may drop from the tree
	support    kernel.Support
	initrd     initrdPlan
	manifest   *netboot.Manifest
}

// inputs stands for all that the version is made of: the image, this program,
// the tool that it calls, and each option but those that change no byte of it.
func (c *converter) inputs(ctx context.Context) string {
	tool, err := c.o.packing().Tool(ctx)
	if err != nil {
		tool = err.Error() // convert will say so too
	}
	o := c.o
	o.Cache, o.Report, o.Run, o.Dir, o.TempDir, o.Jobs, o.Keep, o.Wait = nil, nil, nil, "", "", 0, 0, false
	o.Exclude, o.Epoch, o.Explain, o.State = nil, nil, nil, nil
	text := fmt.Sprintf("%q %s %s %+v %q %v %q %+v", c.img.Name, c.img.Digest, c.img.ID, o, c.o.Exclude.Rules(), c.epoch().UnixNano(), tool, c.o.State)
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// packing is how the root is packed, as far as the options say.
func (o *Options) packing() pack.Options {
	p := pack.Options{Method: o.Method, Codec: o.Compress, Level: o.Level}
	if p.Codec == Auto { // the kernel has a say yet, and the tool is the same
		p.Codec, p.Level = pack.Zstd, 0
	}
	return p
}

// prepare finds all that can be wrong with the image before anything is written.
func (c *converter) prepare(ctx context.Context) (err error) {
	c.o.Report.say("merging layers", 0, 0)
	if c.tree, err = Merge(ctx, c.img, c.o.Cache); err != nil {
		return err
	}
	if c.kernel, err = kernel.Choose(c.tree, c.o.Kernel); err != nil {
		return err
	}
	if c.kernelFile, err = c.tree.Open(c.kernel.Path); err != nil {
		return err
	}
	program, err := FindInit(c.tree)
	if err != nil {
		return err
	}
	if c.o.Explain != nil && c.o.Exclude != nil {
		c.o.Explain(c.o.Exclude.Explain(c.tree.All()))
	}
	warning, err := c.chooseCodec() // while the tree has all that the exclude list drops
	if err != nil {
		return err
	}
	labels, rules := c.img.Config.Config.Labels, c.o.Exclude.Rules()
	c.manifest = &netboot.Manifest{
		Version:   netboot.ManifestVersion,
		Image:     netboot.Image{Reference: c.img.Name, Digest: c.img.Digest.String(), ID: c.img.ID.String(), Labels: labels},
		Platform:  c.img.Platform(),
		Boot:      c.o.Boot,
		Kernel:    netboot.Kernel{Version: c.kernel.Version, Path: "/" + c.kernel.Path, Modules: c.kernel.Modules},
		Init:      program,
		Exclude:   rules,
		Arguments: strings.Join(strings.Fields(labels[ArgumentsLabel]+" "+c.o.Append), " "),
		Epoch:     c.epoch(),
		Warnings:  c.tree.Warnings,
		Tool:      c.o.Tool,
	}
	if c.o.State != nil {
		c.manifest.Statelite = c.o.State.Rules
		c.manifest.Warnings = append(c.manifest.Warnings, c.o.State.Check(c.tree)...)
	}
	if err := c.planInitrd(ctx); err != nil { // while the tree has all that the exclude list drops
		return err
	}
	if err := finish(c.tree, c.manifest); err != nil {
		return err
	}
	attributed, err := addXattrs(c.tree, c.o.Method)
	if err != nil {
		return err
	}
	_, err = c.o.packing().Tool(ctx)
	if err := errors.Join(checkSizes(c.tree, c.o.Method), err); err != nil {
		return err
	}
	if warning != "" {
		c.manifest.Warnings = append(c.manifest.Warnings, warning)
	}
	if attributed > 0 {
		c.manifest.Xattrs = &netboot.XattrList{Path: "/" + pack.XattrsName, Files: attributed}
	}
	if c.kernel.Modules == "" {
		c.manifest.Warnings = append(c.manifest.Warnings, fmt.Sprintf("the image has no modules of its kernel %s", c.kernel.Version))
	}
	return nil
}

func (c *converter) epoch() time.Time {
	switch {
	case c.o.Epoch != nil:
		return c.o.Epoch.UTC()
	case c.img.Config.Created != nil:
		return c.img.Config.Created.UTC()
	default:
		return time.Time{}
	}
}

// write makes the files of the version, side by side.
func (c *converter) write(ctx context.Context, stage *netboot.Stage) error {
	var k, root, first netboot.File
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		k, err = create(stage, netboot.KernelName, func(out *netboot.Output) (netboot.File, error) { return c.writeKernel(gctx, out) })
		return err
	})
	base := make(chan []byte, 1)
	g.Go(func() error {
		defer close(base)
		if c.initrd.tree == nil {
			return nil
		}
		packed, err := c.packFirstStage(gctx, c.initrd.tree)
		base <- packed
		return err
	})
	g.Go(func() (err error) {
		root, err = create(stage, netboot.RootName(c.o.Boot, c.o.Method, c.o.Compress, len(c.manifest.Statelite) > 0), func(out *netboot.Output) (netboot.File, error) {
			if c.o.Boot == netboot.BootRamdisk && !c.o.bare() {
				return c.writeRamdisk(gctx, stage, out, base)
			}
			return c.writeRoot(gctx, out)
		})
		return err
	})
	if err := g.Wait(); err != nil {
		return err
	}
	c.manifest.Memory = c.memory(packedSize(root))
	if c.o.Boot == netboot.BootNetroot && c.o.hasFirstStage() {
		c.manifest.Arguments = strings.TrimSpace(c.manifest.Arguments + " rootcast.digest=sha256:" + root.SHA256)
	}
	c.manifest.Files = []netboot.File{k, root}
	if c.o.Boot == netboot.BootRamdisk || c.o.Initrd == InitrdNone {
		return nil
	}
	first, err := create(stage, c.manifest.InitrdFile(), func(out *netboot.Output) (netboot.File, error) { return c.writeInitrd(ctx, out, <-base, root) })
	c.manifest.Files = append(c.manifest.Files, first)
	return err
}

// create has a file of the version filled.
func create(stage *netboot.Stage, name string, fill func(*netboot.Output) (netboot.File, error)) (_ netboot.File, err error) {
	out, err := stage.Create(name)
	if err != nil {
		return netboot.File{}, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	return fill(out)
}

func (c *converter) writeKernel(ctx context.Context, out *netboot.Output) (netboot.File, error) {
	packed, err := kernel.Copy(out, ctxio.NewReader(ctx, c.kernelFile, nil), c.img.Config.Architecture)
	if err != nil {
		return netboot.File{}, err
	}
	c.manifest.Kernel.Packed = packed
	return out.Finish(ctx)
}
