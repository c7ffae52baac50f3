package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/convert/exlist"
	"github.com/rootcast/rootcast/convert/report"
)

const reportDescription = `Shows what the bytes of an image, or of a rootimgdir's packed root, are spent
on: by layer, package, directory, and the largest files. It says what could be
saved: files of a layer that a later layer replaces or removes are shipped for
nothing. The packages are read from the databases of dpkg and rpm; nothing of
the image is run.

   rootcast report localhost/compute:1
   rootcast report /srv/boot/compute
   rootcast report --exlist recipes/debian12/compute/exlist localhost/compute:1
   rootcast report --html compute.html docker://registry.example/compute:1
   rootcast report --json localhost/compute:1 | jq '.packages[:5]'

The page of --html needs nothing but a browser: a map of directories, packages
and layers to click into.`

// reportCmd is what the flags of rootcast report fill.
type reportCmd struct {
	e        *env
	registry registryFlags
	platform string
	exlists  cli.StringSlice
	top      int
	json     bool
	html     resultFile
}

func newReportCommand(e *env) *cli.Command {
	c := &reportCmd{e: e, html: resultFile{flag: "html"}}
	return &cli.Command{
		Name:        "report",
		Usage:       "show what takes how much in an image or a rootimgdir",
		ArgsUsage:   "IMAGE|DIR",
		Description: reportDescription,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "platform", Usage: "take the image for `OS/ARCH[/VARIANT]` of an index", Destination: &c.platform},
			&cli.StringSliceFlag{Name: "exlist", Usage: "leave out what the exclude list in `FILE` names, as convert would; may be repeated", Destination: &c.exlists},
			&cli.IntFlag{Name: "top", Usage: "show the `N` largest packages, directories and files", Value: report.DefaultTop, Destination: &c.top},
			&cli.BoolFlag{Name: "json", Usage: "print all of it for programs", Destination: &c.json, DisableDefaultText: true},
			&cli.StringFlag{Name: "html", Usage: "write a page with a map to click into to `FILE`, and print its name instead of the tables", Destination: &c.html.name},
		}, c.registry.flags()...),
		Action: action(e, "IMAGE|DIR", 1, 1, c.run),
	}
}

func (c *reportCmd) run(ctx context.Context, args []string) error {
	if c.top < 1 {
		return usageErrorf("--top %d: at least 1", c.top)
	}
	if err := c.html.check(); err != nil {
		return err
	}
	exclude, err := exlist.Read(c.exlists.Value()...)
	if err != nil {
		return err
	}
	reg, err := c.registry.registry()
	if err != nil {
		return err
	}
	src, err := c.e.openSource(ctx, args[0], reg, c.platform)
	if err != nil {
		return err
	}
	defer src.Close() //nolint:errcheck // its files were only read
	o := report.Options{Name: src.name, Layers: src.layers, Top: c.top, TempDir: tempDir()}
	if len(c.exlists.Value()) > 0 {
		o.Drop = exclude.Drops
	}
	r, err := report.Build(ctx, src.tree, o)
	if err != nil {
		return fmt.Errorf("looking through %s: %w", args[0], err)
	}
	return c.print(r)
}

func (c *reportCmd) print(r *report.Report) error {
	if c.html.name != "" {
		var b strings.Builder
		if err := r.WriteHTML(&b); err != nil {
			return err
		}
		if err := c.html.write(b.String()); err != nil {
			return err
		}
	}
	switch {
	case c.json:
		return printJSON(c.e.stdout, r)
	case c.html.name == "/dev/stdout": // the page is what it carries
		return nil
	case c.html.name != "":
		_, err := fmt.Fprintln(c.e.stdout, c.html.name)
		return err
	}
	return r.WriteTable(c.e.stdout, c.top)
}
