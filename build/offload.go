package build

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containers/buildah/copier"
	"github.com/containers/buildah/pkg/parse"
	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker/reference"

	"github.com/rootcast/rootcast/build/remote"
)

// offload is the build of a recipe for one platform on a machine of that platform.
type offload struct {
	node       remote.Node
	platform   string
	recipe     Recipe
	files      []string // the recipe's, by full name or URL
	contextDir string
	log        io.Writer
}

// offload returns what a node does of r in j's place, nil where it has no node.
func (p *plan) offload(r Recipe, j *job) (*offload, error) {
	for platform, url := range r.Nodes {
		if !samePlatform(platform, j.platform) {
			continue
		}
		node, err := remote.ParseNode(url)
		if err != nil {
			return nil, err
		}
		return &offload{node: node, platform: j.platform, recipe: r, files: p.sources, contextDir: p.options.ContextDirectory, log: j.log}, nil
	}
	return nil, nil
}

// validateNodes finds what keeps nodes from building their platforms.
func (r Recipe) validateNodes() error {
	platforms := slices.Sorted(maps.Keys(r.Nodes))
	for i, platform := range platforms {
		same := func(other string) bool { return samePlatform(platform, other) }
		if err := ValidatePlatform(platform); err != nil {
			return fmt.Errorf("node: %w", err)
		}
		if slices.ContainsFunc(platforms[:i], same) {
			return fmt.Errorf("node for %s: this platform has two nodes", platform)
		}
		if _, err := remote.ParseNode(r.Nodes[platform]); err != nil {
			return fmt.Errorf("node for %s: %w", platform, err)
		}
		if !slices.ContainsFunc(r.Platforms, same) {
			return fmt.Errorf("node for %s: this is none of the platforms to build for (%s)", platform, strings.Join(r.Platforms, ", "))
		}
	}
	switch {
	case len(r.Nodes) == 0:
		return nil
	case len(r.Volumes) > 0:
		return fmt.Errorf("volume %s: nothing of this machine is mounted on a node; COPY it, or let the platform be built here", r.Volumes[0])
	case len(r.Tags) == 0:
		return errors.New("a node pushes its image to the repository of the first tag; there is no tag")
	}
	if err := ValidatePushTag(r.Tags[0]); err != nil {
		return fmt.Errorf("a node pushes its image to the repository of the first tag: %w", err)
	}
	return nil
}

// run has the node build, and brings the image into s, without a name.
func (o offload) run(ctx context.Context, s *Store) (id string, err error) {
	result, err := o.build(ctx, s)
	if err != nil {
		return "", fmt.Errorf("building for %s on %s: %w", o.platform, o.node.Host, err)
	}
	return result.ID, nil
}

func (o offload) build(ctx context.Context, s *Store) (Result, error) {
	tag, err := normalizeTag(o.recipe.Tags[0])
	if err != nil {
		return Result{}, err
	}
	repository := reference.TrimNamed(tag)
	d, err := o.node.Build(ctx, func(w io.Writer) error { return o.send(w, repository) }, o.log)
	if err != nil {
		return Result{}, err
	}
	r := o.recipe
	result, err := s.pullNameless(ctx, repository, d, PullOptions{Registry: r.Registry, Retry: r.Retry, TempDir: r.TempDir, Progress: o.log})
	if err != nil {
		return result, fmt.Errorf("pulling what it pushed, %s@%s: %w", repository, d, Explain(err))
	}
	return result, nil
}

// send writes the request.
func (o offload) send(w io.Writer, repository reference.Named) error {
	secrets, err := parse.Secrets(o.recipe.Secrets)
	if err != nil {
		return fmt.Errorf("secret: %w", err)
	}
	ids := slices.Sorted(maps.Keys(secrets))
	s, err := remote.NewSender(w, o.request(repository, ids))
	if err != nil {
		return err
	}
	for n, id := range ids {
		content, err := readSecret(secrets[id])
		if err != nil {
			return fmt.Errorf("reading the secret %s: %w", id, err)
		}
		if err := s.File(remote.SecretFile(n), content); err != nil {
			return fmt.Errorf("sending the secret %s: %w", id, err)
		}
	}
	excludes, err := o.sendRecipe(s)
	if err != nil {
		return fmt.Errorf("sending the recipe: %w", err)
	}
	if err := o.sendContext(s, excludes); err != nil {
		return fmt.Errorf("sending the build context: %w", err)
	}
	return s.Close()
}

func (o offload) request(repository reference.Named, secrets []string) remote.Request {
	r := o.recipe
	req := remote.Request{
		Platform: o.platform, Repository: repository.String(), Context: o.contextDir, Secrets: secrets,
		Args: r.Args, Target: r.Target, NoCache: r.NoCache, Squash: r.Squash, Pull: r.Pull,
		Timestamp: r.Timestamp, SourceDateEpoch: r.SourceDateEpoch, Labels: r.Labels, Annotations: r.Annotations,
		AddHosts: r.AddHosts, DNS: r.DNS, Network: r.Network, Isolation: r.Isolation,
		Jobs: r.Jobs, Retry: r.Retry, TLSVerify: r.Registry.TLSVerify,
	}
	for n, name := range o.files {
		f := remote.File{Source: name}
		if !isURL(name) {
			f.Name = remote.RecipeFile(n, filepath.Base(name))
		}
		req.Files = append(req.Files, f)
	}
	return req
}

// sendRecipe sends the recipe's files, and beside each what the context leaves
// out, which it returns.
func (o offload) sendRecipe(s *remote.Sender) (excludes []string, err error) {
	excludes, ignore, err := parse.ContainerIgnoreFile(o.contextDir, "", o.files)
	if err != nil {
		return nil, err
	}
	for n, name := range o.files {
		if isURL(name) {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		to := remote.RecipeFile(n, filepath.Base(name))
		if err := s.File(to, text); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if ignore == "" {
			continue
		}
		if text, err = os.ReadFile(ignore); err != nil {
			return nil, err
		}
		if err := s.File(to+".dockerignore", text); err != nil {
			return nil, fmt.Errorf("%s: %w", ignore, err)
		}
	}
	return excludes, nil
}

// sendContext sends what COPY could see here.
func (o offload) sendContext(s *remote.Sender, excludes []string) error {
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.CloseWithError(copier.Get(o.contextDir, o.contextDir, copier.GetOptions{Excludes: excludes}, []string{"."}, w))
	}()
	err := s.Context(tar.NewReader(r))
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	_ = r.CloseWithError(err)
	<-done
	return err
}

// pullNameless brings an image of a repository here by its digest alone.
func (s *Store) pullNameless(ctx context.Context, repository reference.Named, d digest.Digest, o PullOptions) (Result, error) {
	sys, err := o.system()
	if err != nil {
		return Result{}, err
	}
	t := transfer{registry: o.Registry, retry: retries(o.Retry), progress: o.Progress}
	return s.pullInstance(ctx, t, repository, d, sys)
}
