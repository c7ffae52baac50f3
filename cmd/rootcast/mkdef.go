package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build/osimage"
)

const mkdefDescription = `Makes osimage definitions, as xCAT's mkdef does, from the command line or from
stanzas on standard input. Either all of them are made or none. Paths that are
relative are meant from the working directory.

   mkdef -t osimage -o compute osvers=debian12 osarch=x86_64 provmethod=netboot profile=compute pkglist=compute.pkglist
   mkdef -t osimage -o big --template compute rootimgdir=/srv/boot/big
   lsdef -t osimage -z A | sed 's/^[^ ]\+:/B:/' | mkdef -z`

// mkdef is what the options of mkdef fill.
type mkdef struct {
	e *env
	objects
	stanza, force bool
	template      string
}

func newMkdefCommand(e *env) *cli.Command {
	c := &mkdef{e: e}
	flags := pflag.NewFlagSet("mkdef", pflag.ContinueOnError)
	c.add(flags)
	flags.BoolVarP(&c.stanza, "stanza", "z", false, "read stanzas from standard input")
	flags.BoolVarP(&c.force, "force", "f", false, "replace definitions that there are")
	flags.StringVar(&c.template, "template", "", "begin with what the osimage `NAME` has")
	x := &xcatCommand{
		name: "mkdef", usage: "make osimage definitions, as xCAT does", arguments: "[-t osimage] [-o] NAME,... [OPTIONS] [ATTRIBUTE=VALUE...]",
		description: mkdefDescription, flags: flags, run: c.run,
	}
	return x.command(e)
}

// exists is what xCAT says, to the letter, of a definition that would be replaced.
type exists string

func (e exists) Error() string {
	return fmt.Sprintf("A definition for '%s' already exists. No changes will be made.  Run again with '-f' option to force replace.", string(e))
}

func (c *mkdef) run(_ context.Context, args []string) error {
	stanzas, err := c.read("mkdef", args, c.stanza, c.e)
	if err != nil {
		return err
	}
	into := catalog(c.dir)
	unlock, err := into.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	base := &osimage.Definition{}
	if c.template != "" {
		if base, err = load(into, c.template); err != nil {
			return err
		}
	}
	var list []*osimage.Definition
	for _, s := range stanzas {
		d, err := c.define(into, base.Clone(s.Name), s)
		if err != nil {
			return err
		}
		list = append(list, d)
	}
	return c.e.saveDefinitions(into, list)
}

// define makes d what the stanza says.
func (c *mkdef) define(into osimage.Catalog, d *osimage.Definition, s osimage.Stanza) (*osimage.Definition, error) {
	if err := osimage.CheckName(d.Name); err != nil {
		return nil, err
	}
	old, err := into.Load(d.Name)
	var unreadable osimage.Problems
	switch {
	case errors.Is(err, osimage.ErrNotExist):
	case err != nil && !errors.As(err, &unreadable):
		return nil, err
	case !c.force:
		return nil, exists(d.Name)
	case old != nil:
		d.Path = old.Path // it takes that one's place
	}
	return d, assign(d, s, osimage.Assign)
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
		s := osimage.Stanza{Name: name}
		for _, text := range assignments {
			attribute, value, _ := strings.Cut(text, "=")
			s.Assignments = append(s.Assignments, osimage.Assignment{Attribute: attribute, Value: value})
		}
		list = append(list, s)
	}
	return list, nil
}

// assign sets what a stanza says; all of its mistakes are in the error.
func assign(d *osimage.Definition, s osimage.Stanza, how osimage.Change) error {
	dir, err := where()
	if err != nil {
		return err
	}
	var failed []error
	for _, a := range s.Assignments {
		err := d.Apply(how, a.Attribute, a.Value, dir)
		var unknown *osimage.AttributeError
		if errors.As(err, &unknown) {
			err = unknownAttribute(a.Attribute)
		}
		if err != nil && a.Line > 0 {
			err = fmt.Errorf("%s:%d: %w", s.File, a.Line, err)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// saveDefinitions writes definitions and says how many, as xCAT does.
func (e *env) saveDefinitions(into osimage.Catalog, list []*osimage.Definition) error {
	if err := into.SaveAll(list); err != nil {
		return err
	}
	e.warnOfSharing(into, list...)
	_, err := fmt.Fprintf(e.stdout, "%d object definitions have been created or modified.\n", len(list))
	return err
}
