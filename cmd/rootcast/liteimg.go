package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/pflag"
	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build/osimage"
	"github.com/rootcast/rootcast/convert"
	"github.com/rootcast/rootcast/convert/netboot"
	"github.com/rootcast/rootcast/convert/pack"
)

const liteimgDescription = `Makes the rootimgdir of a definition whose provmethod is statelite: of the image
that genimage made, with the rows of xCAT's table litefile for it, which say what of
a node outlives its boots. The image itself is not changed.

The tables are what tabdump prints. They lie beside the definition, as litefile.csv,
litetree.csv and statelite.csv, or where the options say. Rows count for the image's
name, each of its groups, and ALL, and stand in for each other in this order.

   tabdump litefile > /etc/rootcast/osimages/litefile.csv
   liteimg rocky9.4-x86_64-statelite-compute
   liteimg --litefile FILE --statelite FILE rocky9.4-x86_64-statelite-compute
   liteimg -m squashfs rocky9.4-x86_64-statelite-compute

rootfstype=ramdisk makes rootimg-statelite.gz, as with xCAT. Otherwise (nfs) nodes
fetch their root too, packed as -m and -c say: no node mounts it by NFS. Both have the
first stage initrd-statelite.gz. What persistent files need is mounted by the node
from rootcast.persistent=SERVER:/DIR in its kernel arguments, which liteimg sets
where the table statelite has one place for all nodes.`

// liteimg is what the options of liteimg fill.
type liteimg struct {
	e                *env
	dir              string // of definitions
	tables           stateliteTables
	method, compress string
	keep             int
	nosync, wait     bool
	old              oldImageFlags
	about            aboutFlags
}

// aboutFlags are what xCAT's commands on images take beside their own options.
type aboutFlags struct{ version, verbose bool }

func (f *aboutFlags) add(flags *pflag.FlagSet) {
	flags.BoolVarP(&f.verbose, "verbose", "V", false, "print what the libraries beneath do")
	flags.BoolVarP(&f.version, "version", "v", false, "print the version and exit")
}

func (f *aboutFlags) print(e *env) error {
	_, err := fmt.Fprintln(e.stdout, "rootcast "+version)
	return err
}

// apply lets more be said where it was asked for.
func (f *aboutFlags) apply(e *env) {
	if f.verbose {
		e.local.verbose = true
		e.setUpLog()
	}
}

// oldImageFlags are the options by which xCAT named an image before it had osimages.
type oldImageFlags struct{ profile, arch, os, limit string }

func (f *oldImageFlags) add(flags *pflag.FlagSet) {
	for _, one := range []struct {
		value       *string
		name, short string
	}{{&f.profile, "profile", "p"}, {&f.arch, "arch", "a"}, {&f.os, "osver", "o"}, {&f.limit, "tmplimit", "t"}} {
		flags.StringVarP(one.value, one.name, one.short, "", "")
		flags.Lookup(one.name).Hidden = true
	}
}

// check refuses them as xCAT's packimage does.
func (f *oldImageFlags) check(command string) error {
	if *f != (oldImageFlags{}) {
		return usageErrorf("-o, -p, -a and -t options are obsoleted, please use '%s <osimage name>' instead.", command)
	}
	return nil
}

func newLiteimgCommand(e *env) *cli.Command {
	c := &liteimg{e: e}
	flags := pflag.NewFlagSet("liteimg", pflag.ContinueOnError)
	c.tables.add(flags)
	flags.StringVarP(&c.method, "method", "m", "", "pack the root as `FORMAT`: cpio, tar, squashfs or erofs (default cpio)")
	flags.StringVarP(&c.compress, "compress", "c", "", "compress it by `CODEC`: zstd, gzip, xz, lz4 or none (default: the best that the image's kernel can load)")
	flags.BoolVar(&c.nosync, "nosyncfiles", false, "leave out what the synclists name")
	flags.IntVar(&c.keep, "keep", netboot.DefaultKeep, "let `N` versions stay, the new one among them")
	flags.BoolVar(&c.wait, "wait", false, "wait for another rootcast that writes the rootimgdir")
	flags.StringVar(&c.dir, "osimages", "", osimagesUsage)
	c.about.add(flags)
	c.old.add(flags)
	x := &xcatCommand{
		name: "liteimg", usage: "make what nodes with persistent files boot from, as xCAT does", arguments: "[OPTION...] NAME",
		description: liteimgDescription, flags: flags, run: c.run,
	}
	return x.command(e)
}

