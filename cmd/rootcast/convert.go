package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build"
	"github.com/rootcast/rootcast/convert"
	"github.com/rootcast/rootcast/convert/exlist"
	"github.com/rootcast/rootcast/convert/image"
	"github.com/rootcast/rootcast/convert/netboot"
	"github.com/rootcast/rootcast/convert/pack"
)

const convertDescription = `Flattens the layers of IMAGE into a rootimgdir: kernel, packed root and
manifest.json. No root file system is unpacked on the way. The new version
takes the old one's place in one step; a node that boots meanwhile gets all of
the one or all of the other, and a convert that fails changes nothing.

IMAGE is a name in the local store or, if it is not there, in a registry; or
docker://NAME, oci:DIR, oci-archive:FILE, docker-archive:FILE, dir:DIR. Layers
of a registry's image that the local store has are not fetched.

   rootcast convert --rootimgdir /srv/boot/compute localhost/compute:1
   rootcast convert --rootimgdir /srv/boot/compute docker://registry.example/compute:1
   rootcast convert --exlist recipes/debian12/compute/exlist --explain-exlist --rootimgdir DIR IMAGE
   rootcast convert --keep 5 --wait --rootimgdir DIR IMAGE
   rootcast convert --kernel 6.1.0-37 --append "mitigations=off" --compress gzip IMAGE
   rootcast convert --method squashfs --compress zstd --level 15 IMAGE
   rootcast convert --boot netroot --ca-cert /etc/ssl/site.pem --add-module nvme_rdma IMAGE
   rootcast convert --boot ramdisk --method squashfs --statelite compute.litefile IMAGE
   rootcast convert --platform all --rootimgdir /srv/boot/compute IMAGE

The last makes /srv/boot/compute/x86_64, /srv/boot/compute/aarch64 and so on, one
after another, of every Linux image of an index. Each is a rootimgdir of its own for
verify, boot and rollback. One that fails keeps no other from being made; then the
exit code is 1.

The initrd (first stage) is made of the image's kernel modules, without running
anything of the image. README, "Booting", has the kernel arguments that it takes.
With --initrd dracut the image's own dracut makes it, in a container; -v shows what
it says. The image must have dracut (Debian: dracut-core) and be in the local store,
into which it is pulled where need be. For another architecture it runs by
qemu-user-static, which takes minutes.`

// convertCmd is what the flags of rootcast convert fill.
type convertCmd struct {
	e        *env
	registry registryFlags
	make     makeFlags
	dir      string
	keep     int
	wait     bool
	explain  bool
	json     bool
}

// makeFlags say what a rootimgdir is made like; boot takes them too.
type makeFlags struct {
	platform, boot, method, compress string
	level, jobs                      int
	kernel, append                   string
	exlists                          cli.StringSlice
	first                            firstStageFlags
	cache                            cacheFlags
	limit                            layerLimit
}

// flags are those flags; platform is what --platform means.
func (m *makeFlags) flags(platform string) []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "platform", Usage: platform, Destination: &m.platform},
		&cli.StringFlag{Name: "boot", Usage: "`HOW` nodes get their root: ramdisk, in one download, or netroot, fetched by a first stage", DefaultText: "ramdisk for cpio, else netroot", Destination: &m.boot},
		&cli.StringFlag{Name: "method", Usage: "pack the root as `FORMAT`: cpio, tar, squashfs or erofs", Value: string(pack.CPIO), Destination: &m.method},
		&cli.StringFlag{Name: "compress", Usage: "compress by `CODEC`: zstd, gzip, xz, lz4, none, or auto, the best that the image's kernel can load", Value: string(convert.Auto), Destination: &m.compress},
		&cli.IntFlag{Name: "level", Usage: "compression `LEVEL`: zstd 1 to 19 (3 by default; to 22 in file systems), gzip and xz 1 to 9 (6), lz4 1 to 9 (1; to 12 in erofs)", DefaultText: "the codec's", Destination: &m.level},
		&cli.IntFlag{Name: "jobs", Usage: "pack `N` segments at a time", DefaultText: "one for each core", Destination: &m.jobs},
		&cli.StringFlag{Name: "kernel", Usage: "take kernel `VERSION`, or the newest that starts so (default: the newest)", Destination: &m.kernel},
		&cli.StringSliceFlag{Name: "exlist", Usage: "leave out what the exclude list in `FILE` names, in xCAT's syntax; may be repeated", Destination: &m.exlists},
		m.limit.flag(),
	}, append(m.first.flags(), m.cache.flags()...)...)
}

