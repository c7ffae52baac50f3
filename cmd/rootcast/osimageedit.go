package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build/osimage"
	"github.com/rootcast/rootcast/convert/exlist"
)

func newOsimageEditCommand(e *env) *cli.Command {
	c := &osimageCommand{env: e}
	return &cli.Command{
		Name:      "edit",
		Usage:     "edit a definition",
		ArgsUsage: "NAME",
		Description: `Opens a definition in $VISUAL or $EDITOR, and takes over what was saved if it can
be understood; otherwise it says what is wrong, keeps the text and the definition,
and the next edit goes on with the text.

   EDITOR=nano rootcast osimage edit compute`,
		Flags:  []cli.Flag{c.dirFlag()},
		Action: action(e, "NAME", 1, 1, c.edit),
	}
}

func (c *osimageCommand) edit(ctx context.Context, args []string) error {
	d, err := c.fileOf(args[0])
	if err != nil {
		return err
	}
	draft := filepath.Join(filepath.Dir(d), "."+filepath.Base(d)+".edit")
	if err := startDraft(d, draft); err != nil {
		return fmt.Errorf("editing osimage %s: %w", args[0], err)
	}
	editor := strings.Fields(either(either(os.Getenv("VISUAL"), os.Getenv("EDITOR")), "vi"))
	cmd := exec.CommandContext(ctx, editor[0], append(editor[1:], draft)...) //nolint:gosec // the user's own editor
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.stdin, c.stderr, c.stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("running the editor %s: %w; what was written is in %s", editor[0], err, draft)
	}
	text, err := os.ReadFile(draft)
	if err != nil {
		return fmt.Errorf("editing osimage %s: %w", args[0], err)
	}
	if _, err := osimage.Parse(d, text); err != nil {
		return fmt.Errorf("%w; the definition is as it was, and what was written is in %s", err, draft)
	}
	return os.Rename(draft, d)
}

// fileOf is the file of a definition, which need not be understood.
func (c *osimageCommand) fileOf(name string) (string, error) {
	d, err := catalog(c.dir).Load(name)
	var bad osimage.Problems
	switch {
	case errors.As(err, &bad):
		return bad[0].File, nil
	case err != nil:
		return "", err
	}
	return d.Path, nil
}

// startDraft copies the definition, unless a draft is there from a time before.
func startDraft(from, draft string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // a definition is no secret
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

func newOsimageLintCommand(e *env) *cli.Command {
	c := &osimageCommand{env: e}
	return &cli.Command{
		Name:      "lint",
		Usage:     "find mistakes in definitions",
		ArgsUsage: "[NAME|FILE...]",
		Description: `Checks definitions, without a name all of them, and every file that they name:
attributes that are unknown or missing, files that cannot be read, scripts that
cannot be run, lists that include themselves, rootimgdirs that two have. It prints
a line for each mistake, with file and line; the exit code is 1 if there is one.

   rootcast osimage lint
   rootcast osimage lint ./compute.yaml        (as in a check before git commit)`,
		Flags:  []cli.Flag{c.dirFlag()},
		Action: action(e, "[NAME|FILE...]", 0, -1, c.lint),
	}
}

func (c *osimageCommand) lint(_ context.Context, args []string) error {
	from := catalog(c.dir)
	if len(args) == 0 {
		var err error
		if args, err = from.Names(); err != nil {
			return err
		}
	}
	bad := 0
	for _, name := range args {
		found, err := lintOne(from, name)
		if err != nil {
			return err
		}
		for _, one := range found {
			fmt.Fprintln(c.stdout, one)
		}
		if found != nil {
			bad++
		}
	}
	if bad > 0 {
		return fmt.Errorf("there are mistakes in %d of %d osimages", bad, len(args))
	}
	c.say("no mistakes in %d osimages", len(args))
	return nil
}

// lintOne returns a line for each mistake.
func lintOne(from osimage.Catalog, name string) (lines []string, err error) {
	var d *osimage.Definition
	if strings.ContainsRune(name, filepath.Separator) || strings.HasSuffix(name, ".yaml") {
		var text []byte
		if text, err = os.ReadFile(name); err == nil {
			d, err = osimage.Parse(name, text)
		}
	} else {
		d, err = from.Load(name)
	}
	var bad osimage.Problems
	if errors.As(err, &bad) {
		return strings.Split(bad.Error(), "\n"), nil
	}
	if err != nil {
		return nil, err
	}
	if err := d.Check(); err != nil {
		lines = strings.Split(err.Error(), "\n")
	}
	if list := d.Items("exlist"); list != nil {
		if _, err := exlist.Read(list...); err != nil && !errors.Is(err, os.ErrNotExist) {
			lines = append(lines, err.Error())
		}
	}
	others, err := from.Sharing(d)
	for _, other := range others {
		lines = append(lines, fmt.Sprintf("%s: rootimgdir: osimage %s has it too", d.Path, other))
	}
	return lines, err
}
