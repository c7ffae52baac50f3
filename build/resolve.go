package build

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.podman.io/common/libimage"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/shortnames"
	istorage "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/transports"
	"go.podman.io/storage"
)

// Resolve turns what a user calls an image into a reference that any package
// can open with alltransports.ParseImageName.
//
// A name with a transport (oci:, docker://, …) is returned as it is and counts
// as found. Anything else is looked for in the store, by name (a short name
// first under localhost/), by ID or by digest; what is there becomes
// containers-storage:[driver@root+runroot]@ID. What is not becomes the
// docker:// reference that a pull would try, and found is false.
func (s *Store) Resolve(ctx context.Context, name string) (ref string, found bool, err error) {
	if HasTransport(name) {
		return name, true, nil
	}
	if err := ctx.Err(); err != nil {
		return "", false, err
	}
	img, err := s.lookup(name)
	switch {
	case err == nil:
		ref, err := s.reference(img.ID())
		return ref, err == nil, err
	case !errors.Is(err, storage.ErrImageUnknown):
		return "", false, fmt.Errorf("looking for image %s: %w", name, err)
	}
	named, err := s.registry.pullName(name)
	if err != nil {
		return "", false, err
	}
	return "docker://" + named.String(), false, nil
}

// HasTransport tells whether an image's name says by itself where the image is:
// docker://, oci:, oci-archive:, docker-archive:, dir: and so on.
func HasTransport(name string) bool {
	transport, _, ok := strings.Cut(name, ":")
	return ok && transports.Get(transport) != nil
}

// lookup finds an image or an index in the store.
func (s *Store) lookup(name string) (*libimage.Image, error) {
	rt, err := s.runtime(s.registry)
	if err != nil {
		return nil, err
	}
	if rest, ok := strings.CutPrefix(name, "containers-storage:"); ok && !strings.HasPrefix(rest, "[") {
		name = rest
	}
	img, _, err := rt.LookupImage(name, &libimage.LookupImageOptions{ManifestList: true})
	return img, err
}

// reference is the full reference of the image id in this store.
func (s *Store) reference(id string) (string, error) {
	ref, err := istorage.Transport.NewStoreReference(s.store, nil, id)
	if err != nil {
		return "", fmt.Errorf("naming image %s: %w", id, err)
	}
	return transports.ImageName(ref), nil
}

// pullName is the registry name that a short name stands for: the first that
// registries.conf gives, docker.io where it gives none.
func (r Registry) pullName(name string) (reference.Named, error) {
	if _, err := reference.ParseAnyReference(name); err != nil {
		return nil, fmt.Errorf("%q is neither an image name, an ID nor a transport:reference: %w", name, err)
	}
	resolved, err := shortnames.Resolve(r.SystemContext(), name)
	if err == nil && len(resolved.PullCandidates) > 0 {
		return reference.TagNameOnly(resolved.PullCandidates[0].Value), nil
	}
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, fmt.Errorf("%q is not the name of an image: %w", name, err)
	}
	return reference.TagNameOnly(named), nil
}
