package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
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

	refused map[string]string // options that xCAT has and rootcast has not, and why
}

// xcatNames are the names of xCAT's commands, by which rootcast may be called
// through links.
func xcatNames() []string {
	return []string{"lsdef", "mkdef", "chdef", "rmdef", "copycds", "genimage", "packimage", "liteimg", "rmimage", "imgexport", "imgimport"}
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
		SkipFlagParsing:    true,
		CustomHelpTemplate: "{{" + strconv.Quote(c.help()) + "}}", // a template that says c.help() as it is
		Action: func(ctx *cli.Context) error {
			if err := c.flags.Parse(ctx.Args().Slice()); err != nil {
				return c.badFlag(err)
			}
			if *help {
				_, err := io.WriteString(e.stdout, c.help())
				return err
			}
			if err := c.refuseOptions(); err != nil {
				return err
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

// refuse has the option called name, which takes a value or not, end in an error that
// says why it is none here.
func (c *xcatCommand) refuse(name, short string, takesValue bool, why string) {
	if takesValue {
		c.flags.StringArrayP(name, short, nil, why)
	} else {
		c.flags.BoolP(name, short, false, why)
	}
	c.flags.Lookup(name).Hidden = true
	if c.refused == nil {
		c.refused = map[string]string{}
	}
	c.refused[name] = why
}

func (c *xcatCommand) refuseOptions() (err error) {
	c.flags.Visit(func(f *pflag.Flag) {
		if why, ok := c.refused[f.Name]; ok && err == nil {
			err = usageErrorf("%s: -%s %s", c.name, f.Shorthand, why)
		}
	})
	return err
}

// help is what --help and rootcast help print.
func (c *xcatCommand) help() string {
	description := strings.ReplaceAll(c.description, "\n", "\n   ")
	return fmt.Sprintf("NAME:\n   rootcast %s - %s\n\nUSAGE:\n   %s %s\n\nDESCRIPTION:\n   %s\n\nOPTIONS:\n%s",
		c.name, c.usage, c.name, c.arguments, strings.ReplaceAll(description, "\n   \n", "\n\n"), c.flags.FlagUsages())
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
