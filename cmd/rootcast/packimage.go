package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build"
	"github.com/rootcast/rootcast/build/osimage"
	"github.com/rootcast/rootcast/build/osimage/render"
	"github.com/rootcast/rootcast/convert"
	"github.com/rootcast/rootcast/convert/netboot"
)

const packimageDescription = `Casts the image that genimage built into the osimage's rootimgdir, as xCAT's
packimage packs a root: kernel, initrd-stateless.gz and rootimg.cpio.gz, with exlist
and synclists applied. Neither the image nor what nodes boot from changes until all
of it is made; earlier versions stay for rootcast rollback.

   packimage compute
   packimage -m squashfs -c zstd compute
   packimage --nosyncfiles --image registry.example/cluster/compute compute`

// packimage is what the options of packimage fill.
type packimage struct {
	e                            *env
	dir                          string
	method, compress, image      string
	rootimgdir                   string
	level, keep                  int
	noSync, wait, version        bool
	explain                      bool
	osvers, profile, arch, track string
}

func newPackimageCommand(e *env) *cli.Command {
	c := &packimage{e: e}
	flags := pflag.NewFlagSet("packimage", pflag.ContinueOnError)
	flags.StringVarP(&c.method, "method", "m", "cpio", "pack the root as `FORMAT`: cpio, tar, squashfs or erofs")
	flags.StringVarP(&c.compress, "compress", "c", "gzip", "compress by `CODEC`: gzip or pigz, xz, zstd, lz4, none, or auto, the best that the kernel can load")
	flags.BoolVar(&c.noSync, "nosyncfiles", false, "leave synclists out")
	flags.IntVar(&c.level, "level", 0, "compression `LEVEL` (default: the codec's)")
	flags.StringVar(&c.image, "image", "", "pack `IMAGE` instead of the one that genimage built here")
	flags.StringVar(&c.rootimgdir, "rootimgdir", "", "write to `DIR` instead of the definition's")
	flags.IntVar(&c.keep, "keep", netboot.DefaultKeep, "let `N` versions stay, the new one among them")
	flags.BoolVar(&c.wait, "wait", false, "wait for another process that writes the rootimgdir")
	flags.BoolVar(&c.explain, "explain-exlist", false, "tell what each rule of exlist saves")
	flags.StringVar(&c.dir, "osimages", "", osimagesUsage)
	flags.BoolVarP(&c.version, "version", "v", false, "print the version and exit")
	for name, value := range map[string]*string{"osver": &c.osvers, "profile": &c.profile, "arch": &c.arch} {
		flags.StringVarP(value, name, name[:1], "", "")
		_ = flags.MarkHidden(name) // it is there
	}
	flags.StringVar(&c.track, "tracker", "", "")
	_ = flags.MarkHidden("tracker") // it is there
	x := &xcatCommand{
		name: "packimage", usage: "pack the image of an osimage definition for nodes to boot, as xCAT does", arguments: "[OPTIONS] NAME",
		description: packimageDescription, flags: flags, run: c.run,
	}
	return x.command(e)
}

func (c *packimage) run(ctx context.Context, args []string) error {
	switch {
	case c.version:
		return c.e.printLine("rootcast " + version)
	case c.osvers+c.profile+c.arch != "":
		return usageErrorf("-o, -p and -a options are obsoleted, please use 'packimage <osimage name>' instead.")
	case c.track != "":
		return usageErrorf("packimage: --tracker is for torrents, of which there are none here")
	case len(args) != 1:
		return usageErrorf("packimage: one osimage is packed at a time; see packimage --help, and lsdef -t osimage for those that there are")
	}
	d, err := c.e.definitionOf(ctx, catalog(c.dir), args[0])
	if err != nil {
		return err
	}
	if method := d.Get("provmethod"); method != "netboot" {
		return fmt.Errorf("osimage %s: provmethod is %q; packimage is for netboot%s", d.Name, method, forStatelite(method))
	}
	return c.e.pack(ctx, d, packing{
		method: c.method, compress: c.compress, level: c.level, keep: c.keep, wait: c.wait, noSync: c.noSync,
		explain: c.explain, image: c.image, rootimgdir: either(c.rootimgdir, rootimgdirOf(d)),
	})
}

func forStatelite(method string) string {
	if method == "statelite" {
		return ", liteimg for statelite"
	}
	return ""
}

// packing is how to make a definition's rootimgdir.
type packing struct {
	method, compress, image, rootimgdir string
	level, keep                         int
	wait, noSync, explain               bool
}

