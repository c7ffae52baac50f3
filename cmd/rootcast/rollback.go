package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/docker/go-units"
	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/convert"
	"github.com/rootcast/rootcast/convert/netboot"
)

const rollbackDescription = `Makes an earlier version of a rootimgdir what nodes boot: the one that was
current before or, if named, VERSION, of whose ID the beginning is enough. Its
files are checked against its manifest first; all of them change in one step.
A second rollback without VERSION returns to where the first one started.

How many versions there are to choose from is what convert --keep says.

   rootcast rollback --list /srv/boot/compute
   rootcast rollback /srv/boot/compute
   rootcast rollback /srv/boot/compute 1f0c`

// rollbackCmd is what the flags of rootcast rollback fill.
type rollbackCmd struct {
	e                *env
	list, json, wait bool
}

func newRollbackCommand(e *env) *cli.Command {
	c := &rollbackCmd{e: e}
	return &cli.Command{
		Name:        "rollback",
		Usage:       "return to an earlier version of a rootimgdir, or list them",
		ArgsUsage:   "DIR [VERSION]",
		Description: rollbackDescription,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "list", Aliases: []string{"l"}, Usage: "list the versions, the current one first, and change nothing", Destination: &c.list, DisableDefaultText: true},
			&cli.BoolFlag{Name: "json", Usage: "print JSON for programs", Destination: &c.json, DisableDefaultText: true},
			waitFlag(&c.wait),
		},
		Action: action(e, "DIR [VERSION]", 1, 2, c.run),
	}
}

// waitFlag is --wait of the commands that change a rootimgdir.
func waitFlag(wait *bool) cli.Flag {
	return &cli.BoolFlag{Name: "wait", Usage: "wait for another rootcast that writes the rootimgdir instead of failing", Destination: wait, DisableDefaultText: true}
}

func (c *rollbackCmd) run(ctx context.Context, args []string) error {
	dir, version := args[0], ""
	if len(args) > 1 {
		if version = args[1]; version == "" {
			return usageErrorf("rollback: VERSION is empty; leave it out for the version before the current one")
		}
	}
	if c.list {
		if version != "" {
			return usageErrorf("rollback --list shows every version; leave out %q", version)
		}
		return c.show(dir)
	}
	before, err := netboot.Versions(dir)
	if err != nil {
		return err
	}
	p := c.e.newProgress()
	v, err := convert.Rollback(ctx, dir, version, convert.RollbackOptions{Wait: c.wait, Report: p.report})
	p.finish()
	if err != nil {
		return err
	}
	if len(before) > 0 && before[0].Current && before[0].ID == v.ID {
		c.e.say("%s was the current version already", v.ID)
	} else {
		c.e.say("nodes boot %s with kernel %s now", v.Manifest.Image.Reference, v.Manifest.Kernel.Version)
	}
	if c.json {
		return printJSON(c.e.stdout, newVersionRow(v))
	}
	_, err = fmt.Fprintln(c.e.stdout, v.ID)
	return err
}

func (c *rollbackCmd) show(dir string) error {
	list, err := netboot.Versions(dir)
	if err != nil {
		return err
	}
	rows := make([]versionRow, len(list))
	for i, v := range list {
		rows[i] = newVersionRow(v)
	}
	switch {
	case c.json:
		return printJSON(c.e.stdout, rows)
	case c.e.isQuiet():
		for _, r := range rows {
			if _, err := fmt.Fprintln(c.e.stdout, r.ID); err != nil {
				return err
			}
		}
		return nil
	}
	return versionTable(c.e.stdout, rows)
}

// versionRow is a version as programs and people are shown it.
type versionRow struct {
	ID           string    `json:"id"`
	Current      bool      `json:"current"`
	Published    time.Time `json:"published"`
	CurrentSince time.Time `json:"current_since,omitzero"` // or when it last became so
	Reference    string    `json:"reference,omitempty"`
	Digest       string    `json:"digest,omitempty"`
	Platform     string    `json:"platform,omitempty"`
	Kernel       string    `json:"kernel,omitempty"`
	Size         int64     `json:"size"` // bytes of all files
	Error        string    `json:"error,omitempty"`
}

func newVersionRow(v netboot.Version) versionRow {
	r := versionRow{ID: v.ID, Current: v.Current, Published: v.Published, CurrentSince: v.Used, Size: v.Size()}
	if v.Err != nil {
		r.Error = oneLine(v.Err)
		return r
	}
	m := v.Manifest
	r.Reference, r.Digest, r.Platform, r.Kernel = m.Image.Reference, m.Image.Digest, m.Platform, m.Kernel.Version
	return r
}

func versionTable(out io.Writer, rows []versionRow) error {
	const shortDigest = len("sha256:") + shortID
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "VERSION\tCURRENT\tPUBLISHED\tIMAGE\tDIGEST\tKERNEL\tSIZE")
	for _, r := range rows {
		current := "-"
		if r.Current {
			current = "current"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t", r.ID, current, r.Published.Local().Format(time.DateTime))
		if r.Error != "" {
			fmt.Fprintln(w, r.Error)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Reference, r.Digest[:min(len(r.Digest), shortDigest)], r.Kernel, units.BytesSize(float64(r.Size)))
	}
	return w.Flush()
}