// options checks the flags.
func (m *makeFlags) options(e *env, dir string) (convert.Options, error) {
	o, err := m.format()
	if err != nil {
		return o, err
	}
	if m.jobs < 0 {
		return convert.Options{}, usageErrorf("--jobs %d: at least 1", m.jobs)
	}
	exclude, err := exlist.Read(m.exlists.Value()...)
	if err != nil {
		return convert.Options{}, err
	}
	epoch, err := e.sourceDateEpoch()
	if err != nil {
		return convert.Options{}, err
	}
	if err := m.first.set(&o); err != nil {
		return convert.Options{}, err
	}
	store, err := m.cache.open(e)
	o.Dir, o.Jobs, o.Kernel, o.Exclude, o.Append, o.Epoch, o.Tool, o.Cache = dir, m.jobs, m.kernel, exclude, m.append, epoch, version, store
	o.Program = programIdentity()
	return o, err
}

// format checks how to pack.
func (m *makeFlags) format() (convert.Options, error) {
	method, err := pack.ParseMethod(m.method)
	if err != nil {
		return convert.Options{}, usageErrorf("--method: %v", err)
	}
	codec := convert.Auto
	if m.compress != string(convert.Auto) {
		if codec, err = pack.ParseCodec(m.compress); err != nil {
			return convert.Options{}, usageErrorf("--compress: %v, or auto", err)
		}
	}
	o := convert.Options{Boot: m.boot, Method: method, Compress: codec, Level: m.level, Initrd: m.first.initrd}
	if err := o.SetFormat(); err != nil {
		return convert.Options{}, usageErrorf("--boot, --method, --compress, --level and --initrd: %v", err)
	}
	return o, nil
}

func newConvertCommand(e *env) *cli.Command {
	c := &convertCmd{e: e}
	flags := append(c.make.flags("take the image for `OS/ARCH[/VARIANT]` of an index; all, or several with commas between them, make a rootimgdir DIR/ARCH of each"),
		&cli.StringFlag{Name: "append", Usage: "kernel `ARGUMENTS` after those that the image's label asks for", Destination: &c.make.append},
		&cli.StringFlag{Name: "rootimgdir", Usage: "write to `DIR`, with several platforms below it (default: rootimg-NAME here)", Destination: &c.dir},
		&cli.IntFlag{Name: "keep", Usage: "let `N` versions stay, the new one among them, for rootcast rollback", Value: netboot.DefaultKeep, Destination: &c.keep},
		waitFlag(&c.wait),
		&cli.BoolFlag{Name: "explain-exlist", Usage: "tell what each rule of the exclude lists saves, and which match nothing", Destination: &c.explain, DisableDefaultText: true},
		&cli.BoolFlag{Name: "json", Usage: "print the manifest instead of the directory", Destination: &c.json, DisableDefaultText: true})
	return &cli.Command{
		Name:        "convert",
		Usage:       "flatten an image into kernel, ramdisk and manifest for network boot",
		ArgsUsage:   "IMAGE",
		Description: convertDescription,
		Flags:       append(flags, c.registry.flags()...),
		Action:      action(e, "IMAGE", 1, 1, c.run),
	}
}

func (c *convertCmd) run(ctx context.Context, args []string) error {
	o, err := c.options(args[0])
	if err != nil {
		return err
	}
	reg, err := c.registry.registry()
	if err != nil {
		return err
	}
	if several(c.make.platform) {
		return c.convertEach(ctx, args[0], reg, o)
	}
	m, err := c.convert(ctx, args[0], reg, c.make.platform, o)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c.e.stdout, m)
	}
	_, err = fmt.Fprintln(c.e.stdout, o.Dir)
	return err
}

