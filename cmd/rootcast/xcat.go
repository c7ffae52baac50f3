package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"github.com/urfave/cli/v2"
)

// xcatCommand is a command with the name and the command line of xCAT's: options
// may stand behind arguments, and short ones together, as Getopt::Long takes them.
// The library for all other commands knows neither; pflag does both.
type xcatCommand struct {
	name, usage, arguments, description string

	flags *pflag.FlagSet
	run   func(ctx context.Context, args []string) error
}

// xcatNames are the names of xCAT's commands, by which rootcast may be called
// through links.
func xcatNames() []string {
	return []string{"lsdef", "mkdef", "chdef", "rmdef", "genimage", "packimage"}
}

// byLink puts the command into args if rootcast was called by the name of one of
// xCAT's commands.
func byLink(args []string) []string {
	if len(args) == 0 {
		return args
	}
	if name := filepath.Base(args[0]); slices.Contains(xcatNames(), name) {
		return append([]string{"rootcast", name}, args[1:]...)
	}
	return args
}

// command adapts c to the command line's library.
func (c *xcatCommand) command(e *env) *cli.Command {
	c.flags.SortFlags = false
	help := c.flags.BoolP("help", "h", false, "print this and exit")
	return &cli.Command{
		Name: c.name, Usage: c.usage, ArgsUsage: c.arguments, Description: c.description,
		SkipFlagParsing: true,
		Action: func(ctx *cli.Context) error {
			if err := c.flags.Parse(ctx.Args().Slice()); err != nil {
				return c.badFlag(err)
			}
			if *help {
				return c.printHelp(e)
			}
			e.setUpLog()
			return c.run(ctx.Context, c.flags.Args())
		},
	}
}

// badFlag names the nearest option that there is.
func (c *xcatCommand) badFlag(err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usageErrorf("%s: %v; see %s --help", c.name, err, c.name)
	}
	var flags []cli.Flag
	c.flags.VisitAll(func(f *pflag.Flag) { flags = append(flags, &cli.BoolFlag{Name: f.Name}) })
	name := unknown.GetSpecifiedName()
	if unknown.GetSpecifiedShortnames() != "" {
		return usageErrorf("%s: unknown option -%s; see %s --help", c.name, name, c.name)
	}
	if near := strings.TrimLeft(cli.SuggestFlag(flags, name, true), "-"); near != "" {
		return usageErrorf("%s: unknown option --%s; did you mean --%s?", c.name, name, near)
	}
	return usageErrorf("%s: unknown option --%s; see %s --help", c.name, name, c.name)
}

func (c *xcatCommand) printHelp(e *env) error {
	description := strings.ReplaceAll(c.description, "\n", "\n   ")
	_, err := fmt.Fprintf(e.stdout, "NAME:\n   rootcast %s - %s\n\nUSAGE:\n   %s %s\n\nDESCRIPTION:\n   %s\n\nOPTIONS:\n%s",
		c.name, c.usage, c.name, c.arguments, strings.ReplaceAll(description, "\n   \n", "\n\n"), c.flags.FlagUsages())
	return err
}

// objects is what all of xCAT's commands on definitions take.
type objects struct {
	kind, names, dir string
}

func (o *objects) add(flags *pflag.FlagSet) {
	flags.StringVarP(&o.kind, "type", "t", "osimage", "objects of `TYPE`: there are osimages alone")
	flags.StringVarP(&o.names, "objects", "o", "", "the objects called `NAMES`, with commas between them")
	flags.StringVar(&o.dir, "osimages", "", osimagesUsage)
}

// list returns the objects that -o and the first argument without = name, and
// the arguments ATTRIBUTE=VALUE.
func (o *objects) list(command string, args []string) (names, assignments []string, err error) {
	if o.kind != "osimage" {
		return nil, nil, usageErrorf("%s: there are no objects of type %q here, but of type osimage", command, o.kind)
	}
	named := o.names
	for i, arg := range args {
		switch {
		case strings.Contains(arg, "="):
			assignments = append(assignments, arg)
		case i == 0 && named == "":
			named = arg
		default:
			return nil, nil, usageErrorf("%s: unexpected argument %q; see %s --help", command, arg, command)
		}
	}
	for name := range strings.SplitSeq(named, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names, assignments, nil
}
