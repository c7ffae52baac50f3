package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build"
)

const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// usageError is a mistake in the command line rather than a failure of the work.
type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

func usageErrorf(format string, args ...any) error {
	return &usageError{msg: fmt.Sprintf(format, args...)}
}

// asUsage makes err a mistake in the command line, but for a platform that is
// unknown: what another machine or version can do is no wrong usage here.
func asUsage(prefix string, err error) error {
	var platform *build.PlatformError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &platform):
		return fmt.Errorf("%s%w", prefix, err)
	}
	return usageErrorf("%s%v", prefix, err)
}

// exitCode maps what a command returned to the process's exit code.
func exitCode(ctx context.Context, err error) int {
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		return exitUsage
	case ctx.Err() != nil:
		return exitInterrupted
	default:
		return exitFailed
	}
}

// nobodyReads tells whether the result found its reader gone, as after | head:
// then there is nothing to say.
func nobodyReads(err error) bool {
	var pe *fs.PathError
	return errors.As(err, &pe) && pe.Path == os.Stdout.Name() && errors.Is(pe, syscall.EPIPE)
}

// oneLine is err as the one line that people and log collectors read.
func oneLine(err error) string {
	lines := strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.Join(strings.Fields(strings.Join(lines, "; ")), " ")
}

// onUsageError names the nearest flag that exists beside the unknown one.
func onUsageError(c *cli.Context, err error, _ bool) error {
	msg := err.Error()
	full := commandName(c)
	flags, prefix, help := c.Command.Flags, full+": ", "rootcast "+full+" --help"
	if c.Command.Name == "" || c.Command.Name == c.App.Name {
		flags, prefix, help = c.App.Flags, "", "rootcast --help"
	}
	name, unknown := strings.CutPrefix(msg, "flag provided but not defined: -")
	if !unknown {
		return usageErrorf("%s%s; see %s", prefix, msg, help)
	}
	name = strings.TrimLeft(name, "-")
	if near := strings.TrimLeft(cli.SuggestFlag(flags, name, true), "-"); near != "" && near != "help" {
		return usageErrorf("%sunknown flag --%s; did you mean --%s?", prefix, name, near)
	}
	return usageErrorf("%sunknown flag --%s; see %s", prefix, name, help)
}

// commandName is what stands after rootcast on the command line, such as "binfmt status".
func commandName(c *cli.Context) string {
	return strings.TrimPrefix(c.Command.HelpName, c.App.HelpName+" ")
}

func unknownCommand(c *cli.Context, name string) error {
	// The library returns a whole sentence with the name in quotes.
	if _, near, ok := strings.Cut(cli.SuggestCommand(c.App.Commands, name), `"`); ok {
		near, _, _ = strings.Cut(near, `"`)
		return usageErrorf("unknown command %q; did you mean %q?", name, near)
	}
	return usageErrorf("unknown command %q; see rootcast --help", name)
}
