package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/manifest"
	istorage "go.podman.io/image/v5/storage"
	"go.podman.io/storage"
)

// addIndex records an index with the bytes it has. It is what libimage's
// SaveToImage does, but for writing the manifest anew, which would change its
// digest. instances says which image of the store each of its digests is.
func (s *Store) addIndex(bytes []byte, instances map[digest.Digest]string, names []string) (Result, error) {
	table, err := json.Marshal(instances)
	if err != nil {
		return Result{}, fmt.Errorf("recording the index: %w", err)
	}
	d, err := manifest.Digest(bytes)
	if err != nil {
		return Result{}, fmt.Errorf("recording the index: %w", err)
	}
	_, err = s.store.CreateImage(d.Encoded(), nil, "", "", &storage.ImageOptions{BigData: []storage.ImageBigDataOption{
		{Key: storage.ImageDigestBigDataKey, Data: bytes, Digest: d},
		{Key: "instances.json", Data: table},
		{Key: "artifacts.json", Data: []byte("{}")},
	}})
	if err != nil && !errors.Is(err, storage.ErrDuplicateID) {
		return Result{}, fmt.Errorf("recording the index: %w", err)
	}
	if len(names) > 0 {
		if err := s.store.AddNames(d.Encoded(), names); err != nil {
			return Result{}, fmt.Errorf("naming the index: %w", err)
		}
	}
	return s.result(d.Encoded())
}

// MakeIndex makes an index of images of the store, in their order, so that equal
// images make an equal index, and names it.
func (s *Store) MakeIndex(ctx context.Context, ids, tags []string) (Result, error) {
	names, err := normalizeTags(tags)
	if err != nil {
		return Result{}, err
	}
	index := v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex}
	instances := map[digest.Digest]string{}
	for _, id := range ids {
		d, err := s.descriptor(ctx, id)
		if err != nil {
			return Result{}, fmt.Errorf("reading image %s for the index: %w", id, err)
		}
		if instances[d.Digest], err = s.reference(id); err != nil {
			return Result{}, err
		}
		index.Manifests = append(index.Manifests, d)
	}
	bytes, err := json.Marshal(index)
	if err != nil {
		return Result{}, fmt.Errorf("writing the index: %w", err)
	}
	return s.addIndex(bytes, instances, names)
}

// descriptor describes an image of the store as an index does (image-spec,
// image-index.md).
func (s *Store) descriptor(ctx context.Context, id string) (_ v1.Descriptor, err error) {
	ref, err := istorage.Transport.NewStoreReference(s.store, nil, id)
	if err != nil {
		return v1.Descriptor{}, err
	}
	img, err := ref.NewImage(ctx, s.registry.SystemContext())
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	bytes, mediaType, err := img.Manifest(ctx)
	if err != nil {
		return v1.Descriptor{}, err
	}
	config, err := img.OCIConfig(ctx)
	if err != nil {
		return v1.Descriptor{}, err
	}
	platform := v1.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}
	if platform.Architecture == "arm64" && platform.Variant == "v8" {
		platform.Variant = "" // which all of them are (containerd/platforms, normalizeArch)
	}
	return v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(bytes), Size: int64(len(bytes)), Platform: &platform}, nil
}
