package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build/osimage"
)

const osimageDescription = `An osimage says in a YAML file what is in an image and where what nodes boot from
goes, with xCAT's attribute names. The file is called after it, NAME.yaml, and
lies in ~/.config/rootcast/osimages or /etc/rootcast/osimages, or in the directory
of --osimages or $ROOTCAST_OSIMAGES, which may be a clone of a git repository.
Files that it names may be relative to its own directory.

   osvers: debian12
   osarch: x86_64
   provmethod: netboot
   profile: compute
   pkglist: compute.pkglist
   rootimgdir: /srv/boot/compute

   lsdef -t osimage -z | rootcast osimage import      (on a machine that has xCAT)
   rootcast osimage lint
   rootcast osimage copy compute big pkglist=big.pkglist rootimgdir=/srv/boot/big

lsdef, mkdef, chdef and rmdef do the same in xCAT's words.`

func newOsimageCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:        "osimage",
		Usage:       "show, make and check definitions of images",
		Description: osimageDescription,
		Subcommands: []*cli.Command{
			newOsimageListCommand(e), newOsimageShowCommand(e), newOsimageCreateCommand(e), newOsimageCopyCommand(e),
			newOsimageEditCommand(e), newOsimageRemoveCommand(e), newOsimageLintCommand(e), newOsimageRenderCommand(e),
			newOsimageImportCommand(e), newOsimageExportCommand(e),
		},
		Action: func(c *cli.Context) error {
			if name := c.Args().First(); name != "" {
				return usageErrorf("osimage has no command %q; see rootcast osimage --help", name)
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

// osimageCommand is what every command on definitions has.
type osimageCommand struct {
	*env
	dir         string
	json, force bool
}

func (c *osimageCommand) dirFlag() cli.Flag {
	return &cli.StringFlag{Name: "osimages", Usage: osimagesUsage, Destination: &c.dir}
}

func (c *osimageCommand) jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "print all of it for programs", Destination: &c.json, DisableDefaultText: true}
}

func newOsimageListCommand(e *env) *cli.Command {
	c := &osimageCommand{env: e}
	return &cli.Command{
		Name:        "list",
		Usage:       "list definitions",
		Description: "Lists the definitions that there are, with what they are for.\n\n   rootcast osimage list",
		Flags:       []cli.Flag{c.dirFlag(), c.jsonFlag()},
		Action:      action(e, "", 0, 0, c.list),
	}
}

// osimageJSON is a definition for programs.
type osimageJSON struct {
	Name       string            `json:"name"`
	File       string            `json:"file"`
	Digest     string            `json:"digest,omitempty"`
	Attributes map[string]string `json:"attributes"`
	Files      []string          `json:"files,omitempty"`
}

func newOsimageJSON(d *osimage.Definition) osimageJSON {
	j := osimageJSON{Name: d.Name, File: d.Path, Attributes: map[string]string{}}
	for _, name := range d.Attributes() {
		j.Attributes[name] = d.Get(name)
	}
	return j
}

