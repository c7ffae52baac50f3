package build

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/pkg/blobinfocache/none"
	istorage "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/types"
)

// Result is an image that an operation made or brought.
type Result struct {
	ID     string        // of the image in the store
	Digest digest.Digest // of its manifest
	Names  []string      // all the names it has now
}

// ImageSpec describes a one-layer image.
type ImageSpec struct {
	Layer    io.Reader // an uncompressed tar
	Platform v1.Platform
	Created  time.Time // also of the history entry
	Author   string
	History  string // what made the layer, for the image's history
	Env      []string
	Cmd      []string
	Labels   map[string]string
	Tags     []string // names in the store
}

// AddImage puts an image of one layer into the store. The same layer and
// description always make the same image, with the same digest.
func (s *Store) AddImage(ctx context.Context, spec ImageSpec) (_ Result, err error) {
	names, err := normalizeTags(spec.Tags)
	if err != nil {
		return Result{}, err
	}
	// The name is given at the end, so that a failure leaves the old one alone.
	tmp, err := temporaryName()
	if err != nil {
		return Result{}, err
	}
	ref, err := istorage.Transport.NewStoreReference(s.store, tmp, "")
	if err != nil {
		return Result{}, fmt.Errorf("adding an image: %w", err)
	}
	dest, err := ref.NewImageDestination(ctx, s.registry.SystemContext())
	if err != nil {
		return Result{}, fmt.Errorf("adding an image: %w", err)
	}
	defer func() {
		if cerr := dest.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("adding an image: %w", cerr)
		}
	}()
	manifest, err := putImage(ctx, dest, spec)
	if err != nil {
		return Result{}, fmt.Errorf("adding an image: %w", err)
	}
	if err := dest.Commit(ctx, image.UnparsedInstance(&manifestOnly{ref: ref, manifest: manifest}, nil)); err != nil {
		return Result{}, fmt.Errorf("adding an image: %w", err)
	}
	return s.rename(tmp.String(), names)
}

// putImage writes layer, configuration and manifest and returns the manifest.
func putImage(ctx context.Context, dest types.ImageDestination, spec ImageSpec) ([]byte, error) {
	layer, err := dest.PutBlob(ctx, contextReader{ctx, spec.Layer}, types.BlobInfo{Size: -1}, none.NoCache, false)
	if err != nil {
		return nil, fmt.Errorf("writing the layer: %w", err)
	}
	config, err := json.Marshal(spec.config(layer.Digest))
	if err != nil {
		return nil, fmt.Errorf("encoding the configuration: %w", err)
	}
	configInfo := types.BlobInfo{Digest: digest.FromBytes(config), Size: int64(len(config))}
	if _, err := dest.PutBlob(ctx, bytes.NewReader(config), configInfo, none.NoCache, true); err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	manifest, err := json.Marshal(v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: v1.MediaTypeImageManifest,
		Config:    v1.Descriptor{MediaType: v1.MediaTypeImageConfig, Digest: configInfo.Digest, Size: configInfo.Size},
		Layers:    []v1.Descriptor{{MediaType: v1.MediaTypeImageLayer, Digest: layer.Digest, Size: layer.Size}},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the manifest: %w", err)
	}
	if err := dest.PutManifest(ctx, manifest, nil); err != nil {
		return nil, fmt.Errorf("writing the manifest: %w", err)
	}
	return manifest, nil
}

// config is the image's configuration over a layer with the given diffID.
func (spec ImageSpec) config(diffID digest.Digest) v1.Image {
	created := spec.Created.UTC()
	return v1.Image{
		Created:  &created,
		Author:   spec.Author,
		Platform: spec.Platform,
		Config:   v1.ImageConfig{Env: spec.Env, Cmd: spec.Cmd, Labels: spec.Labels},
		RootFS:   v1.RootFS{Type: "layers", DiffIDs: []digest.Digest{diffID}},
		History:  []v1.History{{Created: &created, CreatedBy: spec.History, Author: spec.Author}},
	}
}

// contextReader stops a long read when its context ends.
type contextReader struct {
	ctx context.Context //nolint:containedctx // an io.Reader has no other way
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// manifestOnly is the image source that Commit asks for the manifest.
type manifestOnly struct {
	types.ImageSource
	ref      types.ImageReference
	manifest []byte
}

func (m *manifestOnly) Reference() types.ImageReference { return m.ref }

func (m *manifestOnly) GetManifest(context.Context, *digest.Digest) ([]byte, string, error) {
	return m.manifest, v1.MediaTypeImageManifest, nil
}

func (m *manifestOnly) GetSignatures(context.Context, *digest.Digest) ([][]byte, error) {
	return nil, nil
}
