package main

import (
	"context"
	"fmt"
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
	ref, storeName := name, ""
	if needsStore(name) {
		store, err := e.openStore()
		if err != nil {
			return nil, err
		}
		found := false
		if ref, found, err = store.Resolve(ctx, name); err != nil {
			return nil, err
		}
		switch {
		case found: // by an ID, which nobody asked for
			storeName = strings.TrimPrefix(name, "containers-storage:")
		case strings.HasPrefix(ref, "docker://localhost/"): // no registry, but how images that have none are called
			return nil, fmt.Errorf("there is no image %s in the store; rootcast images lists what there is", name)
		default:
			e.say("%s is not in the local store; reading %s", name, strings.TrimPrefix(ref, "docker://"))
		}
	}
	p := e.newProgress()
	defer p.finish()
	img, err := image.Open(ctx, ref, image.Options{
		System: reg.SystemContext(), Platform: platform, Policy: policy, TempDir: os.Getenv("TMPDIR"),
		Name:     storeName,
		Progress: func(done, total int64) { p.report("reading layers", done, total) },
	})
	if err != nil {
		return nil, build.Explain(err)
	}
	return img, nil
}

func needsStore(name string) bool {
	return strings.HasPrefix(name, "containers-storage:") || !build.HasTransport(name)
}