func (c *osimageCommand) list(context.Context, []string) error {
	all, failed := catalog(c.dir).All()
	if c.json {
		list := []osimageJSON{}
		for _, d := range all {
			list = append(list, newOsimageJSON(d))
		}
		return errors.Join(printJSON(c.stdout, list), failed)
	}
	table := tabwriter.NewWriter(c.stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "NAME\tOSVERS\tARCH\tMETHOD\tPROFILE\tROOTIMGDIR")
	for _, d := range all {
		row := []string{d.Name}
		for _, name := range []string{"osvers", "osarch", "provmethod", "profile", "rootimgdir"} {
			row = append(row, either(d.Get(name), "-"))
		}
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	return errors.Join(table.Flush(), failed)
}

func newOsimageShowCommand(e *env) *cli.Command {
	c := &osimageCommand{env: e}
	return &cli.Command{
		Name:      "show",
		Usage:     "show a definition",
		ArgsUsage: "NAME",
		Description: `Shows a definition as its file has it; with --json also the files that the image
is made from and the digest that covers the definition and all of them.

   rootcast osimage show compute
   rootcast osimage show --json compute | jq -r .digest`,
		Flags:  []cli.Flag{c.dirFlag(), c.jsonFlag()},
		Action: action(e, "NAME", 1, 1, c.show),
	}
}

func (c *osimageCommand) show(_ context.Context, args []string) error {
	d, err := catalog(c.dir).Load(args[0])
	if err != nil {
		return err
	}
	if !c.json {
		text, err := os.ReadFile(d.Path)
		if err != nil {
			return fmt.Errorf("reading osimage %s: %w", d.Name, err)
		}
		_, err = c.stdout.Write(text)
		return err
	}
	j := newOsimageJSON(d)
	sum, err := d.Digest()
	if err != nil {
		return err
	}
	j.Digest = sum.String()
	if j.Files, err = d.References(); err != nil {
		return err
	}
	return printJSON(c.stdout, j)
}

func newOsimageCreateCommand(e *env) *cli.Command {
	c := &osimageCommand{env: e}
	return &cli.Command{
		Name:      "create",
		Usage:     "make a definition",
		ArgsUsage: "NAME ATTRIBUTE=VALUE...",
		Description: "Makes a definition and prints the file that holds it. Paths that are relative are\nmeant from the working directory.\n\n" +
			"   rootcast osimage create compute osvers=debian12 osarch=x86_64 provmethod=netboot profile=compute pkglist=compute.pkglist\n\nAttributes:\n\n" + attributeHelp(),
		Flags: []cli.Flag{
			c.dirFlag(),
			&cli.BoolFlag{Name: "force", Aliases: []string{"f"}, Usage: "replace a definition of that name", Destination: &c.force, DisableDefaultText: true},
		},
		Action: action(e, "NAME ATTRIBUTE=VALUE...", 2, -1, c.create),
	}
}

// attributeHelp lists the attributes and what they are.
func attributeHelp() string {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	for _, a := range osimage.Attributes() {
		usage := a.Usage
		if a.Kind == osimage.Word && len(a.Values) > 1 {
			usage += ": " + strings.Join(a.Values, ", ")
		}
		fmt.Fprintf(table, "   %s\t%s\n", a.Name, usage)
	}
	_ = table.Flush() // into memory
	return strings.TrimRight(b.String(), "\n")
}

func (c *osimageCommand) create(_ context.Context, args []string) error {
	return c.define(&osimage.Definition{}, args[0], args[1:])
}

// define saves what base and the assignments say, under a name.
func (c *osimageCommand) define(base *osimage.Definition, name string, assignments []string) error {
	if err := osimage.CheckName(name); err != nil {
		return usageErrorf("%v", err)
	}
	s, err := stanzaOf(name, assignments)
	if err != nil {
		return err
	}
	return c.save(base, s)
}

// save makes definitions of stanzas and prints the files that hold them.
func (c *osimageCommand) save(base *osimage.Definition, stanzas ...osimage.Stanza) error {
	list, err := c.makeDefinitions(catalog(c.dir), base, stanzas, c.force)
	if err != nil {
		return err
	}
	for _, d := range list {
		if _, err := fmt.Fprintln(c.stdout, d.Path); err != nil {
			return err
		}
	}
	return nil
}

func newOsimageCopyCommand(e *env) *cli.Command {
	c := &osimageCommand{env: e}
	return &cli.Command{
		Name:      "copy",
		Usage:     "make a definition like another",
		ArgsUsage: "FROM NAME [ATTRIBUTE=VALUE...]",
		Description: `Makes a definition that says what another says, but for the attributes given, and
prints the file that holds it. It warns where both would have one rootimgdir.

   rootcast osimage copy compute big rootimgdir=/srv/boot/big pkglist=big.pkglist`,
		Flags:  []cli.Flag{c.dirFlag()},
		Action: action(e, "FROM NAME [ATTRIBUTE=VALUE...]", 2, -1, c.copy),
	}
}

func (c *osimageCommand) copy(_ context.Context, args []string) error {
	base, err := catalog(c.dir).Load(args[0])
	if err != nil {
		return err
	}
	return c.define(base, args[1], args[2:])
}

func newOsimageRemoveCommand(e *env) *cli.Command {
	c := &osimageCommand{env: e}
	return &cli.Command{
		Name:      "remove",
		Usage:     "remove definitions",
		ArgsUsage: "NAME...",
		Description: `Removes definitions. Images, rootimgdirs and the files that they name stay.

   rootcast osimage remove big`,
		Flags: []cli.Flag{c.dirFlag()},
		Action: action(e, "NAME...", 1, -1, func(_ context.Context, args []string) error {
			var failed []error
			for _, name := range args {
				failed = append(failed, removeDefinition(catalog(c.dir), name))
			}
			return errors.Join(failed...)
		}),
	}
}

func newOsimageImportCommand(e *env) *cli.Command {
	c := &osimageCommand{env: e}
	return &cli.Command{
		Name:      "import",
		Usage:     "take over definitions of xCAT",
		ArgsUsage: "[FILE...]",
		Description: `Makes definitions of what lsdef -z printed, out of files or of standard input, all
of them or none, and prints the files that hold them.

   lsdef -t osimage -z | ssh mgmt rootcast osimage import
   rootcast osimage import --force site.stanza`,
		Flags: []cli.Flag{
			c.dirFlag(),
			&cli.BoolFlag{Name: "force", Aliases: []string{"f"}, Usage: "replace definitions that there are", Destination: &c.force, DisableDefaultText: true},
		},
		Action: action(e, "[FILE...]", 0, -1, c.importStanzas),
	}
}

func (c *osimageCommand) importStanzas(_ context.Context, args []string) error {
	var stanzas []osimage.Stanza
	read := func(from io.Reader, name string) error {
		more, err := osimage.ReadStanzas(from, name)
		stanzas = append(stanzas, more...)
		return err
	}
	if len(args) == 0 {
		if err := read(c.stdin, "standard input"); err != nil {
			return err
		}
	}
	for _, name := range args {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		err = read(f, name)
		f.Close()
		if err != nil {
			return err
		}
	}
	return c.save(&osimage.Definition{}, stanzas...)
}

func newOsimageExportCommand(e *env) *cli.Command {
	c := &osimageCommand{env: e}
	return &cli.Command{
		Name:      "export",
		Usage:     "print definitions for xCAT",
		ArgsUsage: "[NAME...]",
		Description: `Prints definitions, without a name all of them, as a stanza file that xCAT's
mkdef -z reads, without the attributes that xCAT does not have.

   rootcast osimage export compute | ssh mgmt mkdef -z`,
		Flags: []cli.Flag{c.dirFlag()},
		Action: action(e, "[NAME...]", 0, -1, func(_ context.Context, args []string) error {
			list, err := definitions(catalog(c.dir), args)
			if err != nil {
				return err
			}
			return c.export(list)
		}),
	}
}

// export prints definitions without what xCAT would refuse, and says what that is.
func (c *osimageCommand) export(list []*osimage.Definition) error {
	for i, d := range list {
		list[i] = d.Clone(d.Name)
		for _, name := range osimage.Own() {
			if value := d.Get(name); value != "" {
				c.say("note: %s is left out of %s: xCAT has no such attribute", name, d.Name)
				if err := list[i].Set(name, "", "/"); err != nil {
					return err
				}
			}
		}
	}
	return osimage.WriteStanzas(c.stdout, list...)
}
