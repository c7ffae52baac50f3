package main

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"
	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build/osimage"
)

const mkdefDescription = `Makes osimage definitions, as xCAT's mkdef does, from the command line or from
stanzas on standard input. Either all of them are made or none. Paths that are
relative are meant from the working directory.

With -u the attributes that are not given are filled in: lists and scripts of the
profile are looked for as xCAT does, in INSTALLDIR/custom/netboot and then in
/opt/xcat/share/xcat/netboot ($XCATROOT for /opt/xcat); if there is no list of
packages, rootcast's own profiles are copied into a directory of the osimage's
name beside its definition. Without osvers or osarch it is this machine's.

   mkdef -t osimage -o compute osvers=debian12 osarch=x86_64 provmethod=netboot profile=compute pkglist=compute.pkglist
   mkdef compute -u profile=compute provmethod=netboot osvers=rocky9.4 osarch=aarch64
   mkdef compute --template rocky9-compute osvers=rocky9.4 pkgdir=/install/rocky9.4/x86_64
   mkdef -t osimage -o big --template compute rootimgdir=/srv/boot/big
   lsdef -t osimage -z A | sed 's/^[^ ]\+:/B:/' | mkdef -z`

// mkdef is what the options of mkdef fill.
type mkdef struct {
	e *env
	objects
	stanza, force, fill, explain, verbose bool
	template, installdir                  string
}

func newMkdefCommand(e *env) *cli.Command {
	c := &mkdef{e: e}
	flags := pflag.NewFlagSet("mkdef", pflag.ContinueOnError)
	c.add(flags)
	flags.BoolVarP(&c.stanza, "stanza", "z", false, "read stanzas from standard input")
	flags.BoolVarP(&c.force, "force", "f", false, "replace definitions that there are")
	flags.StringVar(&c.template, "template", "", "begin with what `NAME` has, a template of lsdef --template or an osimage")
	flags.BoolVarP(&c.fill, "update", "u", false, "fill in what profile=, provmethod=, osvers= and osarch= imply")
	flags.StringVar(&c.installdir, "installdir", "/install", "with -u: xCAT's `INSTALLDIR`")
	flags.BoolVar(&c.explain, "explain", false, "with -u: say which file is taken and why, and which were looked for")
	flags.BoolVarP(&c.verbose, "verbose", "V", false, "say which file each definition is in")
	x := &xcatCommand{
		name: "mkdef", usage: "make osimage definitions, as xCAT does", arguments: "[-t osimage] [-o] NAME,... [OPTIONS] [ATTRIBUTE=VALUE...]",
		description: mkdefDescription, flags: flags, run: c.run,
	}
	x.refuse("dynamic", "d", false, "makes a dynamic group of nodes; there are osimages alone")
	x.refuse("where", "w", true, "chooses the nodes of a group; there are osimages alone, and lsdef -w lists those for which a condition holds")
	return x.command(e)
}

func (c *mkdef) run(_ context.Context, args []string) error {
	if (c.stanza || c.template != "") && c.fill || c.explain && !c.fill {
		return usageErrorf("mkdef: -u fills in what the command line leaves out; it goes neither with -z nor with --template, and --explain goes with it alone")
	}
	stanzas, err := c.read("mkdef", args, c.stanza, c.e)
	if err != nil {
		return err
	}
	into := catalog(c.dir)
	if c.fill {
		if err := c.fillIn(into, stanzas); err != nil {
			return err
		}
	}
	base := &osimage.Definition{}
	if c.template != "" {
		found, err := c.fromTemplate(into, stanzas)
		if err == nil && !found {
			base, err = load(into, c.template)
		}
		if err != nil {
			return err
		}
	}
	list, err := c.e.makeDefinitions(into, base, stanzas, c.force)
	if err != nil {
		return err
	}
	c.e.sayFiles(c.verbose, list)
	return c.e.sayChanged(len(list))
}

// read returns the stanzas of standard input, or what the command line says as
// stanzas.
func (o *objects) read(command string, args []string, stanza bool, e *env) ([]osimage.Stanza, error) {
	names, assignments, err := o.list(command, args)
	if err != nil {
		return nil, err
	}
	if stanza {
		if names != nil || assignments != nil {
			return nil, usageErrorf("%s: with -z the names and attributes come from standard input", command)
		}
		list, err := osimage.ReadStanzas(e.stdin, "standard input")
		if err == nil && len(list) == 0 {
			err = fmt.Errorf("%s: there are no stanzas on standard input", command)
		}
		return list, err
	}
	if names == nil {
		return nil, usageErrorf("%s: which object? see %s --help", command, command)
	}
	var list []osimage.Stanza
	for _, name := range names {
		s, err := stanzaOf(name, assignments)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}
