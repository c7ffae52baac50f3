package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
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

// oneLine is err as the one line that people and log collectors read.
func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}

// onUsageError names the nearest flag that exists beside the unknown one.
func onUsageError(c *cli.Context, err error, _ bool) error {
	msg := err.Error()
	where := strings.TrimSpace("rootcast " + c.Command.Name)
	if c.Command.Name == "rootcast" || c.Command.Name == "" {
		where = "rootcast"
	}
	if name, ok := strings.CutPrefix(msg, "flag provided but not defined: -"); ok {
		name = strings.TrimLeft(name, "-")
		flags := c.Command.Flags
		if where == "rootcast" {
			flags = c.App.Flags
		}
		if near := strings.TrimLeft(cli.SuggestFlag(flags, name, true), "-"); near != "" {
			return usageErrorf("%s: unknown flag --%s; did you mean --%s?", where, name, near)
		}
		return usageErrorf("%s: unknown flag --%s; see %s --help", where, name, where)
	}
	return usageErrorf("%s: %s; see %s --help", where, msg, where)
}

func unknownCommand(c *cli.Context, name string) error {
	if near := cli.SuggestCommand(c.App.Commands, name); near != "" {
		return usageErrorf("unknown command %q; did you mean %q?", name, near)
	}
	return usageErrorf("unknown command %q; see rootcast --help", name)
}
