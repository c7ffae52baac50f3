package main

import (
	"context"
	"io"
	"os"

	"github.com/rootcast/rootcast/build"
	"github.com/rootcast/rootcast/convert"
	"github.com/rootcast/rootcast/convert/netboot"
	"github.com/rootcast/rootcast/convert/report"
	"github.com/rootcast/rootcast/convert/rootfs"
)

// source is a root file system to look at: an image's, or a rootimgdir's.
type source struct {
	name   string
	tree   *rootfs.Tree
	layers []report.LayerInfo // of an image
	io.Closer
}

// openSource opens a rootimgdir, where name is one, or else an image.
func (e *env) openSource(ctx context.Context, name string, reg build.Registry, platform string) (*source, error) {
	if isRootimgdir(name) {
		return e.openRootimgdir(ctx, name)
	}
	img, err := e.openImage(ctx, name, reg, wish{platform: platform})
	if err != nil {
		return nil, err
	}
	s := &source{name: img.Name, layers: []report.LayerInfo{}, Closer: img}
	for _, l := range convert.Layers(img) {
		s.layers = append(s.layers, report.LayerInfo{ID: l.DiffID, CreatedBy: l.CreatedBy})
	}
	if s.tree, err = convert.Merge(ctx, img, nil); err != nil {
		img.Close() //nolint:errcheck // its files were only read
		return nil, err
	}
	return s, nil
}

func (e *env) openRootimgdir(ctx context.Context, name string) (*source, error) {
	dir := netboot.Current(name) // of one version, even if another is published meanwhile
	m, err := netboot.ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	p := e.newProgress()
	defer p.finish()
	s := &source{name: name}
	s.tree, s.Closer, err = convert.LoadDir(ctx, dir, m, tempDir(), p.report)
	return s, err
}

// tempDir is where files as large as an image may lie for a while.
func tempDir() string { return either(os.Getenv("TMPDIR"), "/var/tmp") }
