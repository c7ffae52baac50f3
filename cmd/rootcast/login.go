package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/rootcast/rootcast/build"
)

const loginDescription = `Checks a user name and password with a registry and keeps them where podman,
skopeo and buildah look for them too. There is no --password: every user of the
machine can read the arguments of a process.

   rootcast login registry.example
   rootcast login --username robot --password-stdin registry.example < token`

type loginCommand struct {
	*env
	username      string
	passwordStdin bool
	registryFlags
}

func newLoginCommand(e *env) *cli.Command {
	c := &loginCommand{env: e}
	return &cli.Command{
		Name:        "login",
		Usage:       "log in to a registry",
		ArgsUsage:   "REGISTRY",
		Description: loginDescription,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "username", Aliases: []string{"u"}, Usage: "user `NAME`; asked for on a terminal", Destination: &c.username},
			&cli.BoolFlag{Name: "password-stdin", Usage: "read the password from standard input", Destination: &c.passwordStdin, DisableDefaultText: true},
		}, c.loginFlags()...),
		Action: action(e, "REGISTRY", 1, 1, c.run),
	}
}

// loginFlags are the registry flags without credentials, which are what login
// asks for, and without the policy, which is about images.
func (f *registryFlags) loginFlags() []cli.Flag {
	var flags []cli.Flag
	for _, flag := range f.flags() {
		if name := flag.Names()[0]; name == "creds" || name == "policy" {
			continue
		}
		flags = append(flags, flag)
	}
	return flags
}

func (c *loginCommand) run(ctx context.Context, args []string) error {
	// The file need not be there yet; login makes it.
	authFile := c.authFile
	c.authFile = ""
	r, err := c.registry()
	if err != nil {
		return err
	}
	r.AuthFile = either(authFile, authFileFromEnv())
	user, password, err := c.askCredentials(ctx)
	if err != nil {
		return err
	}
	if err := build.Login(ctx, r, args[0], user, password); err != nil {
		return err
	}
	c.say("logged in to %s as %s", args[0], user)
	return nil
}

// askCredentials gives up waiting for credentials when ctx ends.
func (c *loginCommand) askCredentials(ctx context.Context) (user, password string, err error) {
	restore := func() error { return nil }
	if tty, ok := c.stdin.(*os.File); ok {
		if state, err := term.GetState(int(tty.Fd())); err == nil {
			restore = func() error { return term.Restore(int(tty.Fd()), state) }
		}
	}
	type answer struct {
		user, password string
		err            error
	}
	answers := make(chan answer, 1)
	go func() {
		var a answer
		a.user, a.password, a.err = c.credentials()
		answers <- a
	}()
	select {
	case a := <-answers:
		return a.user, a.password, a.err
	case <-ctx.Done():
		// The password's prompt has turned off the terminal's echo.
		return "", "", errors.Join(ctx.Err(), restore())
	}
}

func (c *loginCommand) credentials() (user, password string, err error) {
	if c.passwordStdin {
		if c.username == "" {
			return "", "", usageErrorf("login: --password-stdin needs --username")
		}
		text, err := io.ReadAll(c.stdin)
		if err != nil {
			return "", "", fmt.Errorf("reading the password: %w", err)
		}
		return c.username, strings.TrimRight(string(text), "\r\n"), nil
	}
	tty, ok := c.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(tty.Fd())) {
		return "", "", usageErrorf("login: standard input is not a terminal; give --username and --password-stdin")
	}
	if user = c.username; user == "" {
		fmt.Fprint(c.stderr, "Username: ")
		if user, err = bufio.NewReader(tty).ReadString('\n'); err != nil && !errors.Is(err, io.EOF) {
			return "", "", fmt.Errorf("reading the user name: %w", err)
		}
		if user = strings.TrimSpace(user); user == "" {
			return "", "", usageErrorf("login: the user name is empty")
		}
	}
	fmt.Fprint(c.stderr, "Password: ")
	secret, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(c.stderr)
	if err != nil {
		return "", "", fmt.Errorf("reading the password: %w", err)
	}
	return user, string(secret), nil
}
