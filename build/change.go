package build

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containers/buildah"
	"github.com/containers/buildah/define"
	istorage "go.podman.io/image/v5/storage"
)

// Change says what becomes of an image whose root is changed.
type Change struct {
	Image   string // ID or name in the store
	Tag     string // name of the changed image
	History string // what changed it, for the image's history
	TempDir string // default: /var/tmp
}

// Change makes another image of one in the store: change is given a directory that
// is the image's root, and what it does there becomes a layer on top. Nothing of
// the image is run, so it may be of any architecture. The same change makes the
// same image: it is as old as the one that it was made of, and no file in the layer
// is newer. The image that was called c.Tag before stays without that name.
func (s *Store) Change(ctx context.Context, c Change, change func(ctx context.Context, root string) error) (_ Result, err error) {
	names, err := normalizeTags([]string{c.Tag})
	if err != nil {
		return Result{}, err
	}
	space, err := s.newWorkspace(c.TempDir)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, space.close()) }()
	istorage.Transport.SetStore(s.store)
	tmp, err := temporaryName()
	if err != nil {
		return Result{}, err
	}
	if err := s.change(ctx, space, c, tmp.String(), change); err != nil {
		return Result{}, fmt.Errorf("changing %s: %w", c.Image, Explain(err))
	}
	return s.rename(tmp.String(), names)
}

func (s *Store) change(ctx context.Context, space *workspace, c Change, name string, change func(context.Context, string) error) error {
	b, err := s.newContainer(ctx, space, Command{Image: c.Image})
	if err != nil {
		return fmt.Errorf("making a container: %w", err)
	}
	root, err := b.Mount("")
	if err != nil {
		return fmt.Errorf("mounting a container: %w", err)
	}
	if err := change(ctx, root); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	dest, err := istorage.Transport.ParseStoreReference(s.store, name)
	if err != nil {
		return err
	}
	created := time.Unix(0, 0)
	if b.OCIv1.Created != nil {
		created = *b.OCIv1.Created
	}
	sys := s.registry.SystemContext()
	sys.BigFilesTemporaryDir = space.tmp
	b.SetCreatedBy(c.History)
	_, _, _, err = b.Commit(ctx, dest, buildah.CommitOptions{
		PreferredManifestType: define.OCIv1ImageManifest, Compression: define.Uncompressed,
		SourceDateEpoch: &created, RewriteTimestamp: true,
		SystemContext: sys, SignaturePolicyPath: sys.SignaturePolicyPath,
	})
	return err
}
