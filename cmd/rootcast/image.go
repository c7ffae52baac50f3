package main

import (
	"context"
	"os"
	"strings"

	"github.com/rootcast/rootcast/build"
	"github.com/rootcast/rootcast/convert/image"
)

// openImage opens what a user calls an image, wherever it is. The local store is
// opened only for a name without a transport, and for containers-storage: one
// can convert from a registry or an archive without any store.
func (e *env) openImage(ctx context.Context, name string, reg build.Registry, platform string) (*image.Image, error) {
	policy, err := reg.SignaturePolicy()
	if err != nil {
		return nil, err
	}
	ref := name
	if needsStore(name) {
		store, err := e.openStore()
		if err != nil {
			return nil, err
		}
		found := false
		if ref, found, err = store.Resolve(ctx, name); err != nil {
			return nil, err
		}
		if !found {
			e.say("%s is not in the local store; reading %s", name, strings.TrimPrefix(ref, "docker://"))
		}
	}
	img, err := image.Open(ctx, ref, image.Options{
		System: reg.SystemContext(), Platform: platform, Policy: policy, TempDir: os.Getenv("TMPDIR"),
		Progress: func(done, total int) { e.say("layer %d of %d is here", done, total) },
	})
	if err != nil {
		return nil, build.Explain(err)
	}
	if strings.HasPrefix(ref, "containers-storage:") {
		img.Name = strings.TrimPrefix(name, "containers-storage:")
	}
	return img, nil
}

func needsStore(name string) bool {
	return strings.HasPrefix(name, "containers-storage:") || !build.HasTransport(name)
}
