package main

import (
	"context"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build"
)

const pullDescription = `Copies an image from a registry, or from a file, into the local store and prints
its ID. A short name is completed by registries.conf, else it means docker.io.

   rootcast pull registry.example/compute:1
   rootcast pull registry.example/compute@sha256:5f70bf18…
   rootcast pull --platform linux/arm64 registry.example/compute:1
   rootcast pull oci-archive:compute.tar`

type pullCommand struct {
	*env
	options build.PullOptions
	registryFlags
}

func newPullCommand(e *env) *cli.Command {
	c := &pullCommand{env: e}
	o := &c.options
	return &cli.Command{
		Name:        "pull",
		Usage:       "copy an image from a registry or a file",
		ArgsUsage:   "IMAGE",
		Description: pullDescription,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "all", Usage: "of an index pull every image, and the index", Destination: &o.All, DisableDefaultText: true},
			&cli.StringFlag{Name: "platform", Usage: "of an index pull the image for `OS/ARCH[/VARIANT]`", Destination: &o.Platform, DefaultText: "the host's"},
			c.retryFlag(),
		}, c.flags()...),
		Action: action(e, "IMAGE", 1, 1, c.run),
	}
}

func (c *pullCommand) run(ctx context.Context, args []string) error {
	o := c.options
	var err error
	if o.Registry, err = c.registry(); err != nil {
		return err
	}
	if o.Platform != "" {
		if o.All {
			return usageErrorf("pull: --all and --platform exclude each other")
		}
		if err := asUsage("pull: ", build.ValidatePlatform(o.Platform)); err != nil {
			return err
		}
	}
	o.Retry, o.Progress, o.TempDir = c.retries(), c.reportWriter(), os.Getenv("TMPDIR")
	store, err := c.openStore()
	if err != nil {
		return err
	}
	result, err := store.Pull(ctx, args[0], o)
	if err != nil {
		return err
	}
	return c.printLine(result.ID)
}
