package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build"
	"github.com/rootcast/rootcast/build/osimage"
	"github.com/rootcast/rootcast/convert/netboot"
)

const rmimageDescription = `Removes what a definition stands for: its image from the store, with the tags that
packimage and liteimg gave it, and from its rootimgdir what nodes boot from, all
versions of it. What is in the directory beside that stays, and nothing is removed
where something is mounted below it. The definition stays too, unless --xcatdef
is given. It prints what it removed.

   rmimage rocky9.4-x86_64-netboot-compute
   rmimage rocky9.4-x86_64-netboot-compute --xcatdef`

// rmimage is what the options of rmimage fill.
type rmimage struct {
	e                    *env
	dir                  string // of definitions
	xcatdef, force, wait bool
	about                aboutFlags
}

func newRmimageCommand(e *env) *cli.Command {
	c := &rmimage{e: e}
	flags := pflag.NewFlagSet("rmimage", pflag.ContinueOnError)
	flags.BoolVar(&c.xcatdef, "xcatdef", false, "remove the definition too")
	flags.BoolVarP(&c.force, "force", "f", false, "remove what another definition has too, and images that containers use")
	flags.BoolVar(&c.wait, "wait", false, "wait for another rootcast that writes the rootimgdir")
	flags.StringVar(&c.dir, "osimages", "", osimagesUsage)
	c.about.add(flags)
	x := &xcatCommand{
		name: "rmimage", usage: "remove an osimage's image and rootimgdir, as xCAT does", arguments: "[OPTION...] NAME",
		description: rmimageDescription, flags: flags, run: c.run,
	}
	return x.command(e)
}

func (c *rmimage) run(ctx context.Context, args []string) error {
	if c.about.version {
		return c.about.print(c.e)
	}
	if len(args) != 1 {
		return usageErrorf("rmimage needs the NAME of one osimage; see rmimage --help")
	}
	c.about.apply(c.e)
	from := catalog(c.dir)
	d, err := load(from, args[0])
	if err != nil {
		return err
	}
	if !d.Netboot() {
		return fmt.Errorf("osimage %s has provmethod=%s, and only those of netboot and statelite have an image here; rmdef removes the definition", d.Name, d.Get("provmethod"))
	}
	store, err := c.e.openStore()
	if err != nil {
		return err
	}
	if !c.force {
		if err := shared(from, d); err != nil {
			return err
		}
	}
	if err := c.removeDir(ctx, d); err != nil {
		return err
	}
	if err := c.removeImages(ctx, store, d); err != nil {
		return err
	}
	if !c.xcatdef {
		return nil
	}
	if err := removeDefinition(from, d.Name); err != nil {
		return err
	}
	return c.e.printLine("Removed:", d.Path)
}

// shared refuses to remove what another definition's nodes boot from, or is made of.
func shared(from osimage.Catalog, d *osimage.Definition) error {
	const advice = "rmimage --force removes it all the same"
	all, err := from.All()
	if err != nil {
		return fmt.Errorf("whether another osimage has what %s has is not known, for not all can be read (osimage lint tells why); %s", d.Name, advice)
	}
	dir := rootimgdirOf(d)
	for _, other := range all {
		switch {
		case other.Name == d.Name || !other.Netboot():
		case sameDir(rootimgdirOf(other), dir):
			return fmt.Errorf("osimage %s has the rootimgdir of %s too, %s; %s", other.Name, d.Name, dir, advice)
		}
	}
	return nil
}

func sameDir(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	two, err := os.Stat(b)
	return err == nil && os.SameFile(one, two)
}

func (c *rmimage) removeDir(ctx context.Context, d *osimage.Definition) error {
	dir := rootimgdirOf(d)
	removed, err := netboot.Remove(ctx, dir, netboot.Options{
		Wait: c.wait, Waiting: func(what string) { c.e.say("%s", what) }, Doing: "rmimage " + d.Name,
	})
	for _, path := range removed.Removed {
		if err := c.e.printLine("Removed:", path); err != nil {
			return err
		}
	}
	for _, path := range removed.Left {
		c.e.say("note: %s is not rootcast's, and stays", path)
	}
	if err == nil && removed.Removed == nil {
		c.e.say("note: there is nothing to remove in %s", dir)
	}
	return err
}

// removeImages removes all tags of a definition's image.
func (c *rmimage) removeImages(ctx context.Context, store *build.Store, d *osimage.Definition) error {
	names, err := imageNames(ctx, store, d)
	if err != nil {
		return err
	}
	names = append(names, osimageImageName(d)) // with other tags

	images, err := store.Images(ctx, true)
	if err != nil {
		return err
	}
	var tags []string
	for _, img := range images {
		for _, tag := range img.Names {
			of := func(name string) bool { return strings.HasPrefix(tag, name+":") }
			if slices.ContainsFunc(names, of) && !slices.Contains(tags, tag) {
				tags = append(tags, tag)
			}
		}
	}
	if tags == nil {
		c.e.say("note: there is no image %s in the store", osimageImageName(d))
		return nil
	}
	// Those that were made of others first.
	slices.SortFunc(tags, func(a, b string) int { return strings.Compare(b, a) })
	var removed build.Removed
	var failed []error
	for _, tag := range tags {
		one, err := store.Remove(ctx, false, tag)
		if err != nil && c.force {
			one, err = store.Remove(ctx, true, tag)
		}
		removed.Untagged = append(removed.Untagged, one.Untagged...)
		removed.Deleted = append(removed.Deleted, one.Deleted...)
		failed = append(failed, err)
	}
	return errors.Join(append(failed, c.e.printRemoved(removed))...)
}

// removeDefinition removes a definition while nobody changes it.
func removeDefinition(from osimage.Catalog, name string) (err error) {
	unlock, err := from.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	return from.Remove(name)
}
