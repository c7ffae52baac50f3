package main

import (
	"context"
	"os"

	"github.com/docker/go-units"
	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build"
	"github.com/rootcast/rootcast/convert/cache"
)

const pruneDescription = `Frees room in the local store: it removes what killed builds left, and images
that have no name and that nothing needs, the layer cache among them. With --all
also images with names go, and what RUN --mount=type=cache keeps in TMPDIR or
/var/tmp for all stores, podman's and buildah's builds included. What a running
build may need stays.

What convert keeps to be faster the next time is elsewhere: --cache removes all
of it, and nothing of the store nor any other file in that directory.

   rootcast prune
   rootcast prune --all
   rootcast prune --cache`

type pruneCommand struct {
	*env
	all, cache bool

	cacheFlags cacheFlags
}

func newPruneCommand(e *env) *cli.Command {
	c := &pruneCommand{env: e}
	return &cli.Command{
		Name:        "prune",
		Usage:       "remove unused images and the build cache",
		Description: pruneDescription,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "remove also images that have names, and the cache of RUN --mount=type=cache that podman and buildah share", Destination: &c.all, DisableDefaultText: true},
			&cli.BoolFlag{Name: "cache", Usage: "remove what convert keeps for the next convert, and nothing else", Destination: &c.cache, DisableDefaultText: true},
			c.cacheFlags.dirFlag(),
		},
		Action: action(e, "", 0, 0, c.run),
	}
}

func (c *pruneCommand) run(ctx context.Context, _ []string) error {
	if c.cache {
		return c.pruneCache()
	}
	store, err := c.openStore()
	if err != nil {
		return err
	}
	pruned, err := store.Prune(ctx, build.PruneOptions{All: c.all, TempDir: os.Getenv("TMPDIR")})
	if perr := c.printRemoved(pruned.Removed); err == nil {
		err = perr
	}
	if err != nil {
		return err
	}
	if pruned.Builds > 0 {
		c.say("removed the remains of %d killed builds", pruned.Builds)
	}
	if pruned.CacheInUse {
		c.say("kept the cache of RUN --mount=type=cache: a build uses it")
	}
	c.say("%s freed", units.HumanSizeWithPrecision(float64(pruned.Bytes), 3))
	return nil
}

// pruneCache empties the cache of converts.
func (c *pruneCommand) pruneCache() error {
	dir, err := c.cacheFlags.place()
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir); os.IsNotExist(err) {
		c.say("there is no cache in %s", dir)
		return nil
	}
	store, err := cache.Open(dir, 0)
	if err != nil {
		return err
	}
	pruned, err := store.Prune(0)
	c.say("%d entries removed, %s freed", pruned.Entries, units.HumanSizeWithPrecision(float64(pruned.Bytes), 3))
	return err
}
