package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/common/libimage"
	"go.podman.io/common/libimage/manifests"
	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/pkg/compression"
	"go.podman.io/image/v5/signature"
	istorage "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/transports"
	"go.podman.io/image/v5/transports/alltransports"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
)

// PushOptions say how Push moves an image. The zero value pushes the layers as
// gzip, which every registry and client reads.
type PushOptions struct {
	Registry         Registry
	Platform         string // OS/ARCH[/VARIANT]: of an index this image alone; "": all of it
	Compress         string // gzip, zstd or zstd:chunked
	CompressionLevel *int
	ForceCompression *bool     // send layers anew that are there in another compression; nil: where Compress is set
	Retry            int       // times to try again; 0: 3, less: never
	Progress         io.Writer // lines for people, or a terminal's bars; nil: nowhere
	TempDir          string    // default: /var/tmp
}

// Push copies an image of the store to dest, a registry name or any
// transport:reference; "" is the image's own name. The result's Names hold
// what was written, with its digest.
func (s *Store) Push(ctx context.Context, image, dest string, o PushOptions) (Result, error) {
	img, name, err := s.find(image)
	if err != nil {
		return Result{}, fmt.Errorf("pushing %s: %w", image, err)
	}
	destRef, err := pushDestination(dest, name, img)
	if err != nil {
		return Result{}, fmt.Errorf("pushing %s: %w", image, err)
	}
	result, err := s.push(ctx, img, destRef, o)
	if err != nil {
		return Result{}, fmt.Errorf("pushing %s to %s: %w", image, transports.ImageName(destRef), Explain(err))
	}
	return result, nil
}

// PushByDigest copies an image of the store to a repository without giving it a
// tag there: only who knows the result's Digest finds it.
func (s *Store) PushByDigest(ctx context.Context, image, repository string, o PushOptions) (Result, error) {
	img, _, err := s.find(image)
	if err != nil {
		return Result{}, fmt.Errorf("pushing %s: %w", image, err)
	}
	named, err := reference.ParseNormalizedNamed(repository)
	if err != nil {
		return Result{}, fmt.Errorf("pushing %s: repository %q: %w", image, repository, err)
	}
	destRef, err := docker.NewReferenceUnknownDigest(named)
	if err != nil {
		return Result{}, fmt.Errorf("pushing %s: repository %q may have neither tag nor digest: %w", image, repository, err)
	}
	result, err := s.push(ctx, img, destRef, o)
	if err != nil {
		return Result{}, fmt.Errorf("pushing to %s: %w", named, Explain(err))
	}
	return result, nil
}

func (s *Store) push(ctx context.Context, img *libimage.Image, dest types.ImageReference, o PushOptions) (Result, error) {
	t := transfer{registry: o.Registry, retry: retries(o.Retry), progress: o.Progress, fromStore: true}
	opts, err := o.copyOptions(dest, img)
	if err != nil {
		return Result{}, err
	}
	src, err := s.pushSource(ctx, img, o, opts)
	if err != nil {
		return Result{}, err
	}
	undo := newDestination(dest)
	bytes, err := t.copy(ctx, dest, src, opts)
	if err != nil && strings.Contains(err.Error(), "does not support copying multiple images") {
		err = fmt.Errorf("this is an index of several images, and %s: takes one: name its --platform", dest.Transport().Name())
	}
	if err != nil {
		undo()
		return Result{}, err
	}
	d, err := manifest.Digest(bytes)
	if err != nil {
		return Result{}, err
	}
	return Result{ID: img.ID(), Digest: d, Names: []string{withDigest(dest, d)}}, nil
}

// find looks an image up by what a user calls it; name is its full name, or ""
// if it was found otherwise.
func (s *Store) find(image string) (_ *libimage.Image, name string, err error) {
	rt, err := s.runtime(s.registry)
	if err != nil {
		return nil, "", err
	}
	img, found, err := rt.LookupImage(strings.TrimPrefix(image, "containers-storage:"), &libimage.LookupImageOptions{ManifestList: true})
	if errors.Is(err, storage.ErrImageUnknown) {
		return nil, "", &explained{"there is no such image in the store; rootcast images lists what there is", err}
	}
	if err != nil {
		return nil, "", err
	}
	if _, err := reference.ParseNamed(found); err == nil && !strings.HasPrefix(img.ID(), found) {
		name = found
	} else if len(img.Names()) > 0 {
		name = img.Names()[0]
	}
	return img, name, nil
}

// ValidatePushTag finds, before any work, what keeps an image from being pushed
// to where its name tag says.
func ValidatePushTag(tag string) error {
	named, err := normalizeTag(tag)
	if err != nil {
		return err
	}
	if _, err := pushDestination("", named.String(), nil); err != nil {
		return fmt.Errorf("pushing %s: %w", tag, err)
	}
	return nil
}

