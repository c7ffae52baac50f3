package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

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
	path, err := c.fileOf(args[0])
	if err != nil {
		return err
	}
	d := draftOf(path)
	unlock, err := d.start()
	if err != nil {
		return fmt.Errorf("editing osimage %s: %w", args[0], err)
	}
	defer unlock()
	editor := strings.Fields(either(os.Getenv("VISUAL"), os.Getenv("EDITOR")))
	if len(editor) == 0 {
		editor = []string{"vi"}
	}
	// ^C is for the editor, which knows what to do with it.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), editor[0], append(editor[1:], d.text)...) //nolint:gosec // the user's own editor
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.stdin, c.stderr, c.stderr
	if err := cmd.Run(); err != nil {
		return errors.Join(fmt.Errorf("running the editor %s: %w", editor[0], err), d.keep())
	}
	return d.finish()
}

// draft is a text that is being edited, or could not be taken over: beside it lies
// the definition as it was when the edit began.
type draft struct{ definition, text, base string }

func draftOf(path string) draft {
	hidden := filepath.Join(filepath.Dir(path), "."+filepath.Base(path))
	return draft{path, hidden + ".edit", hidden + ".base"}
}

// start begins with the definition, or goes on with a draft that was kept, if the
// definition is still what it was. One person edits at a time.
func (d draft) start() (unlock func(), err error) {
	was, err := os.ReadFile(d.definition)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(d.base, os.O_RDWR|os.O_CREATE, 0o644) //nolint:gosec // a definition is no secret
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, errors.New("somebody else is editing it")
	}
	unlock = func() { f.Close() }
	base, err := os.ReadFile(d.base)
	_, noDraft := os.Stat(d.text)
	switch {
	case err != nil:
	case noDraft != nil:
		err = errors.Join(os.WriteFile(d.text, was, 0o644), os.WriteFile(d.base, was, 0o644)) //nolint:gosec // see above
	case !bytes.Equal(base, was):
		err = fmt.Errorf("the text of an earlier edit is in %s, and the definition has changed since: take over what is of use, and remove it", d.text)
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// keep removes a draft in which nothing was written, and otherwise says where it is.
func (d draft) keep() error {
	text, err := os.ReadFile(d.text)
	if err != nil {
		return err
	}
	if base, err := os.ReadFile(d.base); err == nil && bytes.Equal(base, text) {
		return errors.Join(os.Remove(d.text), os.Remove(d.base))
	}
	return fmt.Errorf("the definition is as it was, and what was written is in %s", d.text)
}

// finish makes the draft the definition.
func (d draft) finish() error {
	text, err := os.ReadFile(d.text)
	if err != nil {
		return err
	}
	if _, err := osimage.Parse(d.definition, text); err != nil {
		return errors.Join(err, d.keep())
	}
	from := osimage.Catalog{Dirs: []string{filepath.Dir(d.definition)}}
	unlock, err := from.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	base, err := os.ReadFile(d.base)
	if err != nil {
		return err
	}
	now, err := os.ReadFile(d.definition)
	if err != nil || !bytes.Equal(base, now) {
		return errors.Join(err, errors.New("the definition was changed meanwhile"), d.keep())
	}
	if err := osimage.Replace(d.definition, text); err != nil {
		return err
	}
	return errors.Join(os.Remove(d.text), os.Remove(d.base))
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
	all, err := from.All()
	var unreadable osimage.Problems // which are found below, if they are asked for
	if err != nil && !errors.As(err, &unreadable) {
		return err
	}
	bad := 0
	for _, name := range args {
		found, err := lintOne(from, name, all)
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

// lintOne returns a line for each mistake; all are the definitions that there are.
func lintOne(from osimage.Catalog, name string, all []*osimage.Definition) (lines []string, err error) {
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
	for _, list := range d.Items("exlist") {
		if _, err := os.Stat(list); err != nil {
			continue // it is in the lines already
		}
		if _, err := exlist.Read(list); err != nil {
			lines = append(lines, err.Error())
		}
	}
	for _, other := range d.Sharing(all) {
		lines = append(lines, fmt.Sprintf("%s: rootimgdir: osimage %s has it too", d.Path, other))
	}
	return lines, nil
}
