package qemu

import (
	"context"
	"fmt"
	"io"
)

// Console is what a person sits at. Files are handed to QEMU as they are: it
// puts a terminal into raw mode itself and back when it ends.
type Console struct {
	In  io.Reader // the keyboard
	Out io.Writer // the guest's serial console
	Err io.Writer // QEMU's own messages
}

// Run runs a machine until it stops by itself, the person leaves it with the
// keys of QEMU's monitor (Ctrl-A X), or ctx ends. A caller that ends Run by ctx
// should put its terminal right afterwards: QEMU may have had to be killed.
func Run(ctx context.Context, m Machine, c Console) error {
	program, err := m.program()
	if err != nil {
		return err
	}
	args, err := m.args("mon:stdio")
	if err != nil {
		return err
	}
	cmd := command(ctx, program, args)
	complaint := &lastLine{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.In, c.Out, complaint
	started := make(chan error, 1)
	err = runCommand(cmd, started)
	if err := <-started; err != nil {
		return fmt.Errorf("starting %s: %w", program, err)
	}
	return ended(ctx, program, err, complaint)
}
