package main

import (
	"context"
	"os"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build"
)

const pushDescription = `Copies an image of the local store to a registry, or to a file, and prints its
name with its digest. Without DESTINATION the image's own name says where to. An
index goes with all of its images.

   rootcast push registry.example/compute:1
   rootcast push localhost/compute:1 registry.example/compute:1
   rootcast push --compress zstd:chunked localhost/compute:1 registry.example/compute:1
   rootcast push localhost/compute:1 oci-archive:compute.tar
   rootcast push --platform linux/arm64 localhost/compute:1 docker-archive:arm64.tar`

type pushCommand struct {
	*env
	options    build.PushOptions
	force      optionalBool
	level      int
	digestFile string
	registryFlags
}

func newPushCommand(e *env) *cli.Command {
	c := &pushCommand{env: e}
	o := &c.options
	return &cli.Command{
		Name:        "push",
		Usage:       "copy an image to a registry or a file",
		ArgsUsage:   "IMAGE [DESTINATION]",
		Description: pushDescription,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "platform", Usage: "of an index push the image for `OS/ARCH[/VARIANT]` alone", Destination: &o.Platform, DefaultText: "all of the index"},
			&cli.StringFlag{Name: "compress", Usage: "compress layers with `CODEC`: gzip, zstd or zstd:chunked", Destination: &o.Compress, DefaultText: "gzip"},
			&cli.IntFlag{Name: "compression-level", Usage: "`LEVEL` of the codec", Destination: &c.level, Value: -1, DefaultText: "the codec's own"},
			&cli.GenericFlag{Name: "force-compression", Usage: "send layers again that the registry has in another compression", Value: &c.force, DefaultText: "true with --compress"},
			&cli.StringFlag{Name: "digestfile", Usage: "write the digest to `FILE`", Destination: &c.digestFile},
			c.retryFlag(),
		}, c.flags()...),
		Action: action(e, "IMAGE [DESTINATION]", 1, 2, c.run),
	}
}

func (c *pushCommand) run(ctx context.Context, args []string) error {
	o, err := c.fill()
	if err != nil {
		return err
	}
	digestFile := resultFile{"digestfile", c.digestFile}
	if err := digestFile.check(); err != nil {
		return err
	}
	store, err := c.openStore()
	if err != nil {
		return err
	}
	result, err := store.Push(ctx, args[0], slices.Concat(args[1:], []string{""})[0], o)
	if err != nil {
		return err
	}
	if err := digestFile.write(result.Digest.String()); err != nil {
		return err
	}
	return c.printLine(result.Names[0])
}

func (c *pushCommand) fill() (build.PushOptions, error) {
	o := c.options
	var err error
	if o.Registry, err = c.registry(); err != nil {
		return o, err
	}
	if o.Platform != "" {
		if err := asUsage("push: ", build.ValidatePlatform(o.Platform)); err != nil {
			return o, err
		}
	}
	if o.Compress != "" && !slices.Contains([]string{"gzip", "zstd", "zstd:chunked"}, o.Compress) {
		return o, usageErrorf("push: --compress %q is none of gzip, zstd, zstd:chunked", o.Compress)
	}
	if c.level >= 0 {
		o.CompressionLevel = &c.level
	}
	o.ForceCompression = c.force.value
	o.Retry, o.Progress, o.TempDir = c.retries(), c.reportWriter(), os.Getenv("TMPDIR")
	return o, nil
}
