package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build"
)

const logoutDescription = `Forgets what rootcast login kept.

   rootcast logout registry.example
   rootcast logout --all`

type logoutCommand struct {
	*env
	all      bool
	authFile string
}

func newLogoutCommand(e *env) *cli.Command {
	c := &logoutCommand{env: e}
	return &cli.Command{
		Name:        "logout",
		Usage:       "forget a registry's credentials",
		ArgsUsage:   "REGISTRY",
		Description: logoutDescription,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "forget the credentials of every registry", Destination: &c.all, DisableDefaultText: true},
			&cli.StringFlag{Name: "authfile", Usage: "`FILE` that holds the credentials", Destination: &c.authFile},
		},
		Action: action(e, "REGISTRY", 0, 1, c.run),
	}
}

func (c *logoutCommand) run(_ context.Context, args []string) error {
	if c.all == (len(args) > 0) {
		return usageErrorf("logout: name the registry, or say --all")
	}
	r := build.Registry{AuthFile: either(c.authFile, authFileFromEnv()), RegistriesConf: registriesConf()}
	registry := ""
	if len(args) > 0 {
		registry = args[0]
	}
	if err := build.Logout(r, registry); err != nil {
		return err
	}
	if c.all {
		c.say("logged out of every registry")
	} else {
		c.say("logged out of %s", registry)
	}
	return nil
}
