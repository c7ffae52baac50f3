package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/common/libimage"
	"go.podman.io/common/libimage/manifests"
	"go.podman.io/storage"
)

// Image is what the store knows of an image without reading its layers.
type Image struct {
	ID        string        `json:"id"`
	Names     []string      `json:"names"`
	Digest    digest.Digest `json:"digest"`
	Platforms []string      `json:"platforms"` // of an index those of its images
	Index     bool          `json:"index"`
	Created   time.Time     `json:"created"`
	Size      int64         `json:"size"` // of its files, uncompressed
}

// Images lists the store's images, the newest first. Images without a name
// that others are built on or that an index holds are left out unless all is
// set.
func (s *Store) Images(ctx context.Context, all bool) ([]Image, error) {
	rt, err := s.runtime(s.registry)
	if err != nil {
		return nil, err
	}
	found, err := rt.ListImages(ctx, &libimage.ListImagesOptions{SetListData: true})
	if err != nil {
		return nil, fmt.Errorf("listing images: %w", err)
	}
	list := []Image{}
	for _, img := range found {
		info, err := s.imageInfo(ctx, img)
		if errors.Is(err, storage.ErrImageUnknown) || errors.Is(err, storage.ErrLayerUnknown) {
			continue // removed by another process meanwhile
		}
		// One that lacks a part is listed as far as it is known, to be removed.
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("reading image %s: %w", img.ID(), err)
		}
		if all || !hidden(img, info) {
			list = append(list, info)
		}
	}
	slices.SortStableFunc(list, func(a, b Image) int { return b.Created.Compare(a.Created) })
	return list, nil
}

// hidden tells the inner images, which nobody calls by name: those that others
// are built on or an index holds, and steps of a build before its first layer.
func hidden(img *libimage.Image, info Image) bool {
	if len(info.Names) > 0 || info.Index {
		return false
	}
	dangling := img.ListData.IsDangling
	return dangling != nil && !*dangling || img.TopLayer() == ""
}

func (s *Store) imageInfo(ctx context.Context, img *libimage.Image) (Image, error) {
	info := Image{ID: img.ID(), Names: slices.Clone(img.Names()), Digest: img.Digest(), Platforms: []string{}, Created: img.Created()}
	slices.Sort(info.Names)
	if info.Names == nil {
		info.Names = []string{}
	}
	var err error
	if info.Index, err = img.IsManifestList(ctx); err != nil {
		return info, err
	}
	if !info.Index {
		if info.Size, err = img.Size(); err != nil {
			return info, err
		}
		platform, err := s.platform(ctx, img)
		if err == nil {
			info.Platforms = append(info.Platforms, platform)
		}
		return info, err
	}
	_, list, err := manifests.LoadFromImage(s.store, img.ID())
	if err != nil {
		return info, err
	}
	for _, m := range list.OCIv1().Manifests {
		if m.Platform != nil {
			info.Platforms = append(info.Platforms, platformName(m.Platform.OS, m.Platform.Architecture, m.Platform.Variant))
		}
		members, err := s.store.ImagesByDigest(m.Digest)
		if err != nil {
			return info, err
		}
		if len(members) > 0 {
			size, err := s.store.ImageSize(members[0].ID)
			if err != nil {
				return info, err
			}
			info.Size += size
		}
	}
	return info, nil
}

func (s *Store) platform(ctx context.Context, img *libimage.Image) (_ string, err error) {
	ref, err := img.StorageReference()
	if err != nil {
		return "", err
	}
	opened, err := ref.NewImage(ctx, s.registry.SystemContext())
	if err != nil {
		return "", err
	}
	defer func() {
		if cerr := opened.Close(); err == nil {
			err = cerr
		}
	}()
	config, err := opened.OCIConfig(ctx)
	if err != nil {
		return "", err
	}
	return platformName(config.OS, config.Architecture, config.Variant), nil
}

func platformName(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "/")
}

// Tag gives the image more names. A name that another image has moves.
func (s *Store) Tag(_ context.Context, image string, names ...string) error {
	full, err := normalizeTags(names)
	if err != nil {
		return fmt.Errorf("tagging %s: %w", image, err)
	}
	img, _, err := s.find(image)
	if err != nil {
		return fmt.Errorf("tagging %s: %w", image, err)
	}
	if err := s.store.AddNames(img.ID(), full); err != nil {
		return fmt.Errorf("tagging %s: %w", image, err)
	}
	return nil
}