// pack makes a definition's rootimgdir of its image.
func (e *env) pack(ctx context.Context, d *osimage.Definition, p packing) error {
	o, err := e.packOptions(d, p)
	if err != nil {
		return err
	}
	name, err := e.imageToPack(ctx, d, p)
	if err != nil {
		return err
	}
	if err := e.imageArguments(ctx, d, name, &o); err != nil {
		return err
	}
	codec := p.compress
	if err := e.printLine(fmt.Sprintf("Packing contents of %s\narchive method:%s\ncompress method:%s", name, o.Method, codec)); err != nil {
		return err
	}
	platform, err := osimage.Platform(d.Get("osarch"))
	if err != nil {
		return err
	}
	began := time.Now()
	m, err := e.convert(ctx, name, defaultRegistry(), wish{platform: platform}, o)
	if err != nil {
		return err
	}
	e.sayConverted(m, time.Since(began))
	return e.printLine(o.Dir)
}

// packOptions are what convert makes of a definition.
func (e *env) packOptions(d *osimage.Definition, p packing) (convert.Options, error) {
	if p.compress == "pigz" {
		p.compress = "gzip"
	}
	m := definitionFlags(d)
	m.method, m.compress, m.level = p.method, p.compress, p.level
	o, err := m.options(e, p.rootimgdir)
	if err != nil {
		return o, err
	}
	o.Adopt = true // what xCAT or imgimport made there
	if o.Keep, o.Wait = p.keep, p.wait; o.Keep < 1 {
		return o, usageErrorf("--keep %d: at least 1, the new version", o.Keep)
	}
	if p.explain {
		o.Explain = e.sayExcluded
	}
	return o, nil
}

// definitionFlags are what a definition says of how its rootimgdir is made.
func definitionFlags(d *osimage.Definition) makeFlags {
	var drivers []string
	for _, driver := range d.Items("netdrivers") {
		if driver != "allupdate" && driver != "updateonly" { // those of driverupdatesrc, which are in the image
			drivers = append(drivers, strings.TrimSuffix(driver, ".ko"))
		}
	}
	return makeFlags{
		boot: netboot.BootNetroot, kernel: d.Get("kernelver"), exlists: *cli.NewStringSlice(d.Items("exlist")...), cache: cacheFlags{size: "10GiB"},
		first: firstStageFlags{initrd: convert.InitrdBuiltin, add: *cli.NewStringSlice(drivers...)},
	}
}

// imageArguments appends the kernel arguments of the definition that the image does
// not ask for itself.
func (e *env) imageArguments(ctx context.Context, d *osimage.Definition, name string, o *convert.Options) error {
	labels := map[string]string{}
	if !build.HasTransport(name) {
		if found, err := e.labelsOf(ctx, name); err == nil {
			labels = found
		}
	}
	o.Append = strings.TrimSpace(newArguments(labels, nodeArguments(d, labels)) + " " + o.Append)
	return e.stale(d, labels)
}

// nodeArguments are the kernel arguments of a definition, and of the genimage that made
// its image.
func nodeArguments(d *osimage.Definition, labels map[string]string) []string {
	args := render.KernelArguments(d)
	if port := d.Get("nodebootif"); port != "" {
		args = append(args, "netdev="+port)
	}
	if limit := labels[labelRootLimit]; limit != "" {
		args = append(args, "rootlimit="+limit)
	}
	return args
}

// newArguments are those that an image does not ask for itself.
func newArguments(labels map[string]string, wanted []string) string {
	has := strings.Fields(labels["io.rootcast.kernel.args"])
	var args []string
	for _, a := range wanted {
		if !slices.Contains(has, a) {
			args = append(args, a)
		}
	}
	return strings.Join(args, " ")
}

// stale tells people that the definition has changed since the image was built.
func (e *env) stale(d *osimage.Definition, labels map[string]string) error {
	built := labels[labelInputs]
	if built == "" || d.Path == "" {
		return nil
	}
	sum, err := buildInputs(d)
	if err != nil {
		return err
	}
	if sum.String() != built {
		e.say("note: osimage %s or a file that it names has changed since its image was built; genimage %s builds it anew", d.Name, d.Name)
	}
	return nil
}

// imageToPack is the definition's image, or the one that was named, with a layer of what
// synclists bring.
func (e *env) imageToPack(ctx context.Context, d *osimage.Definition, p packing) (string, error) {
	name, err := p.image, error(nil)
	if name == "" {
		if name, err = e.builtImage(ctx, d); err != nil {
			return "", err
		}
	}
	switch {
	case d.Get("synclists") == "":
		return name, nil
	case p.noSync:
		return name, e.printLine("Bypass of syncfiles requested, will not sync files to root image directory.")
	}
	if name, err = e.fetch(ctx, name, defaultRegistry(), ""); err != nil {
		return "", err
	}
	return e.withSynclists(ctx, d, name)
}
