package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build/osimage"
	"github.com/rootcast/rootcast/build/osimage/render"
)

func newOsimageRenderCommand(e *env) *cli.Command {
	c := &osimageCommand{env: e}
	var out, timezone string
	return &cli.Command{
		Name:      "render",
		Usage:     "print the Containerfile that a definition stands for",
		ArgsUsage: "NAME|FILE",
		Description: `Prints the Containerfile that a definition stands for; with -o it writes the whole
build context, which rootcast build and other builders make the image of. The first
lines of the Containerfile say how. Local repositories stay where they are.

   rootcast osimage render compute
   rootcast osimage render -o compute-recipe compute
   rootcast build -t localhost/compute:1 --build-arg BASE=localhost/base/debian:12 compute-recipe`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the build context to the directory `DIR`, which must be empty or new", Destination: &out},
			&cli.StringFlag{Name: "timezone", Usage: "the image's time `ZONE`", Destination: &timezone},
			c.dirFlag(),
		},
		Action: action(e, "NAME|FILE", 1, 1, func(ctx context.Context, args []string) error {
			return c.render(ctx, args[0], out, timezone)
		}),
	}
}

func (c *osimageCommand) render(ctx context.Context, name, out, timezone string) error {
	d, err := c.named(name)
	if err != nil {
		return err
	}
	base := d.Get("baseimage")
	if base == "" {
		b, err := c.bootstrapOf(d, render.CheckAll)
		if err != nil {
			return err
		}
		base = "localhost/base/" + b.Target
		c.say("note: %s is a base that rootcast bootstrap -t %s --platform %s %s makes", base, base, strings.Join(b.Platforms, ","), b.Target)
	}
	r, err := render.Render(d, render.Options{Base: base, Timezone: timezone, Arguments: render.KernelArguments(d)})
	if err != nil {
		return err
	}
	if out == "" {
		_, err := fmt.Fprint(c.stdout, r.Containerfile)
		return err
	}
	if entries, err := os.ReadDir(out); err == nil && len(entries) > 0 {
		return fmt.Errorf("writing the build context: %s is not empty", out)
	}
	if err := c.writeContext(ctx, r, out); err != nil {
		return err
	}
	return c.printLine(out)
}

// named is a definition of a catalog, or of a file.
func (c *osimageCommand) named(name string) (*osimage.Definition, error) {
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
		return osimage.ReadFile(name)
	}
	return catalog(c.dir).Load(name)
}
