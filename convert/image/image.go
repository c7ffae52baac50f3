package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/transports"
	"go.podman.io/image/v5/transports/alltransports"
	"go.podman.io/image/v5/types"
)

// Options says how to reach the image and which of several to take.
type Options struct {
	System   *types.SystemContext // registries, credentials, TLS; nil: the usual places
	Platform string               // OS/ARCH[/VARIANT]; "": the host's of an index, else what there is
	TempDir  string               // for spooled layers; "": /var/tmp

	// MaxLayerSize is how many bytes a layer that is fetched may unpack to; 0: any number.
	MaxLayerSize int64

	// Store is a local store, as "[DRIVER@ROOT+RUNROOT]", that this process has
	// open or may open. Layers of a registry's image that it holds, by their
	// diffID, are read there and not fetched. "": there is none.
	Store string

	// Policy decides which images may be used; nil accepts all.
	Policy *signature.Policy

	// Name is what messages and the result call the image; "": what its reference says.
	Name string

	// Skip, where it is set, is asked when the image is known but for its layers.
	// Where it says so they are not fetched, and the image that comes has none.
	Skip func(img *Image) bool

	// Progress, where it is set, is called from one goroutine at a time with the
	// packed bytes of layers that have come so far, and all there are. Layers of a
	// local store are not among them.
	Progress func(done, total int64)
}

// Image is one image of one platform.
type Image struct {
	Name   string        // as people would name it, without places of this machine
	Digest digest.Digest // of its manifest
	ID     digest.Digest // of its configuration
	Config v1.Image
	Layers []Layer // the lowest first
}

// Layer is one layer of an image.
type Layer struct {
	Digest digest.Digest // as the image's transport stores it
	DiffID digest.Digest // of the plain tar
	Size   int64         // of the plain tar, in bytes
	Tar    Tar           // the plain tar; a [rootfs.FileReader] where the store has its files

	// Key is what a cache may call the layer: its diffID, to which every byte was
	// held when the image was opened, or "store:" before the diffID of a layer that
	// is read in place and trusted to be what the store took in.
	Key string
}

// Tar is a layer's plain tar. Any number may read it at a time.
type Tar interface {
	io.ReaderAt
	io.Closer
}

// Platform is the image's own, as OS/ARCH[/VARIANT].
func (img *Image) Platform() string {
	return platformOf(img.Config.OS, img.Config.Architecture, img.Config.Variant)
}

func platformOf(parts ...string) string {
	return strings.TrimRight(strings.Join(parts, "/"), "/")
}

// Close releases the layers.
func (img *Image) Close() error {
	var errs []error
	for _, l := range img.Layers {
		if l.Tar != nil {
			errs = append(errs, l.Tar.Close())
		}
	}
	return errors.Join(errs...)
}

// locate reads ref and fills in what the options leave open.
func (o Options) locate(ref string) (types.ImageReference, Options, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, o, err
	}
	r, err := alltransports.ParseImageName(ref)
	if err != nil {
		return nil, o, fmt.Errorf("opening image %s: %w", ref, err)
	}
	if o.Name == "" {
		o.Name = displayName(r)
	}
	return r, o, nil
}

// Open fetches the image that ref names with its transport: docker://, oci:,
// oci-archive:, docker-archive:, dir: or containers-storage:.
func Open(ctx context.Context, ref string, o Options) (*Image, error) {
	r, o, err := o.locate(ref)
	if err != nil {
		return nil, err
	}
	img, err := open(ctx, r, o)
	if err != nil {
		return nil, fmt.Errorf("reading image %s: %w", o.Name, err)
	}
	return img, nil
}

func open(ctx context.Context, r types.ImageReference, o Options) (*Image, error) {
	r, err := storedInstance(ctx, r, o)
	if err != nil {
		return nil, err
	}
	var src types.ImageSource
	var sel *selected
	err = again(ctx, r, func() (err error) {
		if src, err = r.NewImageSource(ctx, o.System); err != nil {
			return err
		}
		if sel, err = selectImage(ctx, src, o); err != nil {
			return errors.Join(err, src.Close())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	defer src.Close()
	img := &Image{Name: o.Name, Digest: sel.digest, ID: sel.image.ConfigInfo().Digest, Config: *sel.config}
	if o.Skip != nil && o.Skip(img) {
		return img, nil
	}
	f := fetcher{ref: r, src: src, o: o, instance: sel.instance}
	if img.Layers, err = f.layers(ctx, sel); err != nil {
		return nil, errors.Join(err, img.Close())
	}
	return img, nil
}

// selected is the one image of a source that the options ask for.
type selected struct {
	image    types.Image
	instance *digest.Digest // nil where the source is not an index
	digest   digest.Digest
	config   *v1.Image
}

func selectImage(ctx context.Context, src types.ImageSource, o Options) (*selected, error) {
	top := image.UnparsedInstance(src, nil)
	if err := o.allow(ctx, top); err != nil {
		return nil, err
	}
	blob, mime, err := top.Manifest(ctx)
	if err != nil {
		return nil, err
	}
	s := &selected{}
	unparsed := top
	if manifest.MIMETypeIsMultiImage(mime) {
		d, err := chooseInstance(blob, mime, o)
		if err != nil {
			return nil, err
		}
		s.instance = &d
		unparsed = image.UnparsedInstance(src, &d)
		if blob, mime, err = unparsed.Manifest(ctx); err != nil {
			return nil, err
		}
	}
	if s.digest, err = manifest.Digest(blob); err != nil {
		return nil, err
	}
	if s.image, err = image.FromUnparsedImage(ctx, o.System, unparsed); err != nil {
		return nil, fmt.Errorf("reading its manifest of type %q: %w", mime, err)
	}
	switch kind := s.image.ConfigInfo().MediaType; kind {
	case "", v1.MediaTypeImageConfig, manifest.DockerV2Schema2ConfigMediaType:
	default:
		return nil, fmt.Errorf("it is no image but has a configuration of type %s", kind)
	}
	if s.config, err = s.image.OCIConfig(ctx); err != nil {
		return nil, fmt.Errorf("reading its configuration: %w", err)
	}
	return s, o.checkPlatform(s.config)
}

// displayName leaves out what names a place of this machine's store.
func displayName(r types.ImageReference) string {
	name := transports.ImageName(r)
	if named := r.DockerReference(); named != nil && (strings.HasPrefix(name, "docker:") || strings.HasPrefix(name, "containers-storage:")) {
		return named.String()
	}
	if rest, ok := strings.CutPrefix(name, "containers-storage:["); ok {
		_, id, _ := strings.Cut(rest, "]")
		return strings.TrimPrefix(id, "@")
	}
	return strings.TrimSuffix(name, ":") // of oci: without a tag
}
