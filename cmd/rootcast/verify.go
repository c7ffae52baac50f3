package main

import (
	"context"
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
		}, c.registry.flags()...),
		Action: action(e, "DIR", 1, 1, c.run),
	}
}

func (c *verifyCmd) run(ctx context.Context, args []string) error {
	dir := args[0]
	m, err := netboot.ReadManifest(dir)
	if err != nil {
		return err
	}
	c.e.say("checking the digests of %d files", len(m.Files))
	if err := convert.VerifyFiles(ctx, dir, m); err != nil {
		return fmt.Errorf("verifying %s: %w", dir, err)
	}
	if !c.digestsOnly {
		if err := c.compare(ctx, dir, m); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(c.e.stdout, "%s: ok\n", dir)
	return err
}

func (c *verifyCmd) compare(ctx context.Context, dir string, m *netboot.Manifest) error {
	reg, err := c.registry.registry()
	if err != nil {
		return err
	}
	name := either(c.image, m.Image.Reference)
	img, err := c.e.openImage(ctx, name, reg, m.Platform)
	if err != nil {
		return err
	}
	defer img.Close() //nolint:errcheck // its files were only read
	if img.ID.String() != m.Image.ID {
		return fmt.Errorf("%s is now image %s; %s was made from %s: name that one with --image", name, img.ID, dir, m.Image.ID)
	}
	f, _ := m.File(netboot.RamdiskName)
	c.e.say("comparing %d entries of %s with %s", f.Entries, f.Name, name)
	if err := convert.VerifyTree(ctx, dir, m, img); err != nil {
		return fmt.Errorf("verifying %s: %w", dir, err)
	}
	return nil
}
