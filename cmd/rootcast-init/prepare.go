package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	applied "github.com/rootcast/rootcast/cmd/rootcast-init/statelite"
	"github.com/rootcast/rootcast/convert/statelite"
)

// prepareRoot brings the node's own into the root: its state, and then its lease,
// which belongs into what is mounted on the root by then.
func (b *boot) prepareRoot(ctx context.Context) error {
	if err := b.applyStatelite(ctx); err != nil {
		return err
	}
	if b.lease != nil {
		// Without it the system asks for an address by itself.
		b.warn(b.lease.HandOver(newRoot, "/run"))
	}
	return nil
}

// applyStatelite mounts what outlives a boot, if the image has rules for that.
func (b *boot) applyStatelite(ctx context.Context) error {
	root, err := os.OpenRoot(newRoot)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // it was only read
	f, err := root.Open(statelite.Path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the statelite rules: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	rules, err := statelite.Decode(f)
	if err != nil {
		return fmt.Errorf("%w: %w", err, errForGood)
	}
	if b.lease == nil && isRemote(b.options.Persistent) {
		if err := b.networkUp(ctx); err != nil {
			return err
		}
	}
	_, err = applied.Apply(ctx, applied.Options{
		Root: newRoot, Rules: rules, Persistent: b.options.Persistent, PersistentOpts: b.options.PersistentOpts,
		LocalDisk: b.options.LocalDisk, Node: b.nodeName(), Format: b.options.Format, Log: b.log.Printf,
	})
	return err
}

// isRemote tells a directory of a server, SERVER:/DIR, from a disk.
func isRemote(store string) bool {
	server, _, ok := strings.Cut(store, ":/")
	return ok && !strings.Contains(server, "=") && !strings.HasPrefix(server, "/")
}

// nodeName is what the node's directory on the server of its state is called.
func (b *boot) nodeName() string {
	switch {
	case b.options.Node != "":
		return b.options.Node
	case b.lease != nil && b.lease.Hostname != "":
		return b.lease.Hostname
	case b.lease != nil:
		return b.lease.MAC.String()
	}
	return ""
}
