package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/convert"
	"github.com/rootcast/rootcast/convert/netboot"
)

const verifyDescription = `Checks every digest of the manifest, then reads the packed root back with a
reader that shares no code with the packer and compares each entry with the
layers of the image it was made from. Names every file that differs.

   rootcast verify /srv/boot/compute
   rootcast verify --digests-only /srv/boot/compute        (needs no image)
   rootcast verify --image oci:/backup/compute /srv/boot/compute`

// verifyCmd is what the flags of rootcast verify fill.
type verifyCmd struct {
	e           *env
	registry    registryFlags
	image       string
	digestsOnly bool
	limit       layerLimit
}

func newVerifyCommand(e *env) *cli.Command {
	c := &verifyCmd{e: e}
	return &cli.Command{
		Name:        "verify",
		Usage:       "compare a rootimgdir with its manifest and with the image",
		ArgsUsage:   "DIR",
		Description: verifyDescription,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "image", Usage: "compare with `IMAGE` (default: the one that the manifest names)", Destination: &c.image},
			&cli.BoolFlag{Name: "digests-only", Usage: "check the manifest's digests and read no image", Destination: &c.digestsOnly, DisableDefaultText: true},
			c.limit.flag(),
		}, c.registry.flags()...),
		Action: action(e, "DIR", 1, 1, c.run),
	}
}

func (c *verifyCmd) run(ctx context.Context, args []string) error {
	dir := netboot.Current(args[0]) // of one version, even if another is published meanwhile
	m, err := netboot.ReadManifest(dir)
	if err != nil {
		return err
	}
	p := c.e.newProgress()
	defer p.finish()
	err = convert.VerifyFiles(ctx, dir, m, p.report)
	if !c.digestsOnly && ctx.Err() == nil {
		// A damaged archive can still tell which of its files differ.
		err = errors.Join(err, c.compare(ctx, dir, m, p.report))
	}
	if err != nil {
		return fmt.Errorf("verifying %s: %w", args[0], err)
	}
	_, err = fmt.Fprintf(c.e.stdout, "%s: ok\n", args[0])
	return err
}

func (c *verifyCmd) compare(ctx context.Context, dir string, m *netboot.Manifest, report convert.Report) error {
	reg, err := c.registry.registry()
	if err != nil {
		return err
	}
	name := either(c.image, m.Image.Reference)
	img, err := c.e.openImage(ctx, name, reg, wish{platform: m.Platform, limit: c.limit})
	if err != nil {
		return fmt.Errorf("%w (--image names the image if it is elsewhere now, --digests-only needs none)", err)
	}
	defer img.Close() //nolint:errcheck // its files were only read
	if img.ID.String() != m.Image.ID {
		return fmt.Errorf("%s is now image %s, and this was made from %s: name that one with --image", name, img.ID, m.Image.ID)
	}
	return convert.VerifyTree(ctx, dir, m, img, report)
}
