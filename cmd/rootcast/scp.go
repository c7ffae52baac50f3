package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// checkRemote refuses what scp would not take for [USER@]HOST, before any work.
func checkRemote(command, host, path string) error {
	bad := func(r rune) bool { return r <= ' ' || r == 0x7f }
	switch {
	case host == "" || strings.HasPrefix(host, "-") || strings.ContainsAny(host, "/:") || strings.ContainsFunc(host, bad):
		return usageErrorf("%s: -R %q is not USER@HOST", command, host)
	case strings.HasPrefix(path, "-") || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return usageErrorf("%s: %q is no path on %s", command, path, host)
	}
	if _, err := exec.LookPath("scp"); err != nil {
		return fmt.Errorf("%s: -R copies with scp, and there is none here; install it (Debian: openssh-client)", command)
	}
	return nil
}

// scp copies a file from or to another machine, asking nothing of anybody.
func scp(ctx context.Context, from, to string) error {
	cmd := exec.CommandContext(ctx, "scp", "-q", "-B", "-o", "BatchMode=yes", "--", from, to)
	var said bytes.Buffer
	cmd.Stderr = &said
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case said.Len() > 0:
		err = errors.New(oneLine(errors.New(said.String())))
	}
	return fmt.Errorf("copying %s to %s: %w", from, to, err)
}
