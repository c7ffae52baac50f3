package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/rootcast/rootcast/build/apt"
)

// Bootstrap describes a base image made straight from a package repository.
type Bootstrap struct {
	Target string   // DISTRO:RELEASE, such as debian:bookworm, debian:12, ubuntu:noble, rocky:9.4, leap:15.6
	Tags   []string // names of the result

	Platforms []string // OS/ARCH[/VARIANT]; more than one make an index; default: the host's
	Jobs      int      // platforms at a time; default: 1

	// Mirrors are repositories to take packages from: URLs, each of which is
	// asked for the release, its updates and its security updates, or whole
	// lines of sources.list. Default: those of the host's own apt if the host
	// is of that distribution; on any other host there is none.
	Mirrors []string

	Packages []string // in addition to the variant's
	Variant  string   // mmdebstrap's name of a package set; default: minbase, the only one of RPM packages

	// Keyring is the file of the keys that sign Mirrors; for RPM packages
	// several can be named with commas between them. Default: the distribution's.
	Keyring string

	// NoGPGCheck takes RPM packages and repositories without a signature, or
	// with a bad one. Whoever can answer for the mirror then makes the image.
	NoGPGCheck bool

	// Epoch is the image's time, which no file's time exceeds. Two bootstraps
	// of the same packages and Epoch make the same image. Default: the time
	// of the newest list of packages that was used, so that the image changes
	// exactly when the repository does.
	Epoch *time.Time

	TempDir string    // for the root while it grows; default: /var/tmp
	Host    fs.FS     // where the configuration of the host's apt is; default: /
	Output  io.Writer // a line for each step; nil: nowhere
}

// packager makes the root of an image: mmdebstrap, or dnf and zypper.
type packager interface {
	checkHost(ctx context.Context) error  // finds what would fail late
	askMirrors(ctx context.Context) error // decides on the repositories
	run(ctx context.Context, w io.Writer) error
}

var (
	_ packager = (*bootstrapPlan)(nil)
	_ packager = (*rpmBootstrap)(nil)
)

func (p *bootstrapPlan) packager() packager {
	if p.rpm != nil {
		return p.rpm
	}
	return p
}

// Bootstrap makes a base image by mmdebstrap, dnf or zypper and puts it into the
// store; for several platforms an image of each and their index, which alone gets the names.
func (s *Store) Bootstrap(ctx context.Context, b Bootstrap) (Result, error) {
	plans, err := b.plans()
	if err != nil {
		return Result{}, err
	}
	for _, p := range plans { // before the first of them takes its minutes
		if err := p.packager().checkHost(ctx); err != nil {
			return Result{}, p.failed(err)
		}
	}
	results := make([]Result, len(plans))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(max(b.Jobs, 1))
	for i, p := range plans {
		g.Go(func() (err error) {
			results[i], err = s.bootstrap(gctx, p)
			return err
		})
	}
	if err := g.Wait(); err != nil || len(plans) == 1 {
		return results[0], err
	}
	var ids []string
	for _, r := range results {
		ids = append(ids, r.ID)
	}
	return s.MakeIndex(ctx, ids, b.Tags)
}

func (s *Store) bootstrap(ctx context.Context, p *bootstrapPlan) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	p.say("bootstrapping %s for %s", p.target, p.arch.platformName())
	if err := p.packager().askMirrors(ctx); err != nil {
		return Result{}, p.failed(err)
	}
	result, err := s.addRoot(ctx, p)
	if err != nil {
		return Result{}, p.failed(err)
	}
	return result, nil
}

func (p *bootstrapPlan) failed(err error) error {
	return fmt.Errorf("bootstrapping %s for %s: %w", p.target, p.arch.platformName(), err)
}

// addRoot has the root that the packager writes become the layer.
func (s *Store) addRoot(ctx context.Context, p *bootstrapPlan) (Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	layer, done := p.start(ctx)
	result, err := s.AddImage(ctx, ImageSpec{
		Layer:    layer,
		Platform: p.arch.platform(),
		Created:  p.epoch,
		History:  p.history(),
		Env:      []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Cmd:      []string{"/bin/bash"},
		Labels:   p.labels(),
		Tags:     p.tags,
	})
	cancel()
	layer.Close()
	if runErr := <-done; runErr != nil && !errors.Is(runErr, errStopped) {
		return Result{}, runErr // why the layer ended early
	}
	return result, err
}

