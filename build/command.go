package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/containers/buildah"
	"github.com/containers/buildah/copier"
	"github.com/containers/buildah/define"
	"go.podman.io/common/pkg/config"
	istorage "go.podman.io/image/v5/storage"
)

// Command is a program of an image and what it works with.
type Command struct {
	Image    string   // ID or name in the store
	Name     string   // what errors call the image; "": Image
	Platform string   // of the image, OS/ARCH[/VARIANT]
	Args     []string // the program, as its PATH finds it, and its arguments; no shell reads them
	Env      []string // KEY=VALUE besides what the image sets

	Files  io.Reader // a tar that is unpacked over the image beforehand; nil: none
	Result string    // an absolute path: the file that it writes

	TempDir string    // default: /var/tmp
	Output  io.Writer // what it prints; nil: nowhere
}

// Run runs c as root in a container of the image, isolated as a RUN step is by
// default, and copies c.Result to w. The image stays as it is: the container is
// removed, however that ends. As with Build, what the process has started since
// is killed when ctx ends.
func (s *Store) Run(ctx context.Context, c Command, w io.Writer) (err error) {
	if c.Name == "" {
		c.Name = c.Image
	}
	if err := checkRuns(ctx, c.Platform); err != nil {
		return fmt.Errorf("running %s of %s: %w", c.Args[0], c.Name, err)
	}
	space, err := s.newWorkspace(c.TempDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, space.close()) }()
	istorage.Transport.SetStore(s.store)
	log := newBuildLog(c.Output)
	err = guard(ctx, func() error { return s.run(ctx, space, c, log, w) })
	log.finish()
	if err != nil {
		return c.explain(ctx, log, err)
	}
	return nil
}

// checkRuns finds beforehand that this machine runs no programs of a platform.
func checkRuns(ctx context.Context, platform string) error {
	a, err := parseArchitecture(platform)
	if err != nil {
		return nil //nolint:nilerr // of one that is not known the attempt will tell
	}
	return a.checkRunnable(ctx, nil)
}

func (s *Store) run(ctx context.Context, space *workspace, c Command, log *buildLog, w io.Writer) error {
	b, err := s.newContainer(ctx, space, c)
	if err != nil {
		return fmt.Errorf("making a container: %w", err)
	}
	root, err := b.Mount("")
	if err != nil {
		return fmt.Errorf("mounting a container: %w", err)
	}
	if c.Files != nil {
		if err := copier.Put(root, root, copier.PutOptions{}, contextReader{ctx, c.Files}); err != nil {
			return fmt.Errorf("unpacking what it needs: %w", err)
		}
	}
	if err := b.Run(c.Args, buildah.RunOptions{
		Logger: b.Logger, Isolation: b.Isolation, NamespaceOptions: b.NamespaceOptions, ConfigureNetwork: b.ConfigureNetwork,
		Env: c.Env, User: "0:0", WorkingDir: "/", Terminal: buildah.WithoutTerminal,
		Stdin: strings.NewReader(""), Stdout: log, Stderr: log, Quiet: true,
	}); err != nil {
		return err
	}
	return copyResult(ctx, w, root, c.Result)
}

// newContainer makes the container, whose name has the workspace's ID, by which
// it is removed.
func (s *Store) newContainer(ctx context.Context, space *workspace, c Command) (*buildah.Builder, error) {
	namespaces, network, err := networkOptions("", define.IsolationChroot)
	if err != nil {
		return nil, err
	}
	namespaces.AddOrReplace(define.NamespaceOption{Name: userNamespaceName, Host: true})
	common, err := Recipe{}.commonOptions()
	if err != nil {
		return nil, err
	}
	conf, err := config.Default()
	if err != nil {
		return nil, fmt.Errorf("reading containers.conf: %w", err)
	}
	capabilities, err := conf.Capabilities("", nil, nil)
	if err != nil {
		return nil, fmt.Errorf("reading containers.conf: %w", err)
	}
	sys := s.registry.SystemContext()
	sys.BigFilesTemporaryDir = space.tmp
	return buildah.NewBuilder(ctx, s.store, buildah.BuilderOptions{
		FromImage: c.Image, PullPolicy: define.PullNever, ContainerSuffix: space.id, SystemContext: sys, SignaturePolicyPath: sys.SignaturePolicyPath,
		Isolation: define.IsolationChroot, NamespaceOptions: namespaces, ConfigureNetwork: network, NetworkInterface: networkInterface(""),
		IDMappingOptions: &define.IDMappingOptions{HostUIDMapping: true, HostGIDMapping: true}, CommonBuildOpts: common, Capabilities: capabilities,
	})
}

// copyResult copies a file out of a container. What the program has left in its
// place or above it may be a link to anywhere, or a pipe that nobody fills.
func copyResult(ctx context.Context, w io.Writer, root, name string) (err error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer dir.Close() //nolint:errcheck // it was only read
	name = strings.TrimPrefix(filepath.Clean(name), "/")
	switch info, err := dir.Lstat(name); {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("it wrote no /%s", name)
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("what it left at /%s is no file", name)
	}
	f, err := dir.Open(name)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	_, err = io.Copy(w, contextReader{ctx, f})
	return err
}

// explain makes one line of what went wrong, with the last that the program said.
func (c Command) explain(ctx context.Context, log *buildLog, err error) error {
	what := fmt.Sprintf("running %s of %s", c.Args[0], c.Name)
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("%s: %w", what, Explain(err))
	}
	text := fmt.Sprintf("%s: failed with exit code %d", what, exit.ExitCode())
	if tail := log.tail(); tail != "" {
		text += ": " + tail
	}
	return &explained{text, err}
}