// pushDestination is where to push; without a word from the user, to the
// registry that the image's name begins with.
func pushDestination(dest, name string, img *libimage.Image) (types.ImageReference, error) {
	if dest == "" {
		switch {
		case name == "":
			return nil, fmt.Errorf("image %s has no name; say where to push it", img.ID()[:12])
		case strings.HasPrefix(name, "localhost/"):
			return nil, fmt.Errorf("the name begins with no registry; say where to push it, as in rootcast push %s registry.example/%s",
				name, strings.TrimPrefix(name, "localhost/"))
		}
		dest = name
	}
	if HasTransport(dest) {
		ref, err := alltransports.ParseImageName(dest)
		if err != nil {
			return nil, fmt.Errorf("destination %s: %w", dest, err)
		}
		return ref, nil
	}
	ref, err := alltransports.ParseImageName("docker://" + dest)
	if err != nil {
		return nil, fmt.Errorf("destination %s is neither REGISTRY/NAME[:TAG] nor transport:reference: %w", dest, err)
	}
	return ref, nil
}

// pushSource is img to read from: all images of an index, or the one for a platform.
func (s *Store) pushSource(ctx context.Context, img *libimage.Image, o PushOptions, opts *copy.Options) (types.ImageReference, error) {
	isList, err := img.IsManifestList(ctx)
	if err != nil {
		return nil, err
	}
	if !isList {
		if err := s.checkPlatform(ctx, img, o.Platform); err != nil {
			return nil, err
		}
		return istorage.Transport.NewStoreReference(s.store, nil, img.ID())
	}
	_, list, err := manifests.LoadFromImage(s.store, img.ID())
	if err != nil {
		return nil, err
	}
	opts.ImageListSelection = copy.CopyAllImages
	if o.Platform != "" {
		opts.ImageListSelection = copy.CopySystemImage
		if err := choosePlatform(opts.SourceCtx, o.Platform); err != nil {
			return nil, err
		}
	}
	return list.Reference(s.store, opts.ImageListSelection, nil)
}

// checkPlatform tells whether an image that is no index is for a platform ("": any).
func (s *Store) checkPlatform(ctx context.Context, img *libimage.Image, platform string) error {
	if platform == "" {
		return nil
	}
	is, err := s.platform(ctx, img)
	if err == nil && !samePlatform(is, platform) {
		err = fmt.Errorf("the image is for %s, not for %s", is, platform)
	}
	return err
}

func (o PushOptions) copyOptions(dest types.ImageReference, img *libimage.Image) (*copy.Options, error) {
	sys := o.Registry.SystemContext()
	sys.BigFilesTemporaryDir = o.TempDir
	opts := &copy.Options{SourceCtx: &types.SystemContext{BigFilesTemporaryDir: o.TempDir}, DestinationCtx: sys, ReportWriter: o.Progress}
	if o.Compress != "" {
		algorithm, err := compression.AlgorithmByName(o.Compress)
		if err != nil {
			return nil, err
		}
		sys.CompressionFormat = &algorithm
		opts.ForceCompressionFormat = true
	}
	sys.CompressionLevel = o.CompressionLevel
	if o.ForceCompression != nil {
		opts.ForceCompressionFormat = *o.ForceCompression
	}
	if opts.ForceCompressionFormat && sys.CompressionFormat == nil {
		sys.CompressionFormat = &compression.Gzip
	}
	if dest.Transport().Name() == "docker-archive" {
		for _, name := range img.Names() {
			if named, err := reference.ParseNamed(name); err == nil {
				if tagged, ok := named.(reference.NamedTagged); ok {
					sys.DockerArchiveAdditionalTags = append(sys.DockerArchiveAdditionalTags, tagged)
				}
			}
		}
	}
	return opts, nil
}

// withDigest names what was pushed so that it can be found again.
func withDigest(ref types.ImageReference, d digest.Digest) string {
	if named := ref.DockerReference(); named != nil && ref.Transport().Name() == "docker" {
		return reference.TrimNamed(named).String() + "@" + d.String()
	}
	return transports.ImageName(ref) + "@" + d.String()
}

// newDestination returns what removes a file or directory that a failed push
// began, and touches nothing that was there before.
func newDestination(ref types.ImageReference) (undo func()) {
	switch ref.Transport().Name() {
	case "oci", "oci-archive", "docker-archive", "dir":
	default:
		return func() {}
	}
	path := ref.StringWithinTransport()
	if ref.Transport().Name() != "dir" {
		path, _, _ = strings.Cut(path, ":")
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return func() {}
	}
	return func() { _ = os.RemoveAll(path) }
}

// transfer is one copy with its retries.
type transfer struct {
	registry  Registry
	retry     int
	progress  io.Writer
	fromStore bool // what is in the store already may leave it
}

func (t transfer) copy(ctx context.Context, dest, src types.ImageReference, opts *copy.Options) (bytes []byte, err error) {
	policy, err := t.registry.SignaturePolicy()
	if err != nil {
		return nil, err
	}
	if t.fromStore {
		if policy.Transports == nil {
			policy.Transports = map[string]signature.PolicyTransportScopes{}
		}
		policy.Transports[istorage.Transport.Name()] = signature.PolicyTransportScopes{"": {signature.NewPRInsecureAcceptAnything()}}
	}
	pc, err := signature.NewPolicyContext(policy)
	if err != nil {
		return nil, fmt.Errorf("reading the signature policy: %w", err)
	}
	defer func() {
		if derr := pc.Destroy(); err == nil {
			err = derr
		}
	}()
	err = t.again(ctx, func() error {
		bytes, err = copy.Image(ctx, pc, dest, src, opts)
		return err
	})
	return bytes, err
}