func (c *liteimg) run(ctx context.Context, args []string) error {
	if c.about.version {
		return c.about.print(c.e)
	}
	if err := c.old.check("liteimg"); err != nil {
		return err
	}
	if len(args) != 1 {
		return usageErrorf("liteimg needs the NAME of one osimage; see liteimg --help")
	}
	c.about.apply(c.e)
	d, err := load(catalog(c.dir), args[0])
	if err != nil {
		return err
	}
	if err := c.check(d); err != nil {
		return err
	}
	state, err := c.tables.read(d)
	if err != nil {
		return err
	}
	o, err := c.options(d, state)
	if err != nil {
		return err
	}
	name, err := c.e.builtImage(ctx, d)
	if err != nil {
		return err
	}
	if d.Get("nfsrootopts") != "" {
		state.note("warning: nfsrootopts has no effect: nodes fetch their root and mount none by NFS")
	}
	for _, note := range state.notes { // not before the store is open: that may start this process anew
		c.e.say("%s", note)
	}
	return c.make(ctx, d, name, o)
}

// check refuses what cannot be made, before anything is read or opened.
func (c *liteimg) check(d *osimage.Definition) error {
	if method := d.Get("provmethod"); method != "statelite" {
		return fmt.Errorf("osimage %s has provmethod=%s, and liteimg is for statelite: use packimage, or chdef -t osimage -o %s provmethod=statelite and genimage", d.Name, method, d.Name)
	}
	for _, name := range []string{"osvers", "osarch", "profile"} {
		if d.Get(name) == "" {
			return fmt.Errorf("osimage %s has no %s: chdef -t osimage -o %s %s=VALUE", d.Name, name, d.Name, name)
		}
	}
	if c.keep < 1 {
		return usageErrorf("--keep %d: at least 1, the new version", c.keep)
	}
	if d.Get("rootfstype") == "ramdisk" && c.method+c.compress != "" {
		return usageErrorf("-m and -c: with rootfstype=ramdisk the root is rootimg-statelite.gz, a cpio archive by gzip; leave them out, or unset rootfstype")
	}
	return nil
}

// options says how the image is converted.
func (c *liteimg) options(d *osimage.Definition, state *nodeState) (convert.Options, error) {
	m := definitionFlags(d)
	m.method, m.compress, m.append = either(c.method, string(pack.CPIO)), either(c.compress, string(convert.Auto)), state.arguments
	if d.Get("rootfstype") == "ramdisk" {
		m.compress = string(pack.Gzip)
	}
	o, err := m.options(c.e, rootimgdirOf(d))
	o.State, o.Keep, o.Wait, o.Adopt = state.rules, c.keep, c.wait, true
	return o, err
}

// make converts the image and tells people of it.
func (c *liteimg) make(ctx context.Context, d *osimage.Definition, name string, o convert.Options) (err error) {
	began := time.Now()
	if c.nosync && d.Get("synclists") != "" {
		c.e.say("Bypass of syncfiles requested, will not sync files to root image directory.")
	} else if name, err = c.e.withSynclists(ctx, d, name); err != nil {
		return err
	}
	platform, err := osimage.Platform(d.Get("osarch"))
	if err != nil {
		return err
	}
	if err := c.e.imageArguments(ctx, d, name, &o); err != nil {
		return err
	}
	m, err := c.e.convert(ctx, name, defaultRegistry(), wish{platform: platform}, o)
	if err != nil {
		return err
	}
	c.e.sayConverted(m, time.Since(began))
	_, err = fmt.Fprintln(c.e.stdout, o.Dir)
	return err
}
