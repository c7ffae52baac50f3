package convert

import (
	"context"
	"errors"
	"time"

	"github.com/rootcast/rootcast/convert/image"
	"github.com/rootcast/rootcast/convert/kernel"
	"github.com/rootcast/rootcast/convert/rootfs"
)

// Description is what a node would get from an image.
type Description struct {
	Name      string            `json:"name"`
	ID        string            `json:"id"`     // of its configuration
	Digest    string            `json:"digest"` // of its manifest
	Platform  string            `json:"platform"`
	Created   *time.Time        `json:"created,omitempty"`
	Kernels   []string          `json:"kernels"`        // the newest, which convert takes, first
	Init      string            `json:"init,omitempty"` // "": nothing would start
	Arguments string            `json:"arguments,omitempty"`
	Files     int               `json:"files"`     // of the merged tree
	Size      int64             `json:"size"`      // bytes of file content in the merged tree
	LayerSize int64             `json:"layerSize"` // bytes of all layers, uncompressed
	Layers    []LayerInfo       `json:"layers"`    // the lowest first
	Labels    map[string]string `json:"labels,omitempty"`
	Warnings  []string          `json:"warnings,omitempty"`
}

// LayerInfo is one layer of a [Description].
type LayerInfo struct {
	Digest    string `json:"digest"`
	DiffID    string `json:"diffID"`
	Size      int64  `json:"size"` // bytes, uncompressed
	CreatedBy string `json:"createdBy,omitempty"`
}

// Describe looks into the image. No kernel and no init are not errors here.
func Describe(ctx context.Context, img *image.Image) (*Description, error) {
	tree, err := Merge(ctx, img, nil)
	if err != nil {
		return nil, err
	}
	kernels, err := kernel.Find(tree)
	if err != nil {
		return nil, err
	}
	d := &Description{
		Name: img.Name, ID: img.ID.String(), Digest: img.Digest.String(), Platform: img.Platform(),
		Created: img.Config.Created, Kernels: []string{},
		Arguments: img.Config.Config.Labels[ArgumentsLabel], Labels: img.Config.Config.Labels, Warnings: tree.Warnings,
	}
	for _, k := range kernels {
		d.Kernels = append(d.Kernels, k.Version)
	}
	if d.Init, err = FindInit(tree); err != nil && !errors.Is(err, errNoInit) {
		return nil, err
	}
	d.count(tree)
	d.Layers = Layers(img)
	for _, l := range d.Layers {
		d.LayerSize += l.Size
	}
	return d, nil
}

func (d *Description) count(tree *rootfs.Tree) {
	seen := map[*rootfs.Inode]bool{}
	for _, in := range tree.All() {
		d.Files++
		if !seen[in] {
			seen[in] = true
			d.Size += in.Size
		}
	}
}

// Layers describes the layers of an image, the lowest first.
func Layers(img *image.Image) []LayerInfo {
	steps := layerSteps(img)
	layers := make([]LayerInfo, len(img.Layers))
	for i, l := range img.Layers {
		layers[i] = LayerInfo{Digest: l.Digest.String(), DiffID: l.DiffID.String(), Size: l.Size, CreatedBy: steps[i]}
	}
	return layers
}

// layerSteps says which step of the history made each layer.
func layerSteps(img *image.Image) []string {
	steps := make([]string, len(img.Layers))
	i := 0
	for _, h := range img.Config.History {
		if h.EmptyLayer {
			continue
		}
		if i == len(steps) {
			break
		}
		steps[i] = h.CreatedBy
		i++
	}
	return steps
}
