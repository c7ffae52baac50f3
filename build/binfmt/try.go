package binfmt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	tryTimeout = 10 * time.Second // an emulator takes some hundredths of a second
	tryArgs    = 42               // a code that nothing else ends with by chance
)

// tryFunc runs a's program, by the kernel's means or, where one is named, by an
// emulator.
type tryFunc func(ctx context.Context, a Arch, emulator string) error

// Why a program did not run as it should.
var (
	errShifted = errors.New("its arguments arrive one place too late")
	errHangs   = fmt.Errorf("it does not end within %s", tryTimeout)
)

// tryIn returns a tryFunc whose program lies in a directory below temp.
func tryIn(temp string) tryFunc {
	return func(ctx context.Context, a Arch, emulator string) (err error) {
		dir, err := os.MkdirTemp(temp, "rootcast-binfmt-")
		if err != nil {
			return fmt.Errorf("making a place for a program to try: %w", err)
		}
		defer func() {
			if rerr := os.RemoveAll(dir); err == nil {
				err = rerr
			}
		}()
		name := filepath.Join(dir, "program")
		if err := os.WriteFile(name, a.program(), 0o755); err != nil { //nolint:gosec // it is for running
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, tryTimeout)
		defer cancel()
		if emulator != "" {
			return judge(ctx, command(ctx, dir, emulator, name))
		}
		// A container has the program and not the emulator. To make such a root one
		// has to be root, and some containers' is not allowed to.
		cmd := command(ctx, "/", "/program")
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: dir}
		if os.Geteuid() == 0 {
			if err = judge(ctx, cmd); !errors.Is(err, syscall.EPERM) {
				return err
			}
		}
		return judge(ctx, command(ctx, dir, name))
	}
}

// command is a program with so many arguments that its code is tryArgs. It gets
// no environment: QEMU would take orders from it.
func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	for range tryArgs - 1 { // and its name
		args = append(args, "x")
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, []string{}
	return cmd
}

func judge(ctx context.Context, cmd *exec.Cmd) error {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return errHangs
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil:
		return errors.New("it ended at once, without running the program")
	case !errors.As(err, &exit):
		return err // it did not start
	}
	status, _ := exit.Sys().(syscall.WaitStatus)
	switch {
	case status.Signaled():
		return fmt.Errorf("it crashed: %s%s", status.Signal(), firstLine(stderr.String()))
	case status.ExitStatus() == tryArgs:
		return nil
	case status.ExitStatus() == tryArgs+1:
		return errShifted
	}
	return fmt.Errorf("it ended with exit code %d, without running the program%s", status.ExitStatus(), firstLine(stderr.String()))
}

// firstLine is what was said first, as an addition to a sentence.
func firstLine(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	if text == "" {
		return ""
	}
	return ": " + text
}
