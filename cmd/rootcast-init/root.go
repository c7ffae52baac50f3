package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/rootcast/rootcast/cmd/rootcast-init/mounts"
	"github.com/rootcast/rootcast/convert/extract"
	"github.com/rootcast/rootcast/convert/node"
)

// rootStream is a packed root on its way.
type rootStream struct {
	io.Reader
	root  node.Root
	check func() error // reads what is left and says whether all of it is what it should be
}

// makeRoot mounts the root on newRoot: nothing of it is there before all of it
// is known to be right.
func (b *boot) makeRoot(ctx context.Context, s rootStream) error {
	began := time.Now()
	p := &progress{log: b.log, total: s.root.Size}
	s.Reader = counting{s.Reader, p}
	var err error
	if s.root.IsArchive() {
		err = b.unpackRoot(ctx, s)
	} else {
		err = b.mountRoot(ctx, s)
	}
	if err != nil {
		return err
	}
	b.log.Printf("root: %s, %s of %s, checked and mounted in %s", s.root.Method, mib(p.done), b.spec.Image, round(time.Since(began)))
	return nil
}

// unpackRoot unpacks an archive into a tmpfs while it arrives.
func (b *boot) unpackRoot(ctx context.Context, s rootStream) error {
	if err := mounts.Tmpfs(newRoot, mounts.TmpfsOptions{Limit: b.options.RootLimit, Flags: b.options.RootFlags}); err != nil {
		return err
	}
	stats, err := extract.Archive(ctx, s, newRoot, extract.Options{
		Method: s.root.Method, Compress: s.root.Compress, Segments: s.root.Segments, Log: b.log.Debugf,
	})
	// Bytes that are not the right ones explain whatever they led to.
	if bad := s.check(); bad != nil {
		return bad
	}
	if err != nil {
		return err
	}
	for _, w := range stats.Warnings {
		b.log.Printf("warning: %s", w)
	}
	b.log.Debugf("unpacked %d files, %s, extended attributes of %d", stats.Entries, mib(stats.Bytes), stats.XattrFiles)
	return nil
}

// imageDir is where a packed file system stays, in a tmpfs of its own.
const imageDir = "/run/rootcast/image"

// mountRoot keeps a packed file system in memory as it is, and mounts it below
// an overlay.
func (b *boot) mountRoot(ctx context.Context, s rootStream) error {
	kind := s.root.Method
	b.need(ctx, "loop", "overlay", kind)
	// Half of the memory is the default limit of a tmpfs; the image may need more.
	if err := mounts.Tmpfs(imageDir, mounts.TmpfsOptions{Limit: "100%"}); err != nil {
		return err
	}
	path := filepath.Join(imageDir, "rootimg")
	if err := keep(path, s); err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	lower, err := mounts.Image(path, kind)
	if err != nil {
		return fmt.Errorf("%w: %w", err, errForGood)
	}
	upper, err := b.upper(ctx, lower)
	if err != nil {
		return err
	}
	return mounts.Overlay(newRoot, lower, upper)
}

// keep writes the stream into a file.
func keep(path string, r io.Reader) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	const piece = 1 << 20
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, r, make([]byte, piece))
	return err
}

// upper is where the overlay keeps what the node writes.
func (b *boot) upper(ctx context.Context, lower string) (string, error) {
	if b.options.Zram == "" {
		return mounts.UpperTmpfs(mounts.TmpfsOptions{Limit: b.options.RootLimit, Flags: b.options.RootFlags})
	}
	b.need(ctx, "zram", "ext4")
	return mounts.UpperZram(ctx, b.options.Zram, lower)
}
