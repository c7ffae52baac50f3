package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/docker/go-units"
	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build"
	"github.com/rootcast/rootcast/convert/image"
)

// wish says which image of a name is wanted, and how much of it.
type wish struct {
	platform string
	limit    layerLimit
	skip     func(*image.Image) bool // layers that need not be fetched; nil: all are
}

// openImage opens what a user calls an image, wherever it is. Layers of a registry's
// image that a store holds are not fetched.
func (e *env) openImage(ctx context.Context, name string, reg build.Registry, w wish) (*image.Image, error) {
	ref, o, err := e.locate(ctx, name, reg)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(ref, "docker://") {
		o.Store = e.storePlace()
	}
	p := e.newProgress()
	defer p.finish()
	o.Platform, o.MaxLayerSize, o.Skip = w.platform, w.limit.bytes(), w.skip
	o.Progress = func(done, total int64) { p.report("reading layers", done, total) }
	img, err := image.Open(ctx, ref, o)
	if err != nil {
		return nil, build.Explain(err)
	}
	return img, nil
}

// locate finds where an image is. The local store is opened only for a name
// without a transport, and for containers-storage: one can convert from a registry
// or an archive without any store.
func (e *env) locate(ctx context.Context, name string, reg build.Registry) (ref string, o image.Options, err error) {
	o = image.Options{System: reg.SystemContext(), TempDir: os.Getenv("TMPDIR")}
	if o.Policy, err = reg.SignaturePolicy(); err != nil || !needsStore(name) {
		return name, o, err
	}
	store, err := e.openStore()
	if err != nil {
		return "", o, err
	}
	ref, found, err := store.Resolve(ctx, name)
	switch {
	case err != nil:
		return "", o, err
	case found: // by an ID, which nobody asked for
		o.Name = strings.TrimPrefix(name, "containers-storage:")
	case strings.HasPrefix(ref, "docker://localhost/"): // no registry, but how images that have none are called
		return "", o, fmt.Errorf("there is no image %s in the store; rootcast images lists what there is", name)
	default:
		e.say("%s is not in the local store; reading %s", name, strings.TrimPrefix(ref, "docker://"))
	}
	return ref, o, nil
}

func needsStore(name string) bool {
	return strings.HasPrefix(name, "containers-storage:") || !build.HasTransport(name)
}

// layerLimit is the flag that says how large a layer that is fetched may be. It
// keeps a few kilobytes of a malicious image from filling the disk.
type layerLimit struct {
	size int64
	set  bool
}

// defaultLayerLimit is more than a node's memory holds, for which roots are made.
const defaultLayerLimit = 64 << 30

func (l *layerLimit) flag() cli.Flag {
	return &cli.GenericFlag{Name: "max-layer-size", Usage: "refuse a layer that unpacks to more than `SIZE`; 0: any size goes", Value: l, DefaultText: "64GiB"}
}

func (l layerLimit) bytes() int64 {
	if !l.set {
		return defaultLayerLimit
	}
	return l.size
}

// Set implements flag.Value.
func (l *layerLimit) Set(s string) error {
	n, err := units.RAMInBytes(s)
	if err != nil || n < 0 {
		return errors.New("it is a size such as 500MiB or 64GiB, or 0")
	}
	l.size, l.set = n, true
	return nil
}

// String implements flag.Value.
func (l *layerLimit) String() string {
	if l == nil || !l.set {
		return ""
	}
	return units.BytesSize(float64(l.size))
}