// Removed is what Remove and Prune took away.
type Removed struct {
	Untagged []string // names
	Deleted  []string // image IDs
}

// Remove takes the given name away from an image, and deletes the image with
// its last name or when it is called by its ID. With force, an image goes with
// all of its names and the containers that use it.
func (s *Store) Remove(ctx context.Context, force bool, images ...string) (Removed, error) {
	var total Removed
	var errs []error
	for _, name := range images {
		removed, err := s.removeOne(ctx, force, name)
		total.Untagged = append(total.Untagged, removed.Untagged...)
		total.Deleted = append(total.Deleted, removed.Deleted...)
		if err != nil {
			errs = append(errs, fmt.Errorf("removing %s: %w", name, err))
		}
	}
	return total, errors.Join(errs...)
}

// RemoveAll deletes every image that no container uses; with force the
// containers go first.
func (s *Store) RemoveAll(ctx context.Context, force bool) (Removed, error) {
	images, err := s.Images(ctx, true)
	if err != nil {
		return Removed{}, err
	}
	// An index goes before its images, which it would hold.
	slices.SortStableFunc(images, func(a, b Image) int {
		switch {
		case a.Index == b.Index:
			return 0
		case a.Index:
			return -1
		}
		return 1
	})
	var names []string
	for _, img := range images {
		names = append(names, img.Names...)
		if len(img.Names) == 0 {
			names = append(names, img.ID)
		}
	}
	total, err := s.Remove(ctx, force, names...)
	if errors.Is(err, storage.ErrImageUnknown) {
		err = nil // went with another
	}
	return total, err
}

func (s *Store) removeOne(ctx context.Context, force bool, name string) (Removed, error) {
	img, _, err := s.find(name)
	if err != nil {
		return Removed{}, err
	}
	rt, err := s.runtime(s.registry)
	if err != nil {
		return Removed{}, err
	}
	isList, err := img.IsManifestList(ctx)
	if err != nil {
		return Removed{}, err
	}
	var members []digest.Digest
	if isList {
		_, list, err := manifests.LoadFromImage(s.store, img.ID())
		if err != nil {
			return Removed{}, err
		}
		members = list.Instances()
	}
	removed, err := remove(ctx, rt, []string{name}, &libimage.RemoveImagesOptions{Force: force, LookupManifest: isList})
	if err != nil || len(removed.Deleted) == 0 {
		return removed, err
	}
	orphans, err := s.removeMembers(ctx, rt, members)
	removed.Deleted = append(removed.Deleted, orphans.Deleted...)
	return removed, err
}

// removeMembers deletes the images of a deleted index that have no name and
// that nothing else needs.
func (s *Store) removeMembers(ctx context.Context, rt *libimage.Runtime, members []digest.Digest) (Removed, error) {
	var ids []string
	for _, d := range members {
		images, err := s.store.ImagesByDigest(d)
		if err != nil {
			return Removed{}, err
		}
		for _, img := range images {
			if len(img.Names) == 0 {
				ids = append(ids, img.ID)
			}
		}
	}
	var total Removed
	for _, id := range ids {
		img, _, err := rt.LookupImage(id, nil)
		if errors.Is(err, storage.ErrImageUnknown) {
			continue
		}
		if err != nil {
			return total, err
		}
		if unused, err := img.IsDangling(ctx); err != nil || !unused {
			continue
		}
		removed, err := remove(ctx, rt, []string{id}, nil)
		total.Deleted = append(total.Deleted, removed.Deleted...)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

func remove(ctx context.Context, rt *libimage.Runtime, names []string, o *libimage.RemoveImagesOptions) (Removed, error) {
	reports, errs := rt.RemoveImages(ctx, names, o)
	var removed Removed
	for _, r := range reports {
		removed.Untagged = append(removed.Untagged, r.Untagged...)
		if r.Removed {
			removed.Deleted = append(removed.Deleted, r.ID)
		}
	}
	return removed, errors.Join(errs...)
}

// Labels are those of an image of the store.
func (s *Store) Labels(ctx context.Context, image string) (map[string]string, error) {
	rt, err := s.runtime(s.registry)
	if err != nil {
		return nil, err
	}
	img, _, err := rt.LookupImage(image, nil)
	if err != nil {
		return nil, fmt.Errorf("reading image %s: %w", image, err)
	}
	labels, err := img.Labels(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading image %s: %w", image, err)
	}
	return labels, nil
}
