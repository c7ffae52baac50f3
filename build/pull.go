package build

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/containers/buildah/pkg/parse"
	"github.com/opencontainers/go-digest"
	"go.podman.io/common/libimage"
	"go.podman.io/common/pkg/config"
	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/pkg/shortnames"
	istorage "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/transports/alltransports"
	"go.podman.io/image/v5/types"
)

// PullOptions say how Pull moves an image. The zero value brings the image of
// the host's platform.
type PullOptions struct {
	Registry Registry
	All      bool      // of an index every image
	Platform string    // OS/ARCH[/VARIANT]
	Retry    int       // times to try again; 0: 3, less: never
	Progress io.Writer // lines for people, or a terminal's bars; nil: nowhere
	TempDir  string    // default: /var/tmp
}

// Pull copies an image into the store: a registry name, which registries.conf
// completes where it is short, or any transport:reference.
func (s *Store) Pull(ctx context.Context, ref string, o PullOptions) (Result, error) {
	sys, err := o.system()
	if err != nil {
		return Result{}, fmt.Errorf("pulling %s: %w", ref, err)
	}
	candidates, other, err := pullCandidates(sys, ref)
	if err != nil {
		return Result{}, fmt.Errorf("pulling %s: %w", ref, err)
	}
	if other != nil {
		return s.pullOther(ctx, ref, sys, o)
	}
	var errs []error
	for _, named := range candidates {
		result, err := s.pullNamed(ctx, named, sys, o)
		if err == nil {
			return result, nil
		}
		errs = append(errs, fmt.Errorf("pulling %s: %w", named, Explain(err)))
		if ctx.Err() != nil {
			break
		}
	}
	return Result{}, errors.Join(errs...)
}

func (o PullOptions) system() (*types.SystemContext, error) {
	sys := o.Registry.SystemContext()
	sys.BigFilesTemporaryDir = o.TempDir
	if o.Platform == "" {
		return sys, nil
	}
	return sys, choosePlatform(sys, o.Platform)
}

// choosePlatform has sys take the image for a platform out of an index.
func choosePlatform(sys *types.SystemContext, platform string) (err error) {
	if err := ValidatePlatform(platform); err != nil {
		return err
	}
	sys.OSChoice, sys.ArchitectureChoice, sys.VariantChoice, err = parse.Platform(platform)
	return err
}

// pullCandidates are the registry names that ref may mean, or the reference of
// another transport that it is.
func pullCandidates(sys *types.SystemContext, ref string) ([]reference.Named, types.ImageReference, error) {
	if HasTransport(ref) {
		parsed, err := alltransports.ParseImageName(ref)
		if err != nil {
			return nil, nil, err
		}
		if parsed.Transport().Name() != docker.Transport.Name() {
			return nil, parsed, nil
		}
		return []reference.Named{parsed.DockerReference()}, nil, nil
	}
	resolved, err := shortnames.Resolve(sys, ref)
	if err != nil {
		named, nerr := reference.ParseNormalizedNamed(ref)
		if nerr != nil {
			return nil, nil, fmt.Errorf("it is neither REGISTRY/NAME[:TAG|@DIGEST] nor transport:reference: %w", nerr)
		}
		return []reference.Named{withoutTag(reference.TagNameOnly(named))}, nil, nil
	}
	var list []reference.Named
	for _, c := range resolved.PullCandidates {
		list = append(list, withoutTag(reference.TagNameOnly(c.Value)))
	}
	return list, nil, nil
}

// withoutTag drops the tag of a name that has a digest, which alone says what
// is meant.
func withoutTag(named reference.Named) reference.Named {
	digested, ok := named.(reference.Digested)
	if _, tagged := named.(reference.Tagged); !ok || !tagged {
		return named
	}
	canonical, err := reference.WithDigest(reference.TrimNamed(named), digested.Digest())
	if err != nil {
		return named
	}
	return canonical
}

// pullOther pulls from a layout, an archive or a directory; the library knows
// which name each of them carries.
func (s *Store) pullOther(ctx context.Context, ref string, sys *types.SystemContext, o PullOptions) (Result, error) {
	rt, err := libimage.RuntimeFromStore(s.store, &libimage.RuntimeOptions{SystemContext: sys})
	if err != nil {
		return Result{}, fmt.Errorf("pulling %s: %w", ref, err)
	}
	images, err := rt.Pull(ctx, ref, config.PullPolicyAlways, &libimage.PullOptions{CopyOptions: libimage.CopyOptions{
		SystemContext: sys,
		Writer:        o.Progress,
		OS:            sys.OSChoice,
		Architecture:  sys.ArchitectureChoice,
		Variant:       sys.VariantChoice,
	}})
	if err != nil {
		return Result{}, fmt.Errorf("pulling %s: %w", ref, Explain(err))
	}
	if len(images) == 0 {
		return Result{}, fmt.Errorf("pulling %s: there is no image in it", ref)
	}
	return s.result(images[0].ID())
}

