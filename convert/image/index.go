package image

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/manifest"
	istorage "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/types"
)

// Platforms lists what nodes can be made of ref for: the Linux platforms of an
// index in its order, each once, or that of the one image that ref is.
func Platforms(ctx context.Context, ref string, o Options) ([]string, error) {
	r, o, err := o.locate(ref)
	if err != nil {
		return nil, err
	}
	var list []string
	err = again(ctx, r, func() (err error) {
		list, err = platforms(ctx, r, o)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading image %s: %w", o.Name, err)
	}
	return list, nil
}

func platforms(ctx context.Context, r types.ImageReference, o Options) (_ []string, err error) {
	src, err := r.NewImageSource(ctx, o.System)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	top := image.UnparsedInstance(src, nil)
	blob, mime, err := top.Manifest(ctx)
	if err != nil {
		return nil, err
	}
	if !manifest.MIMETypeIsMultiImage(mime) {
		one, err := selectImage(ctx, src, o)
		if err != nil {
			return nil, err
		}
		return []string{platformOf(one.config.OS, one.config.Architecture, one.config.Variant)}, nil
	}
	if err := o.allow(ctx, top); err != nil {
		return nil, err
	}
	all, err := indexed(blob, mime)
	if err != nil {
		return nil, err
	}
	// Others are those of Windows, and unknown/unknown, which is what BuildKit
	// calls its records of how an image was made.
	list := slices.DeleteFunc(slices.Clone(all), func(p string) bool { return !strings.HasPrefix(p, "linux/") })
	if len(list) == 0 {
		return nil, fmt.Errorf("the index has no image for linux; it has %s", strings.Join(all, ", "))
	}
	return list, nil
}

// indexed lists the platforms that an index names, each once.
func indexed(blob []byte, mime string) (have []string, err error) {
	list, err := manifest.ListFromBlob(blob, mime)
	if err != nil {
		return nil, fmt.Errorf("reading its index: %w", err)
	}
	for _, d := range list.Instances() {
		inst, err := list.Instance(d)
		if err != nil || inst.ReadOnly.Platform == nil {
			continue
		}
		p := inst.ReadOnly.Platform
		if name := platformOf(p.OS, p.Architecture, p.Variant); !slices.Contains(have, name) {
			have = append(have, name)
		}
	}
	return have, nil
}

func chooseInstance(blob []byte, mime string, o Options) (digest.Digest, error) {
	list, err := manifest.ListFromBlob(blob, mime)
	if err != nil {
		return "", fmt.Errorf("reading its index: %w", err)
	}
	d, err := list.ChooseInstance(o.System)
	if err == nil {
		return d, nil
	}
	have, err := indexed(blob, mime)
	if err != nil {
		return "", err
	}
	return "", fmt.Errorf("the index has no image for %s; it has %s", o.platformName(), strings.Join(have, ", "))
}

// storedInstance is, for an index of a local store, the image of it that the
// options ask for: the store has each image of an index as one of its own. For
// all else it is r.
func storedInstance(ctx context.Context, r types.ImageReference, o Options) (_ types.ImageReference, err error) {
	if !isStore(r) {
		return r, nil
	}
	src, err := r.NewImageSource(ctx, o.System)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	blob, mime, err := src.GetManifest(ctx, nil)
	if err != nil || !manifest.MIMETypeIsMultiImage(mime) {
		return r, err
	}
	d, err := chooseInstance(blob, mime, o)
	if err != nil {
		return nil, err
	}
	store, err := storeAt(r.StringWithinTransport())
	if err != nil {
		return nil, err
	}
	images, err := store.ImagesByDigest(d)
	if err != nil {
		return nil, fmt.Errorf("looking for image %s of the index: %w", d, err)
	}
	if len(images) == 0 {
		return nil, fmt.Errorf("the store has the index, but not its image for %s, %s; rootcast pull --all brings all of them", o.platformName(), d)
	}
	return istorage.Transport.NewStoreReference(store, nil, images[0].ID)
}
