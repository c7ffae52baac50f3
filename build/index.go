package build

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/containers/buildah/pkg/parse"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/common/libimage/manifests"
	"go.podman.io/image/v5/manifest"
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

// finishIndex replaces the index that Buildah made, in which the images stand
// in the order in which they became ready, by one in the order that was asked
// for, so that equal images make an equal index.
func (s *Store) finishIndex(id string, platforms, names []string) (Result, error) {
	_, list, err := manifests.LoadFromImage(s.store, id)
	if err != nil {
		return Result{}, fmt.Errorf("reading the index: %w", err)
	}
	order := func(m v1.Descriptor) int {
		return slices.IndexFunc(platforms, func(name string) bool {
			goos, arch, variant, err := parse.Platform(name)
			return err == nil && m.Platform != nil && m.Platform.OS == goos && m.Platform.Architecture == arch &&
				(variant == "" || m.Platform.Variant == variant)
		})
	}
	descriptors := slices.Clone(list.OCIv1().Manifests)
	slices.SortStableFunc(descriptors, func(a, b v1.Descriptor) int { return order(a) - order(b) })
	bytes, err := json.Marshal(v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: v1.MediaTypeImageIndex,
		Manifests: descriptors,
	})
	if err != nil {
		return Result{}, fmt.Errorf("writing the index: %w", err)
	}
	instances := map[digest.Digest]string{}
	for _, m := range descriptors {
		images, err := s.store.ImagesByDigest(m.Digest)
		if err != nil || len(images) == 0 {
			return Result{}, fmt.Errorf("finding image %s of the index: %w", m.Digest, errors.Join(err, storage.ErrImageUnknown))
		}
		if instances[m.Digest], err = s.reference(images[0].ID); err != nil {
			return Result{}, err
		}
	}
	result, err := s.addIndex(bytes, instances, names)
	if err != nil {
		return Result{}, err
	}
	if _, err := s.store.DeleteImage(id, true); err != nil {
		return Result{}, fmt.Errorf("removing the unordered index: %w", err)
	}
	return result, nil
}