func (s *Store) pullNamed(ctx context.Context, named reference.Named, sys *types.SystemContext, o PullOptions) (Result, error) {
	src, err := docker.NewReference(named)
	if err != nil {
		return Result{}, err
	}
	t := transfer{registry: o.Registry, retry: retries(o.Retry), progress: o.Progress}
	if o.All || o.Platform != "" {
		index, err := t.readIndex(ctx, src, sys, o)
		if err != nil {
			return Result{}, err
		}
		if index != nil && o.All {
			return s.pullIndex(ctx, t, named, index, sys)
		}
	}
	dest, err := istorage.Transport.NewStoreReference(s.store, named, "")
	if err != nil {
		return Result{}, err
	}
	return s.copyIn(ctx, t, dest, src, sys)
}

func (s *Store) copyIn(ctx context.Context, t transfer, dest, src types.ImageReference, sys *types.SystemContext) (Result, error) {
	var written types.ImageReference
	if _, err := t.copy(ctx, dest, src, &copy.Options{
		SourceCtx: sys, DestinationCtx: sys, ReportWriter: t.progress, ReportResolvedReference: &written,
	}); err != nil {
		return Result{}, err
	}
	_, img, err := istorage.ResolveReference(written)
	if err != nil {
		return Result{}, err
	}
	return imageResult(img), nil
}

// index is an image index as a registry serves it.
type index struct {
	bytes     []byte
	instances []digest.Digest
}

// readIndex returns what src is, or nil if it is one image; that must then be
// of the platform asked for.
func (t transfer) readIndex(ctx context.Context, src types.ImageReference, sys *types.SystemContext, o PullOptions) (found *index, err error) {
	err = t.again(ctx, func() (err error) {
		found, err = readIndex(ctx, src, sys, o)
		return err
	})
	return found, err
}

func readIndex(ctx context.Context, src types.ImageReference, sys *types.SystemContext, o PullOptions) (_ *index, err error) {
	source, err := src.NewImageSource(ctx, sys)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := source.Close(); err == nil {
			err = cerr
		}
	}()
	unparsed := image.UnparsedInstance(source, nil)
	bytes, mime, err := unparsed.Manifest(ctx)
	if err != nil {
		return nil, err
	}
	if manifest.MIMETypeIsMultiImage(mime) {
		list, err := manifest.ListFromBlob(bytes, mime)
		if err != nil {
			return nil, err
		}
		return &index{bytes: bytes, instances: list.Instances()}, nil
	}
	if o.Platform == "" {
		return nil, nil
	}
	img, err := image.FromUnparsedImage(ctx, sys, unparsed)
	if err != nil {
		return nil, err
	}
	config, err := img.OCIConfig(ctx)
	if err != nil {
		return nil, err
	}
	if config.OS != sys.OSChoice || config.Architecture != sys.ArchitectureChoice {
		return nil, fmt.Errorf("the image is for %s/%s, not for %s", config.OS, config.Architecture, o.Platform)
	}
	return nil, nil
}

// pullIndex brings every image of an index, and then the index itself byte by
// byte, so that it keeps its digest.
func (s *Store) pullIndex(ctx context.Context, t transfer, named reference.Named, ix *index, sys *types.SystemContext) (Result, error) {
	instances := map[digest.Digest]string{}
	for _, d := range ix.instances {
		result, err := s.pullInstance(ctx, t, named, d, sys)
		if err != nil {
			return Result{}, fmt.Errorf("image %s of the index: %w", d, err)
		}
		if instances[d], err = s.reference(result.ID); err != nil {
			return Result{}, err
		}
	}
	return s.addIndex(ix.bytes, instances, []string{named.String()})
}

// pullInstance brings an image of named's repository by its digest, and gives it
// no name.
func (s *Store) pullInstance(ctx context.Context, t transfer, named reference.Named, d digest.Digest, sys *types.SystemContext) (Result, error) {
	canonical, err := reference.WithDigest(reference.TrimNamed(named), d)
	if err != nil {
		return Result{}, err
	}
	src, err := docker.NewReference(canonical)
	if err != nil {
		return Result{}, err
	}
	tmp, err := temporaryName()
	if err != nil {
		return Result{}, err
	}
	dest, err := istorage.Transport.NewStoreReference(s.store, tmp, "")
	if err != nil {
		return Result{}, err
	}
	if _, err := s.copyIn(ctx, t, dest, src, sys); err != nil {
		return Result{}, err
	}
	return s.rename(tmp.String(), nil)
}