// options checks the flags; with several platforms the directory is that of all.
func (c *convertCmd) options(name string) (convert.Options, error) {
	o, err := c.make.options(c.e, either(c.dir, "rootimg-"+baseName(name)))
	if err != nil {
		return o, err
	}
	if o.Keep, o.Wait = c.keep, c.wait; o.Keep < 1 {
		return o, usageErrorf("--keep %d: at least 1, the new version", o.Keep)
	}
	if c.explain {
		if len(c.make.exlists.Value()) == 0 {
			return o, usageErrorf("--explain-exlist explains what --exlist FILE names, and there is none")
		}
		o.Explain = c.e.sayExcluded
	}
	return o, nil
}

// convert makes a rootimgdir for one platform and tells people of it.
func (c *convertCmd) convert(ctx context.Context, name string, reg build.Registry, platform string, o convert.Options) (*netboot.Manifest, error) {
	began := time.Now()
	m, err := c.e.convert(ctx, name, reg, wish{platform: platform, limit: c.make.limit}, o)
	if err == nil {
		c.e.sayConverted(m, time.Since(began))
	}
	return m, err
}

// convert makes a rootimgdir of what the user calls name.
func (e *env) convert(ctx context.Context, name string, reg build.Registry, w wish, o convert.Options) (*netboot.Manifest, error) {
	defer func() {
		if err := o.Cache.Close(); err != nil {
			e.say("warning: %v", err)
		}
	}()
	if o.Initrd == convert.InitrdDracut {
		var err error
		if name, err = e.fetch(ctx, name, reg, w.platform); err != nil {
			return nil, err
		}
		o.Run, o.TempDir = e.runIn, tempDir()
	}
	w.skip = func(img *image.Image) bool {
		_, same := convert.Unchanged(ctx, img, o)
		return same
	}
	m, err := e.convertWish(ctx, name, reg, w, o)
	if errors.Is(err, convert.ErrNotFetched) { // another process has just changed the directory
		w.skip = nil
		m, err = e.convertWish(ctx, name, reg, w, o)
	}
	return m, err
}

func (e *env) convertWish(ctx context.Context, name string, reg build.Registry, w wish, o convert.Options) (*netboot.Manifest, error) {
	img, err := e.openImage(ctx, name, reg, w)
	if err != nil {
		return nil, err
	}
	defer img.Close() //nolint:errcheck // its files were only read
	p := e.newProgress()
	defer p.finish()
	o.Report = p.report
	return convert.Convert(ctx, img, o)
}

// sayConverted tells people what was made and what they should know of it.
func (e *env) sayConverted(m *netboot.Manifest, took time.Duration) {
	for _, w := range m.Warnings {
		e.say("warning: %s", w)
	}
	if m.Xattrs != nil && (m.Initrd == nil || m.Initrd.Kind == convert.InitrdImage) {
		e.say("note: the extended attributes of %d files, capabilities among them, are listed in the root's %s; setfattr -h --restore=%s in the unpacked root applies them, as rootcast's own first stage does",
			m.Xattrs.Files, m.Xattrs.Path, strings.TrimPrefix(m.Xattrs.Path, "/"))
	}
	if m.Kernel.Packed != "" {
		e.say("note: the kernel is unpacked, for boot loaders that cannot; in the image it is packed (%s)", m.Kernel.Packed)
	}
	for _, f := range m.Files {
		e.say("%s: %s", f.Name, units.BytesSize(float64(f.Size)))
	}
	e.say("kernel %s; a node needs %s of memory to boot, the root keeps %s; made in %s",
		m.Kernel.Version, units.BytesSize(float64(m.Memory.Peak)), units.BytesSize(float64(m.Memory.After)), fmtDuration(took))
}

// baseName is the last part of an image's name without tag or digest.
func baseName(image string) string {
	image, _, _ = strings.Cut(image, "@")
	image = image[strings.LastIndexByte(image, '/')+1:]
	if transport, rest, ok := strings.Cut(image, ":"); ok && build.HasTransport(transport+":") {
		image = rest
	}
	image, _, _ = strings.Cut(image, ":")
	return image
}
