package main

import (
	"context"
	"fmt"
	"os"

	"github.com/rootcast/rootcast/build"
	"github.com/rootcast/rootcast/build/osimage"
	"github.com/rootcast/rootcast/convert"
	"github.com/rootcast/rootcast/convert/pack"
)

// packTree writes the root of the definition's image as xCAT's imgexport packs the
// rootimg directory of a statelite image: a cpio archive of rootimg/, by gzip.
func (c *imgexport) packTree(ctx context.Context, d *osimage.Definition, file string) (err error) {
	name, err := c.e.builtImage(ctx, d)
	if err != nil {
		return fmt.Errorf("packing the root of %w", err)
	}
	img, err := c.e.openImage(ctx, name, build.Registry{}, wish{})
	if err != nil {
		return fmt.Errorf("packing the root of osimage %s: %w", d.Name, err)
	}
	defer img.Close() //nolint:errcheck // its files were only read
	tree, err := convert.Merge(ctx, img, nil)
	if err != nil {
		return fmt.Errorf("packing the root of %s: %w", name, err)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	p := c.e.newProgress()
	defer p.finish()
	o := pack.Options{Method: pack.CPIO, Codec: pack.Gzip, Progress: func(done, total int64) { p.report("packing the root", done, total) }}
	if _, err := pack.Archive(ctx, f, tree.Below("rootimg"), o); err != nil {
		return fmt.Errorf("packing the root of %s: %w", name, err)
	}
	return f.Close()
}
