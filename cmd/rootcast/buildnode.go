package main

import (
	"context"
	"errors"
	"os"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/rootcast/rootcast/build"
	"github.com/rootcast/rootcast/build/remote"
)

const buildNodeDescription = `The other side of rootcast build --node, which starts it on the node through ssh.
It reads a build request from standard input, builds the image natively with
this machine's store, pushes it by digest with this machine's login, and prints
the digest as JSON. The build ends when standard input does. Nothing of the
request stays here but the layers, which make the next build quicker and which
rootcast prune removes.

   rootcast build --push -t registry.example/compute:1 \
       --platform linux/amd64,linux/arm64 --node linux/arm64=ssh://builder@n01 .

A machine needs this program, an sshd, and rootcast login registry.example if
the registry asks for it. There is nothing to start or to configure.`

// buildNodeCommand is what rootcast build --node starts elsewhere.
type buildNodeCommand struct{ *env }

func newBuildNodeCommand(e *env) *cli.Command {
	c := &buildNodeCommand{e}
	return &cli.Command{
		Name:        "build-node",
		Usage:       "build an image that another machine asks for",
		Description: buildNodeDescription,
		Hidden:      true,
		Action:      action(e, "", 0, 0, c.run),
	}
}

func (c *buildNodeCommand) run(ctx context.Context, _ []string) error {
	if f, ok := c.stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return usageErrorf("build-node is started by rootcast build --node, with a request on standard input; see rootcast build-node --help")
	}
	store, err := c.openStore()
	if err != nil {
		return remote.WriteAnswer(c.stdout, "", err)
	}
	digest, err := store.BuildRequested(ctx, c.stdin, build.NodeOptions{
		Registry: build.Registry{AuthFile: authFileFromEnv(), RegistriesConf: registriesConf()},
		TempDir:  os.Getenv("TMPDIR"),
		Output:   c.reportWriter(),
	})
	if err != nil && ctx.Err() != nil {
		err = errors.New("the build was interrupted there")
	}
	return remote.WriteAnswer(c.stdout, digest, err)
}
