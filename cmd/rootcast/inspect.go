package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/docker/go-units"
	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/convert"
)

const inspectDescription = `Shows what a node will get from IMAGE: platform, kernels, init, kernel
arguments, size, layers and labels. An image that is not in the local store is
read from its registry or file, without being kept.

   rootcast inspect localhost/compute:1
   rootcast inspect docker://registry.example/compute:1
   rootcast inspect --json oci:/backup/compute | jq .kernels`

// inspectCmd is what the flags of rootcast inspect fill.
type inspectCmd struct {
	e        *env
	registry registryFlags
	platform string
	json     bool
	limit    layerLimit
}

func newInspectCommand(e *env) *cli.Command {
	c := &inspectCmd{e: e}
	return &cli.Command{
		Name:        "inspect",
		Usage:       "show what a node will get from an image",
		ArgsUsage:   "IMAGE",
		Description: inspectDescription,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "platform", Usage: "take the image for `OS/ARCH[/VARIANT]` of an index", Destination: &c.platform},
			&cli.BoolFlag{Name: "json", Usage: "print it for programs", Destination: &c.json, DisableDefaultText: true},
			c.limit.flag(),
		}, c.registry.flags()...),
		Action: action(e, "IMAGE", 1, 1, c.run),
	}
}

func (c *inspectCmd) run(ctx context.Context, args []string) error {
	reg, err := c.registry.registry()
	if err != nil {
		return err
	}
	img, err := c.e.openImage(ctx, args[0], reg, wish{platform: c.platform, limit: c.limit})
	if err != nil {
		return err
	}
	defer img.Close() //nolint:errcheck // its files were only read
	d, err := convert.Describe(ctx, img)
	if err != nil {
		return fmt.Errorf("inspecting %s: %w", args[0], err)
	}
	if c.json {
		return printJSON(c.e.stdout, d)
	}
	return c.print(d)
}

func (c *inspectCmd) print(d *convert.Description) error {
	w := tabwriter.NewWriter(c.e.stdout, 0, 0, 2, ' ', 0)
	row := func(name, value string) { fmt.Fprintf(w, "%s:\t%s\n", name, value) }
	row("Image", d.Name)
	row("ID", d.ID)
	row("Digest", d.Digest)
	row("Platform", d.Platform)
	if d.Created != nil {
		row("Created", d.Created.UTC().Format("2006-01-02 15:04:05 MST"))
	}
	row("Kernels", orNone(strings.Join(d.Kernels, ", ")))
	row("Init", orNone(d.Init))
	row("Arguments", orNone(d.Arguments))
	row("Size", fmt.Sprintf("%s in %d files; layers %s", units.BytesSize(float64(d.Size)), d.Files, units.BytesSize(float64(d.LayerSize))))
	for i, l := range d.Layers {
		row(fmt.Sprintf("Layer %d", i+1), fmt.Sprintf("%s  %s  %s", l.DiffID, units.BytesSize(float64(l.Size)), firstLine(l.CreatedBy)))
	}
	for _, k := range slices.Sorted(maps.Keys(d.Labels)) {
		row("Label "+k, d.Labels[k])
	}
	for _, warning := range d.Warnings {
		row("Warning", warning)
	}
	return w.Flush()
}

func orNone(s string) string { return either(s, "none") }

// firstLine is the start of a build step, as much as a table has room for.
func firstLine(s string) string {
	const room = 60
	s, _, _ = strings.Cut(s, "\n")
	if r := []rune(s); len(r) > room {
		s = string(r[:room-1]) + "…"
	}
	return s
}
