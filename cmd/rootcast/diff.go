package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build"
	"github.com/rootcast/rootcast/convert/report"
)

const diffDescription = `Shows how B differs from A: packages added, removed, upgraded and downgraded;
files added, removed and changed, in type, mode, owner, content, link target or
extended attributes; and what each directory gains or loses. A and B are images
or rootimgdirs, in any mix. Times do not count: every build has its own.

   rootcast diff localhost/compute:1 localhost/compute:2
   rootcast diff /srv/boot/compute localhost/compute:2
   rootcast diff --all docker://registry.example/compute:1 oci:/backup/compute
   rootcast diff --json localhost/compute:1 localhost/compute:2 | jq .packages.upgraded

The exit code is 0 whether they differ or not.`

// diffCmd is what the flags of rootcast diff fill.
type diffCmd struct {
	e        *env
	registry registryFlags
	platform string
	json     bool
	all      bool
}

func newDiffCommand(e *env) *cli.Command {
	c := &diffCmd{e: e}
	return &cli.Command{
		Name:        "diff",
		Usage:       "show how two images or rootimgdirs differ",
		ArgsUsage:   "A B",
		Description: diffDescription,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "platform", Usage: "take the images for `OS/ARCH[/VARIANT]` of an index", Destination: &c.platform},
			&cli.BoolFlag{Name: "all", Usage: "show every difference, not only the largest", Destination: &c.all, DisableDefaultText: true},
			&cli.BoolFlag{Name: "json", Usage: "print all of it for programs", Destination: &c.json, DisableDefaultText: true},
		}, c.registry.flags()...),
		Action: action(e, "A B", 2, 2, c.run),
	}
}

func (c *diffCmd) run(ctx context.Context, args []string) error {
	reg, err := c.registry.registry()
	if err != nil {
		return err
	}
	d, err := c.compare(ctx, args, reg)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c.e.stdout, d)
	}
	return d.WriteTable(c.e.stdout, c.all)
}

func (c *diffCmd) compare(ctx context.Context, args []string, reg build.Registry) (*report.Diff, error) {
	a, err := c.e.openSource(ctx, args[0], reg, c.platform)
	if err != nil {
		return nil, err
	}
	defer a.Close() //nolint:errcheck // its files were only read
	b, err := c.e.openSource(ctx, args[1], reg, c.platform)
	if err != nil {
		return nil, err
	}
	defer b.Close() //nolint:errcheck // its files were only read
	p := c.e.newProgress()
	defer p.finish()
	d, err := report.Compare(ctx, a.tree, b.tree, report.DiffOptions{
		NameA: a.name, NameB: b.name, TempDir: tempDir(),
		Progress: func(done, total int64) { p.report("comparing contents", done, total) },
	})
	if err != nil {
		return nil, fmt.Errorf("comparing %s and %s: %w", args[0], args[1], err)
	}
	return d, nil
}
