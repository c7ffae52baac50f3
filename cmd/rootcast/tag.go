package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build"
)

const tagDescription = `Gives an image of the local store more names. A name that another image has
moves to this one.

   rootcast tag localhost/compute:2 localhost/compute:latest
   rootcast tag 6c8664ed7d05 registry.example/compute:1 registry.example/compute:latest`

type tagCommand struct{ *env }

func newTagCommand(e *env) *cli.Command {
	c := &tagCommand{env: e}
	return &cli.Command{
		Name:        "tag",
		Usage:       "give an image another name",
		ArgsUsage:   "IMAGE NAME...",
		Description: tagDescription,
		Action:      action(e, "IMAGE NAME...", 2, -1, c.run),
	}
}

func (c *tagCommand) run(ctx context.Context, args []string) error {
	for _, name := range args[1:] {
		if err := build.ValidateTag(name); err != nil {
			return usageErrorf("tag: %v", err)
		}
	}
	store, err := c.openStore()
	if err != nil {
		return err
	}
	return store.Tag(ctx, args[0], args[1:]...)
}
