package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker/go-units"
	"github.com/spf13/pflag"
	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build"
	"github.com/rootcast/rootcast/build/osimage"
	"github.com/rootcast/rootcast/build/osimage/bundle"
)

const imgexportDescription = `Puts an osimage into one file, as xCAT's imgexport does: its definition, every file
that it references, and what nodes boot from. xCAT's imgimport reads it, and so does
rootcast's. Without DESTINATION it is NAME.tgz here.

   imgexport compute
   imgexport compute /backup/ -e /install/postscripts/mine:/install/postscripts
   imgexport compute compute.tgz -R root@mgmt2
   imgexport compute compute.oci.tar

A DESTINATION that ends in .oci or .oci.tar, or --format oci, makes an OCI archive
instead: the image that the definition stands for in the local store, with the
definition and its files. podman, skopeo and rootcast pull read its image.`

// The forms of bundles.
const (
	formatXCAT = "xcat"
	formatOCI  = "oci"
)

// imgexport is what the options of imgexport fill.
type imgexport struct {
	e                               *env
	dir, postscripts, host, format  string
	extras                          []string
	verbose                         bool
	name, destination, file, remote string // what the arguments say
}

func newImgexportCommand(e *env) *cli.Command {
	c := &imgexport{e: e}
	flags := pflag.NewFlagSet("imgexport", pflag.ContinueOnError)
	flags.StringArrayVarP(&c.extras, "extra", "e", nil, "a further `FILE[:DIR]`, or directory, and where it goes when it is imported (default: where it is); may be repeated")
	flags.StringVarP(&c.postscripts, "postscripts", "p", "", "the postscripts of `NODE`, of which rootcast knows none: an error")
	flags.StringVarP(&c.host, "remotehost", "R", "", "copy the bundle to `USER@HOST` by scp; DESTINATION is there")
	flags.BoolVarP(&c.verbose, "verbose", "v", false, "name each file")
	flags.StringVar(&c.format, "format", "", "`FORMAT` of the bundle: xcat or oci (default: by DESTINATION's ending, else xcat)")
	flags.StringVar(&c.dir, "osimages", "", osimagesUsage)
	x := &xcatCommand{
		name: "imgexport", usage: "put an osimage with its files into a bundle, as xCAT does", arguments: "NAME [DESTINATION] [OPTIONS]",
		description: imgexportDescription, flags: flags, run: c.run,
	}
	return x.command(e)
}

// errNodeTable is about options for xCAT's tables of nodes.
func errNodeTable(command, option string) error {
	return usageErrorf("%s: %s is for the postscripts of nodes, which xCAT keeps in a table; rootcast has no nodes: an osimage's own are its attributes postscripts and postbootscripts", command, option)
}

func (c *imgexport) run(ctx context.Context, args []string) error {
	if err := c.check(args); err != nil {
		return err
	}
	extras, err := c.extra()
	if err != nil {
		return err
	}
	d, err := load(catalog(c.dir), c.name)
	if err != nil {
		return err
	}
	if err := exportable(d); err != nil {
		return err
	}
	write := c.writeXCAT
	if c.format == formatOCI {
		write = c.writeOCI
	}
	if c.host == "" {
		if err := write(ctx, d, extras, c.file); err != nil {
			return err
		}
		return c.e.printLine(c.file)
	}
	temp, err := os.MkdirTemp(tempDir(), "imgexport-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	file := filepath.Join(temp, "bundle")
	if err := write(ctx, d, extras, file); err != nil {
		return err
	}
	c.e.say("copying the bundle to %s", c.remote)
	if err := scp(ctx, file, c.remote); err != nil {
		return err
	}
	return c.e.printLine(c.remote)
}

// check finds what is wrong with the command line.
func (c *imgexport) check(args []string) error {
	switch {
	case c.postscripts != "":
		return errNodeTable("imgexport", "-p")
	case len(args) == 0:
		return usageErrorf("imgexport: which osimage? see imgexport --help")
	case len(args) > 2:
		return usageErrorf("imgexport: unexpected argument %q; see imgexport --help", args[2])
	}
	c.name = args[0]
	if len(args) == 2 {
		c.destination = args[1]
	}
	if err := osimage.CheckName(c.name); err != nil {
		return usageErrorf("imgexport: %v", err)
	}
	isOCI := strings.HasSuffix(c.destination, ".oci") || strings.HasSuffix(c.destination, ".oci.tar")
	switch {
	case c.format == "" && isOCI:
		c.format = formatOCI
	case c.format == "":
		c.format = formatXCAT
	case c.format != formatXCAT && c.format != formatOCI:
		return usageErrorf("imgexport: --format %q is neither xcat nor oci", c.format)
	}
	return c.place()
}

// place finds where the bundle goes.
func (c *imgexport) place() error {
	name := c.name + ".tgz"
	if c.format == formatOCI {
		name = c.name + ".oci.tar"
	}
	file := either(c.destination, name)
	if c.host != "" {
		if strings.HasSuffix(file, "/") {
			file += name
		}
		c.remote = c.host + ":" + file
		return checkRemote("imgexport", c.host, file)
	}
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		file = filepath.Join(file, name)
	} else if strings.HasSuffix(file, "/") {
		return fmt.Errorf("imgexport: there is no directory %s", file)
	}
	var err error
	c.file, err = filepath.Abs(file)
	return err
}