// bootstrapPlan is a Bootstrap with all that was left open decided.
type bootstrapPlan struct {
	Bootstrap
	target  bootstrapTarget
	arch    architecture
	tags    []string
	keyring string         // path on the host
	sources []mirrorSource // after askMirrors
	release apt.Release    // of the main suite
	epoch   time.Time
	rpm     *rpmBootstrap // of RPM packages

	realHost bool // Host is that of the apt that runs here
	proxies  aptProxies
	proxyEnv []string // for the apt of the new root
}

// plans are those of all platforms.
func (b Bootstrap) plans() ([]*bootstrapPlan, error) {
	platforms := b.Platforms
	if len(platforms) == 0 {
		platforms = []string{""}
	}
	var list []*bootstrapPlan
	var mu sync.Mutex
	for _, platform := range platforms {
		one := b
		if len(platforms) > 1 {
			one.Tags, one.Output = nil, newTagged(&mu, b.Output, platform)
		}
		p, err := one.plan(platform)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(list, func(other *bootstrapPlan) bool { return other.arch == p.arch }) {
			return nil, platformErrorf("platform %q is named twice", platform)
		}
		list = append(list, p)
	}
	_, err := normalizeTags(b.Tags)
	return list, err
}

func (b Bootstrap) plan(platform string) (*bootstrapPlan, error) {
	p := &bootstrapPlan{Bootstrap: b}
	var err error
	if p.target, err = parseTarget(b.Target); err != nil {
		return nil, err
	}
	if p.arch, err = parseArchitecture(platform); err != nil {
		return nil, err
	}
	if p.tags, err = normalizeTags(b.Tags); err != nil {
		return nil, err
	}
	if p.Variant == "" {
		p.Variant = "minbase"
	}
	if err := p.checkPackages(); err != nil {
		return nil, err
	}
	if p.TempDir == "" {
		p.TempDir = "/var/tmp"
	}
	if p.Host == nil {
		p.Host, p.realHost = os.DirFS("/"), true
	}
	if p.Output == nil {
		p.Output = io.Discard
	}
	return p, nil
}

// checkPackages checks all that is about packages.
func (p *bootstrapPlan) checkPackages() error {
	if p.target.isRPM() {
		p.rpm = &rpmBootstrap{bootstrapPlan: p}
		return p.rpm.check()
	}
	if p.NoGPGCheck {
		return fmt.Errorf("packages of %s cannot be taken without a check of signatures; name their keys with --keyring", p.target.distro.title)
	}
	if err := checkVariant(p.Variant); err != nil {
		return err
	}
	for _, name := range p.Packages {
		if err := checkPackage(name); err != nil {
			return err
		}
	}
	return nil
}

// Validate finds what is wrong with b before any work is done for it.
func (b Bootstrap) Validate() error {
	_, err := b.plans()
	return err
}

func (p *bootstrapPlan) say(format string, args ...any) {
	fmt.Fprintf(p.Output, format+"\n", args...)
}

// labels say what the image is. The mirrors are not among them: their names
// are a site's own business.
func (p *bootstrapPlan) labels() map[string]string {
	title := p.target.distro.title
	if p.release.Version != "" {
		title += " " + p.release.Version
	}
	var suites []string
	for _, s := range p.sources {
		suites = append(suites, s.Suite)
	}
	if p.rpm != nil {
		return p.rpm.labels()
	}
	labels := map[string]string{
		v1.AnnotationTitle:              fmt.Sprintf("%s (%s)", title, p.target.release),
		v1.AnnotationVendor:             p.target.distro.title,
		"io.rootcast.bootstrap.distro":  p.target.distro.name,
		"io.rootcast.bootstrap.release": p.target.release,
		"io.rootcast.bootstrap.suites":  strings.Join(suites, " "),
		"io.rootcast.bootstrap.variant": p.Variant,
	}
	if len(p.Packages) > 0 {
		labels["io.rootcast.bootstrap.packages"] = strings.Join(p.Packages, " ")
	}
	if p.release.Version != "" {
		labels[v1.AnnotationVersion] = p.release.Version
	}
	return labels
}

func (p *bootstrapPlan) history() string {
	text := fmt.Sprintf("rootcast bootstrap --variant %s --platform %s", p.Variant, p.arch.platformName())
	for _, name := range p.Packages {
		text += " --package " + name
	}
	return text + " " + p.target.String()
}
