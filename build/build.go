package build

import (
	"context"
	"io"
	"time"
)

// Recipe is what to build and how. The zero value of each field means what
// leaving out buildah build's flag of that name means, but that the layer
// cache is on.
type Recipe struct {
	Context string   // directory, git repository or URL of an archive
	Files   []string // Containerfiles; default: the context's Containerfile or Dockerfile
	Tags    []string // names of the result

	Platforms []string // OS/ARCH[/VARIANT]; more than one make an index
	Args      map[string]string
	Target    string // stage to stop at

	NoCache   bool
	Squash    bool   // one layer for all that the recipe adds
	Pull      string // always, missing, never or newer; default: missing
	Timestamp *time.Time

	Labels, Annotations []string // KEY=VALUE
	Secrets             []string // id=ID,src=FILE | id=ID,env=NAME
	Volumes             []string // HOST:CONTAINER[:OPTIONS] for RUN
	AddHosts            []string // NAME:IP
	DNS                 []string
	Network             string // none, host, private or ns:PATH
	Isolation           string // chroot, oci or rootless; default: chroot
	Jobs                int    // stages at a time; default: 1

	Registry Registry  // for base images
	Retry    int       // attempts at a base image; 0: 3
	Output   io.Writer // steps and what RUN prints; nil: nowhere
}

// Build builds r into the store.
func (s *Store) Build(ctx context.Context, r Recipe) (Result, error) {
	return s.build(ctx, r)
}
