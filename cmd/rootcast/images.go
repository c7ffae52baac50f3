package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/docker/go-units"
	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build"
)

const imagesDescription = `Lists the images of the local store, which podman and buildah show too.

   rootcast images
   rootcast images --json
   rootcast images --digests --all`

// shortID is how much of an ID people are shown.
const shortID = 12

type imagesCommand struct {
	*env
	json, digests, all bool
}

func newImagesCommand(e *env) *cli.Command {
	c := &imagesCommand{env: e}
	return &cli.Command{
		Name:        "images",
		Usage:       "list the images of the local store",
		Description: imagesDescription,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "print JSON for programs", Destination: &c.json, DisableDefaultText: true},
			&cli.BoolFlag{Name: "digests", Usage: "show manifest digests", Destination: &c.digests, DisableDefaultText: true},
			&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "show also the unnamed images of the build cache and of indexes", Destination: &c.all, DisableDefaultText: true},
		},
		Action: action(e, "", 0, 0, c.run),
	}
}

func (c *imagesCommand) run(ctx context.Context, _ []string) error {
	store, err := c.openStore()
	if err != nil {
		return err
	}
	list, err := store.Images(ctx, c.all)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c.stdout, list)
	}
	if c.isQuiet() { // as podman images -q
		for _, img := range list {
			if _, err := fmt.Fprintln(c.stdout, img.ID[:shortID]); err != nil {
				return err
			}
		}
		return nil
	}
	return c.table(list)
}

func (c *imagesCommand) table(list []build.Image) error {
	w := tabwriter.NewWriter(c.stdout, 0, 0, 3, ' ', 0)
	head := []string{"REPOSITORY", "TAG", "IMAGE ID", "PLATFORM", "CREATED", "SIZE"}
	if c.digests {
		head = append(head[:2:2], append([]string{"DIGEST"}, head[2:]...)...)
	}
	fmt.Fprintln(w, strings.Join(head, "\t"))
	for _, img := range list {
		names := img.Names
		if len(names) == 0 {
			names = []string{"<none>"}
		}
		for _, name := range names {
			repository, tag := splitName(name)
			row := []string{repository, tag}
			if c.digests {
				row = append(row, img.Digest.String())
			}
			row = append(row, img.ID[:shortID], strings.Join(img.Platforms, ","),
				units.HumanDuration(time.Since(img.Created))+" ago", units.HumanSizeWithPrecision(float64(img.Size), 3))
			fmt.Fprintln(w, strings.Join(row, "\t"))
		}
	}
	return w.Flush()
}

// splitName cuts a full image name before its tag; of one with a digest, only
// the repository is shown.
func splitName(name string) (repository, tag string) {
	name, _, _ = strings.Cut(name, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		return name[:i], name[i+1:]
	}
	return name, "<none>"
}
