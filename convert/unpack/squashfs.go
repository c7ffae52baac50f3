package unpack

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/rootcast/rootcast/convert/ctxio"
)

// walkSquashFS has sqfs2tar make a tar of the file system, and reads that as it comes.
func (r Root) walkSquashFS(ctx context.Context, f func(*Entry) error) error {
	program, err := exec.LookPath("sqfs2tar")
	if err != nil {
		return errors.New("reading a squashfs: sqfs2tar is not installed here: install the package squashfs-tools-ng")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--root-becomes", ".", "--no-skip", r.Path)
	cmd.WaitDelay = 2 * time.Second
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("running sqfs2tar: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("running sqfs2tar: %w", err)
	}
	walkErr := walkTar(ctxio.NewReader(ctx, out, r.Count), f)
	if walkErr != nil {
		cancel() // it may still wait for somebody who reads
	}
	err = cmd.Wait()
	said := strings.Join(strings.Split(strings.TrimSpace(stderr.String()), "\n"), "; ")
	switch {
	case walkErr != nil && said == "":
		return walkErr
	case walkErr != nil:
		return fmt.Errorf("%w; sqfs2tar says: %s", walkErr, said)
	case err != nil:
		return fmt.Errorf("running sqfs2tar: %w: %s", err, said)
	}
	return nil
}