// extra is what -e asks for.
func (c *imgexport) extra() (list []bundle.Extra, err error) {
	for _, text := range c.extras {
		src, dest, _ := strings.Cut(text, ":")
		if src == "" || strings.Contains(dest, ":") {
			return nil, usageErrorf("imgexport: -e %q is not FILE:DIR", text)
		}
		if src, err = filepath.Abs(src); err != nil {
			return nil, err
		}
		info, err := os.Stat(src)
		switch {
		case err != nil:
			return nil, fmt.Errorf("imgexport: -e %s: %w", text, err)
		case dest == "" && info.IsDir():
			dest = src
		case dest == "":
			dest = filepath.Dir(src)
		case !filepath.IsAbs(dest):
			return nil, usageErrorf("imgexport: -e %s: the directory %q is not an absolute path, and is on the machine that imports it", text, dest)
		}
		list = append(list, bundle.Extra{Src: src, Dest: filepath.Clean(dest)})
	}
	return list, nil
}

// exportable refuses, as xCAT does, a definition that says too little.
func exportable(d *osimage.Definition) error {
	for _, name := range []string{"provmethod", "profile", "osvers", "osarch"} {
		if d.Get(name) == "" {
			return fmt.Errorf("the attribute %s is not set for osimage %s; set it by chdef -t osimage -o %s %s=VALUE", name, d.Name, d.Name, name)
		}
	}
	switch method := d.Get("provmethod"); method {
	case "netboot", "statelite", "install":
		return nil
	default:
		return fmt.Errorf("exporting osimage %s: provmethod %s is not supported; netboot, statelite and install are", d.Name, method)
	}
}

func (c *imgexport) writeXCAT(ctx context.Context, d *osimage.Definition, extras []bundle.Extra, file string) error {
	temp, err := os.MkdirTemp(tempDir(), "imgexport-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	sources, err := c.sources(ctx, d, temp)
	if err != nil {
		return err
	}
	sources.Extras = extras
	plan, err := bundle.New(d, sources)
	if err != nil {
		return err
	}
	return c.save(file, func(f *os.File) error { return c.writePlan(ctx, plan, f) })
}

func (c *imgexport) writePlan(ctx context.Context, plan *bundle.Plan, f *os.File) error {
	if c.verbose {
		for _, name := range plan.Files() {
			c.e.say("%s", name)
		}
	}
	p := c.e.newProgress()
	defer p.finish()
	return plan.Write(ctx, f, func(done, total int64) { p.report("bundling "+c.name, done, total) })
}

// save writes a file, all or nothing.
func (c *imgexport) save(file string, write func(f *os.File) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return fmt.Errorf("writing the bundle: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	err = write(f)
	if err == nil {
		err = errors.Join(f.Chmod(bundleMode), f.Sync())
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if info, err := os.Stat(f.Name()); err == nil {
		c.e.say("%s: %s", filepath.Base(file), units.BytesSize(float64(info.Size())))
	}
	return os.Rename(f.Name(), file)
}

// bundleMode is for the owner alone: a root image holds what synclists brought, the
// hash of a password among it.
const bundleMode fs.FileMode = 0o600

// writeOCI writes the image of the store with the definition.
func (c *imgexport) writeOCI(ctx context.Context, d *osimage.Definition, extras []bundle.Extra, file string) error {
	plan, err := bundle.New(d, bundle.Sources{Extras: extras})
	if err != nil {
		return err
	}
	store, err := c.e.openStore()
	if err != nil {
		return err
	}
	name, err := c.e.builtImage(ctx, d)
	if err != nil {
		return fmt.Errorf("exporting %w", err)
	}
	temp, err := os.MkdirTemp(tempDir(), "imgexport-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	layout := filepath.Join(temp, "oci")
	_, err = store.Push(ctx, name, "oci:"+layout+":"+name, build.PushOptions{Progress: c.e.reportWriter(), TempDir: os.Getenv("TMPDIR")})
	if err != nil {
		return err
	}
	b, err := os.Create(filepath.Join(temp, "bundle"))
	if err != nil {
		return err
	}
	defer b.Close()
	if err := c.writePlan(ctx, plan, b); err != nil {
		return err
	}
	if _, err := b.Seek(0, 0); err != nil {
		return err
	}
	root, err := os.OpenRoot(layout)
	if err != nil {
		return err
	}
	defer root.Close()
	return c.save(file, func(f *os.File) error {
		p := c.e.newProgress()
		defer p.finish()
		return bundle.WriteOCI(ctx, f, root, b, func(done, total int64) { p.report("writing the OCI archive", done, total) })
	})
}
