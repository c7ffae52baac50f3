package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build/osimage"
)

const lsdefDescription = `Shows osimage definitions as xCAT's lsdef does: without a name what there is, with
names, or -l, all that is set.

   lsdef -t osimage
   lsdef -t osimage debian12-x86_64-netboot-compute
   lsdef -t osimage -w osarch==aarch64 -w profile=~comp -i pkglist,rootimgdir -c
   lsdef -t osimage -z A | sed 's/^[^ ]\+:/B:/' | mkdef -z`

// lsdef is what the options of lsdef fill.
type lsdef struct {
	e *env
	objects
	long, short, stanza, compress, all, verbose, templates bool
	attributes                                             string
	where                                                  []string
}

func newLsdefCommand(e *env) *cli.Command {
	c := &lsdef{e: e}
	flags := pflag.NewFlagSet("lsdef", pflag.ContinueOnError)
	c.add(flags)
	flags.BoolVarP(&c.all, "all", "a", false, "all objects, with what is set of each")
	flags.BoolVarP(&c.long, "long", "l", false, "all that is set")
	flags.BoolVarP(&c.short, "short", "s", false, "names alone")
	flags.StringVarP(&c.attributes, "attributes", "i", "", "`NAMES` of attributes, with commas between them, set or not")
	flags.BoolVarP(&c.compress, "compress", "c", false, "with -i: the object's name before each attribute")
	flags.BoolVarP(&c.stanza, "stanza", "z", false, "as a stanza file, which mkdef -z reads")
	flags.StringArrayVarP(&c.where, "where", "w", nil, "objects for which `CONDITION` holds: ATTRIBUTE==VALUE, !=, =~ and !~ with a pattern; may be repeated")
	flags.BoolVar(&c.templates, "template", false, "the templates that mkdef --template takes, rootcast's profiles, instead of objects")
	flags.BoolVarP(&c.verbose, "verbose", "V", false, "where xCAT keeps each attribute")
	x := &xcatCommand{
		name: "lsdef", usage: "show osimage definitions, as xCAT does", arguments: "[-t osimage] [OPTIONS] [NAME,...]",
		description: lsdefDescription, flags: flags, run: c.run,
	}
	return x.command(e)
}

func (c *lsdef) run(_ context.Context, args []string) error {
	names, assignments, err := c.list("lsdef", args)
	if err != nil {
		return err
	}
	if assignments != nil {
		return usageErrorf("lsdef changes nothing; %s is for chdef", assignments[0])
	}
	listing, filters, err := c.parse(names)
	if err != nil {
		return err
	}
	list, failed := c.objectsOf(names)
	var shown []*osimage.Definition
	for _, d := range list {
		if holds(filters, d) {
			shown = append(shown, d)
		}
	}
	switch {
	case len(shown) == 0 && failed != nil:
		return failed
	case len(shown) == 0:
		c.e.say("Could not find any objects of type 'osimage'.")
		return nil
	}
	return errors.Join(osimage.WriteListing(c.e.stdout, listing, shown...), failed)
}

// objectsOf are the definitions, or the templates, of the names.
func (c *lsdef) objectsOf(names []string) ([]*osimage.Definition, error) {
	if !c.templates {
		return definitions(catalog(c.dir), names)
	}
	all, err := templates()
	if err != nil || len(names) == 0 {
		return all, err
	}
	var list []*osimage.Definition
	var failed []error
	for _, name := range names {
		i := slices.IndexFunc(all, func(d *osimage.Definition) bool { return d.Name == name })
		if i < 0 {
			failed = append(failed, missing(name))
			continue
		}
		list = append(list, all[i])
	}
	return list, errors.Join(failed...)
}

func holds(filters []osimage.Filter, d *osimage.Definition) bool {
	for _, f := range filters {
		if !f.Holds(d) {
			return false
		}
	}
	return true
}

// parse checks the options before anything is read.
func (c *lsdef) parse(names []string) (osimage.Listing, []osimage.Filter, error) {
	l := osimage.Listing{Stanza: c.stanza, Compress: c.compress, Where: c.verbose}
	var filters []osimage.Filter
	if c.attributes != "" {
		for name := range strings.SplitSeq(c.attributes, ",") {
			if _, ok := osimage.FindAttribute(name); !ok {
				return l, nil, &osimage.AttributeError{Name: name}
			}
			l.Attributes = append(l.Attributes, name)
		}
	}
	switch {
	case c.compress && (l.Attributes == nil || c.stanza):
		return l, nil, usageErrorf("lsdef: -c goes with -i, and not with -z")
	case c.short && (c.long || c.stanza || l.Attributes != nil):
		return l, nil, usageErrorf("lsdef: -s shows names alone; it goes neither with -l nor with -i or -z")
	}
	for _, text := range c.where {
		f, err := osimage.ParseFilter(text)
		if err != nil {
			return l, nil, usageErrorf("lsdef: -w %v", err)
		}
		filters = append(filters, f)
	}
	l.Short = c.short || !c.long && !c.all && l.Attributes == nil && len(names) == 0
	return l, filters, nil
}
