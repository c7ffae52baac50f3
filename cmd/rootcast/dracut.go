package main

import (
	"context"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/rootcast/rootcast/build"
	"github.com/rootcast/rootcast/convert"
	"github.com/rootcast/rootcast/convert/image"
)

// fetch makes sure that the local store has an image, a program of which is to be
// run, and returns by which name.
func (e *env) fetch(ctx context.Context, name string, reg build.Registry, platform string) (string, error) {
	store, err := e.openStore()
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(name, "containers-storage:") {
		return name, nil
	}
	ref, found, err := store.Resolve(ctx, name)
	switch {
	case err != nil:
		return "", err
	case found && !build.HasTransport(name):
		return name, nil
	case strings.HasPrefix(ref, "docker://localhost/"):
		return name, nil // which says what is wrong with it
	}
	e.say("pulling %s: its dracut runs in a container, for which the image must be in the local store", strings.TrimPrefix(ref, "docker://"))
	pulled, err := store.Pull(ctx, ref, build.PullOptions{Registry: reg, Platform: platform, Progress: e.reportWriter(), TempDir: os.Getenv("TMPDIR")})
	if err != nil {
		return "", err
	}
	if name := strings.TrimPrefix(ref, "docker://"); slices.Contains(pulled.Names, name) {
		return name, nil
	}
	return pulled.ID, nil
}

// runIn runs a program of an image of the local store in a container.
func (e *env) runIn(ctx context.Context, img *image.Image, c convert.Command, w io.Writer) error {
	store, err := e.openStore()
	if err != nil {
		return err
	}
	cmd := build.Command{
		Image: img.ID.Encoded(), Name: img.Name, Platform: img.Platform(), Args: c.Args, Env: c.Env,
		Files: c.Files, Result: c.Result, TempDir: os.Getenv("TMPDIR"), Output: dracutSteps{e},
	}
	if e.isVerbose() {
		cmd.Output = e.stderr
	}
	return store.Run(ctx, cmd, w)
}

// dracutSteps shows of what dracut prints, a line at a time, what it is at.
type dracutSteps struct{ e *env }

func (s dracutSteps) Write(line []byte) (int, error) {
	if step, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "dracut: *** "); ok {
		s.e.say("dracut: %s", strings.TrimSuffix(step, " ***"))
	}
	return len(line), nil
}
