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

// Edit is a change of an image by this process rather than by a program of the
// image: it becomes a layer above the image's own.
type Edit struct {
	Image   string            // ID or name in the store
	Tags    []string          // names of the result
	Labels  map[string]string // of the result, beside the image's
	History string            // what made the layer, for the image's history
	// Change is given the directory that holds the image's root, and changes it.
	// Links in there may lead out of it.
	Change  func(root string) error
	TempDir string // default: /var/tmp
}

// Edit makes an image of another one by a change of its root, and leaves the other
// as it is. No file of the new layer is newer than the image that it is made of, so
// that the same change makes the same image.
func (s *Store) Edit(ctx context.Context, e Edit) (_ Result, err error) {
	names, err := normalizeTags(e.Tags)
	if err != nil {
		return Result{}, err
	}
	space, err := s.newWorkspace(e.TempDir)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, space.close()) }()
	istorage.Transport.SetStore(s.store)
	var id string
	if err := guard(ctx, func() (err error) {
		id, err = s.edit(ctx, space, e)
		return err
	}); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return Result{}, fmt.Errorf("changing image %s: %w", e.Image, err)
	}
	if err := s.Tag(ctx, id, names...); err != nil {
		return Result{}, err
	}
	return s.result(id)
}

func (s *Store) edit(ctx context.Context, space *workspace, e Edit) (string, error) {
	b, err := s.newContainer(ctx, space, Command{Image: e.Image})
	if err != nil {
		return "", fmt.Errorf("making a container: %w", err)
	}
	root, err := b.Mount("")
	if err != nil {
		return "", fmt.Errorf("mounting a container: %w", err)
	}
	if err := e.Change(root); err != nil {
		return "", err
	}
	if err := b.Unmount(); err != nil {
		return "", fmt.Errorf("unmounting a container: %w", err)
	}
	for key, value := range e.Labels {
		b.SetLabel(key, value)
	}
	b.SetHistoryComment("")
	b.SetCreatedBy(e.History)
	created := time.Unix(0, 0).UTC()
	if b.OCIv1.Created != nil {
		created = b.OCIv1.Created.UTC()
	}
	id, _, _, err := b.Commit(ctx, nil, buildah.CommitOptions{
		PreferredManifestType: define.OCIv1ImageManifest,
		Compression:           define.Uncompressed,
		SystemContext:         s.registry.SystemContext(),
		SourceDateEpoch:       &created,
		RewriteTimestamp:      true,
	})
	return id, err
}
