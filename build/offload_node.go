package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker/reference"

	"github.com/rootcast/rootcast/build/binfmt"
	"github.com/rootcast/rootcast/build/remote"
)

// NodeOptions say how a machine builds for another one.
type NodeOptions struct {
	Registry Registry  // with this machine's own credentials; whether TLS is verified the request may say
	TempDir  string    // default: /var/tmp
	Output   io.Writer // steps and what RUN prints; nil: nowhere
}

// errLeft is why a build stops for which nobody waits.
var errLeft = errors.New("the connection to the machine that asked for the build has ended")

// BuildRequested is the node's side of a build that another machine sends here (see
// package [remote]): it reads the request from in, builds the image with this
// store, and pushes it by digest. The end of in before the build's is the end of
// the build. Nothing of the request is left.
func (s *Store) BuildRequested(ctx context.Context, in io.Reader, o NodeOptions) (_ digest.Digest, err error) {
	w, err := s.newWorkspace(o.TempDir)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	dir := filepath.Join(w.tmp, "request")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	var req remote.Request
	if err := guard(ctx, func() (err error) {
		req, err = remote.Receive(in, dir, remote.Limits{})
		return err
	}); err != nil {
		return "", err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel(errLeft)
	}()
	if err := checkNative(ctx, req.Platform); err != nil {
		return "", err
	}
	r := o.recipe(req, dir)
	result, err := s.Build(ctx, r)
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		return "", sourceNames(req, dir, err)
	}
	return s.pushRequested(ctx, req, r, result.ID)
}

// recipe is what req asks for, of files in dir.
func (o NodeOptions) recipe(req remote.Request, dir string) Recipe {
	r := Recipe{
		Context: filepath.Join(dir, "context"), Platforms: []string{req.Platform},
		Args: req.Args, Target: req.Target, NoCache: req.NoCache, Squash: req.Squash, Pull: req.Pull,
		Timestamp: req.Timestamp, SourceDateEpoch: req.SourceDateEpoch, Labels: req.Labels, Annotations: req.Annotations,
		AddHosts: req.AddHosts, DNS: req.DNS, Network: req.Network, Isolation: req.Isolation,
		Jobs: req.Jobs, Retry: req.Retry, Registry: o.Registry, TempDir: o.TempDir, Output: o.Output,
	}
	if req.TLSVerify != nil {
		r.Registry.TLSVerify = req.TLSVerify
	}
	for _, f := range req.Files {
		if f.Name == "" {
			r.Files = append(r.Files, f.Source)
		} else {
			r.Files = append(r.Files, filepath.Join(dir, f.Name))
		}
	}
	for n, id := range req.Secrets {
		r.Secrets = append(r.Secrets, fmt.Sprintf("id=%s,src=%s", id, filepath.Join(dir, remote.SecretFile(n))))
	}
	return r
}

func (s *Store) pushRequested(ctx context.Context, req remote.Request, r Recipe, id string) (digest.Digest, error) {
	if r.Output != nil {
		fmt.Fprintf(r.Output, "pushing to %s\n", req.Repository)
	}
	result, err := s.PushByDigest(ctx, id, req.Repository, PushOptions{
		Registry: r.Registry, Retry: r.Retry, Progress: r.Output, TempDir: r.TempDir,
	})
	if err == nil {
		return result.Digest, nil
	}
	named, nerr := reference.ParseNormalizedNamed(req.Repository)
	if text := err.Error(); nerr == nil && (strings.Contains(text, "authentication required") || strings.Contains(text, "denied") || strings.Contains(text, "unauthorized")) {
		return "", fmt.Errorf("%w; the node uses its own login: run rootcast login %s there", err, reference.Domain(named))
	}
	return "", err
}

// checkNative finds that this machine does not run a platform's programs by itself.
func checkNative(ctx context.Context, platform string) error {
	how := "not at all"
	if a, ok := binfmt.Find(platform); ok {
		status, err := binfmt.Machine{}.Status(ctx, a)
		if err != nil {
			return err
		}
		for _, one := range status.Architectures {
			switch {
			case one.Native:
				return nil
			case one.Runs:
				how = "by an emulator alone"
			}
		}
	} else if platform == "linux/"+runtime.GOARCH {
		return nil
	}
	return fmt.Errorf("the node is linux/%s and runs programs of %s %s; name a node of that platform", runtime.GOARCH, platform, how)
}

// sourceNames gives the files of a request, in an error, the names that they have
// where they come from, and says what is otherwise here.
func sourceNames(req remote.Request, dir string, err error) error {
	var names []string
	for _, f := range req.Files {
		if f.Name != "" {
			names = append(names, filepath.Join(dir, f.Name), f.Source)
		}
	}
	names = append(names, filepath.Join(dir, "context"), req.Context)
	text := strings.NewReplacer(names...).Replace(err.Error())
	if strings.Contains(text, "registry localhost:") {
		text += " (localhost/… is what the node's own store holds; base images for a node must be in a registry)"
	}
	return &explained{text, err}
}
