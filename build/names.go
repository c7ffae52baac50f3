package build

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.podman.io/common/libimage"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/storage"
)

// temporaryPrefix begins the names that images under construction have; prune
// removes what a killed process left under such a name.
const temporaryPrefix = "localhost/rootcast-unfinished/"

// ValidateTag checks that tag can name an image: NAME[:TAG], lower case, with
// no digest.
func ValidateTag(tag string) error {
	_, err := normalizeTag(tag)
	return err
}

// normalizeTag is the full name of tag: localhost/ before a short name and
// :latest where it has no tag, as podman and buildah do.
func normalizeTag(tag string) (reference.Named, error) {
	if tag == "" {
		return nil, errors.New("an image name is empty")
	}
	named, err := libimage.NormalizeName(tag)
	if err != nil {
		if low := strings.ToLower(tag); low != tag {
			if _, lerr := libimage.NormalizeName(low); lerr == nil {
				return nil, fmt.Errorf("image name %q must be lower case, as in %s", tag, low)
			}
		}
		return nil, fmt.Errorf("%q is not a valid image name; it is [REGISTRY/]NAME[:TAG]: %w", tag, err)
	}
	if _, ok := named.(reference.Digested); ok {
		return nil, fmt.Errorf("image name %q has a digest, which is not ours to choose; use NAME:TAG", tag)
	}
	return named, nil
}

func normalizeTags(tags []string) ([]string, error) {
	names := make([]string, 0, len(tags))
	for _, tag := range tags {
		named, err := normalizeTag(tag)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(names, named.String()) {
			names = append(names, named.String())
		}
	}
	return names, nil
}

// temporaryName is a name no image has.
func temporaryName() (reference.NamedTagged, error) {
	named, err := reference.ParseNormalizedNamed(temporaryPrefix + strings.ToLower(rand.Text()))
	if err != nil {
		return nil, err
	}
	return reference.WithTag(named, "new")
}

// rename takes the temporary name away from the image that has it and gives it
// names instead, in addition to those it has from earlier.
func (s *Store) rename(tmp string, names []string) (Result, error) {
	img, err := s.store.Image(tmp)
	if err != nil {
		return Result{}, fmt.Errorf("naming the image: %w", err)
	}
	if len(names) > 0 {
		if err := s.store.AddNames(img.ID, names); err != nil {
			return Result{}, fmt.Errorf("naming the image %s: %w", strings.Join(names, ", "), err)
		}
	}
	if err := s.store.RemoveNames(img.ID, []string{tmp}); err != nil {
		return Result{}, fmt.Errorf("naming the image: %w", err)
	}
	return s.result(img.ID)
}

func (s *Store) result(id string) (Result, error) {
	img, err := s.store.Image(id)
	if err != nil {
		return Result{}, fmt.Errorf("reading image %s: %w", id, err)
	}
	return imageResult(img), nil
}

func imageResult(img *storage.Image) Result {
	return Result{ID: img.ID, Digest: img.Digest, Names: img.Names}
}
