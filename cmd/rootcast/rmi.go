package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build"
)

const rmiDescription = `Removes images from the local store. A name is taken away; with its last name
the image goes. It prints what it untagged and deleted.

   rootcast rmi localhost/compute:1
   rootcast rmi 6c8664ed7d05 localhost/old:1
   rootcast rmi --all`

type rmiCommand struct {
	*env
	force, all bool
}

func newRmiCommand(e *env) *cli.Command {
	c := &rmiCommand{env: e}
	return &cli.Command{
		Name:        "rmi",
		Usage:       "remove images",
		ArgsUsage:   "IMAGE...",
		Description: rmiDescription,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "force", Aliases: []string{"f"}, Usage: "remove with all names, and the containers that use the image", Destination: &c.force, DisableDefaultText: true},
			&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "remove every image", Destination: &c.all, DisableDefaultText: true},
		},
		Action: action(e, "IMAGE...", 0, -1, c.run),
	}
}

func (c *rmiCommand) run(ctx context.Context, args []string) error {
	if c.all == (len(args) > 0) {
		return usageErrorf("rmi: name the images to remove, or say --all")
	}
	store, err := c.openStore()
	if err != nil {
		return err
	}
	var removed build.Removed
	if c.all {
		removed, err = store.RemoveAll(ctx, c.force)
	} else {
		removed, err = store.Remove(ctx, c.force, args...)
	}
	if perr := c.printRemoved(removed); err == nil {
		err = perr
	}
	return err
}

func (e *env) printRemoved(r build.Removed) error {
	for _, name := range r.Untagged {
		if err := e.printLine("Untagged:", name); err != nil {
			return err
		}
	}
	for _, id := range r.Deleted {
		if err := e.printLine("Deleted:", id); err != nil {
			return err
		}
	}
	return nil
}
