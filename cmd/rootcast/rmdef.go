package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/pflag"
	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build/osimage"
)

const rmdefDescription = `Removes osimage definitions, as xCAT's rmdef does. Images, rootimgdirs and the
files that a definition names stay.

   rmdef -t osimage -o compute
   rmdef -t osimage -a -f`

// rmdef is what the options of rmdef fill.
type rmdef struct {
	e *env
	objects
	all, force, verbose bool
}

func newRmdefCommand(e *env) *cli.Command {
	c := &rmdef{e: e}
	flags := pflag.NewFlagSet("rmdef", pflag.ContinueOnError)
	c.add(flags)
	flags.BoolVarP(&c.all, "all", "a", false, "all objects; only with -f")
	flags.BoolVarP(&c.force, "force", "f", false, "with -a: it is really meant")
	flags.BoolVarP(&c.verbose, "verbose", "V", false, "say the name of each that is removed")
	x := &xcatCommand{
		name: "rmdef", usage: "remove osimage definitions, as xCAT does", arguments: "[-t osimage] [-o] NAME,... | -a -f",
		description: rmdefDescription, flags: flags, run: c.run,
	}
	x.refuse("cleanup", "C", false, "takes nodes out of boot and console servers; there are osimages alone, and rmimage removes what one has been made into")
	return x.command(e)
}

func (c *rmdef) run(_ context.Context, args []string) error {
	names, assignments, err := c.list("rmdef", args)
	from := catalog(c.dir)
	switch {
	case err != nil:
		return err
	case assignments != nil:
		return usageErrorf("rmdef: unexpected argument %q; see rmdef --help", assignments[0])
	case c.all != (names == nil):
		return usageErrorf("rmdef: name the objects, or say -a")
	case c.all && !c.force:
		return usageErrorf("rmdef: -a removes every definition; say -f too if that is meant")
	case c.all:
		if names, err = from.Names(); err != nil {
			return err
		}
	}
	unlock, err := from.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	removed, failed := 0, []error{}
	for _, name := range names {
		err := from.Remove(name)
		if errors.Is(err, osimage.ErrNotExist) {
			err = missing(name)
		}
		if err == nil {
			removed++
			if c.verbose {
				c.e.say("removed %s", name)
			}
		}
		failed = append(failed, err)
	}
	if removed == 0 && len(names) == 0 {
		return noneFound{}
	}
	if removed > 0 {
		_, err = fmt.Fprintf(c.e.stdout, "%d object definitions have been removed.\n", removed)
	}
	return errors.Join(append(failed, err)...)
}

// noneFound is what xCAT says, to the letter, where there is nothing to remove.
type noneFound struct{}

func (noneFound) Error() string { return "No object definitions have been found" }
