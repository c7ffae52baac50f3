package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/pflag"
	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build/osimage"
)

const chdefDescription = `Changes osimage definitions, as xCAT's chdef does; what there is not yet is made.
ATTRIBUTE= without a value unsets it. Comments of the file stay.

   chdef -t osimage -o compute rootimgdir=/srv/boot/compute addkcmdline="quiet console=ttyS0,115200"
   chdef -t osimage -o compute -p pkglist=/srv/osimages/infiniband.pkglist
   chdef -t osimage -o compute -m exlist=/srv/osimages/small.exlist
   chdef -t osimage -o compute -n compute-2026`

// chdef is what the options of chdef fill.
type chdef struct {
	e *env
	objects
	stanza, plus, minus, verbose, fill bool
	rename, installdir                 string
}

func newChdefCommand(e *env) *cli.Command {
	c := &chdef{e: e}
	flags := pflag.NewFlagSet("chdef", pflag.ContinueOnError)
	c.add(flags)
	flags.StringVarP(&c.rename, "newname", "n", "", "call the object `NAME`")
	flags.BoolVarP(&c.plus, "plus", "p", false, "add the values to the lists that there are")
	flags.BoolVarP(&c.minus, "minus", "m", false, "take the values out of the lists that there are")
	flags.BoolVarP(&c.stanza, "stanza", "z", false, "read stanzas from standard input")
	flags.BoolVarP(&c.fill, "update", "u", false, "find lists, scripts and directories anew, as mkdef -u does")
	flags.StringVar(&c.installdir, "installdir", defaultInstalldir, "with -u: xCAT's `INSTALLDIR`")
	flags.BoolVarP(&c.verbose, "verbose", "V", false, "say which file each definition is in")
	x := &xcatCommand{
		name: "chdef", usage: "change osimage definitions, as xCAT does", arguments: "[-t osimage] [-o] NAME,... [OPTIONS] ATTRIBUTE=VALUE...",
		description: chdefDescription, flags: flags, run: c.run,
	}
	x.refuse("where", "w", true, "chooses the nodes of a group; there are osimages alone, and lsdef -w lists those for which a condition holds")
	return x.command(e)
}

func (c *chdef) run(_ context.Context, args []string) error {
	how := osimage.Assign
	switch {
	case c.fill && (c.plus || c.minus || c.rename != ""):
		return usageErrorf("chdef: -u goes neither with -p and -m nor with -n")
	case c.plus && c.minus:
		return usageErrorf("chdef: -p adds and -m takes away; it is one or the other")
	case c.plus:
		how = osimage.Add
	case c.minus:
		how = osimage.Subtract
	}
	stanzas, err := c.read("chdef", args, c.stanza, c.e)
	if err != nil {
		return err
	}
	into := catalog(c.dir)
	unlock, err := into.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	if c.rename != "" {
		return c.renameTo(into, stanzas)
	}
	var list []*osimage.Definition
	var made []string
	for _, s := range stanzas {
		d, err := into.Load(s.Name)
		if errors.Is(err, osimage.ErrNotExist) {
			d, err = &osimage.Definition{Name: s.Name}, nil
			made = append(made, s.Name)
		}
		if err == nil && c.fill {
			s, err = c.filled(into, d, s)
		}
		if err == nil {
			err = assign(d, s, how)
		}
		if err != nil {
			return err
		}
		list = append(list, d)
	}
	if err := c.e.saveDefinitions(into, list); err != nil {
		return err
	}
	if err := c.e.sayChanged(len(list)); err != nil {
		return err
	}
	c.e.sayFiles(c.verbose, list)
	for _, name := range made {
		if _, err := fmt.Fprintf(c.e.stdout, "New object definitions '%s' have been created.\n", name); err != nil {
			return err
		}
	}
	return nil
}

// filled puts before what a stanza says what the profile implies, which it or the
// definition names.
func (c *chdef) filled(into osimage.Catalog, d *osimage.Definition, s osimage.Stanza) (osimage.Stanza, error) {
	find := &mkdef{e: c.e, installdir: c.installdir}
	target := osimage.Stanza{Name: s.Name, Assignments: append(assignmentsOf(d, []string{"osvers", "osarch", "profile", "provmethod"}), s.Assignments...)}
	filled, err := find.filled(into, target)
	if err != nil {
		return s, fmt.Errorf("chdef -u %s: %w", s.Name, err)
	}
	s.Assignments = append(filled, s.Assignments...)
	return s, nil
}

// renameTo gives the one object a new name.
func (c *chdef) renameTo(into osimage.Catalog, stanzas []osimage.Stanza) error {
	if len(stanzas) != 1 || stanzas[0].Assignments != nil {
		return usageErrorf("chdef: -n takes one object and changes nothing but its name")
	}
	old, err := load(into, stanzas[0].Name)
	if err != nil {
		return err
	}
	if err := into.Rename(old, c.rename); err != nil {
		return err
	}
	return c.e.sayChanged(1)
}
