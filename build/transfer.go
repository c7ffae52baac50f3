package build

import (
	"context"
	"io"
)

// PushOptions say how Push moves an image. The zero value pushes the layers as
// gzip, which every registry and client reads.
type PushOptions struct {
	Registry         Registry
	All              bool   // of an index every image, not the host's platform alone
	Compress         string // gzip, zstd or zstd:chunked
	CompressionLevel *int
	ForceCompression bool      // recompress what is compressed otherwise, at either end
	Retry            int       // times to try again; 0: 3, less: never
	Progress         io.Writer // lines for people; nil: nowhere
}

// PullOptions say how Pull moves an image. The zero value brings the image of
// the host's platform.
type PullOptions struct {
	Registry Registry
	All      bool      // of an index every image
	Platform string    // OS/ARCH[/VARIANT]
	Retry    int       // times to try again; 0: 3, less: never
	Progress io.Writer // lines for people; nil: nowhere
}

// Push copies an image of the store to dest, a registry name or any
// transport:reference; "" is the image's own name. The result's Names hold
// what was written, with its digest where the transport has such references.
func (s *Store) Push(ctx context.Context, image, dest string, o PushOptions) (Result, error) {
	return Result{}, ctx.Err()
}

// Pull copies an image into the store.
func (s *Store) Pull(ctx context.Context, ref string, o PullOptions) (Result, error) {
	return Result{}, ctx.Err()
}
