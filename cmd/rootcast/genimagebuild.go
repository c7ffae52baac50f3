package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/build"
	"github.com/rootcast/rootcast/build/osimage"
	"github.com/rootcast/rootcast/build/osimage/render"
	"github.com/rootcast/rootcast/convert/kernel"
	"github.com/rootcast/rootcast/convert/netboot"
)

// machine is this machine's architecture as xCAT calls it.
func machine() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Machine[:])
}

// build makes the image, names it, and keeps what the command line changed.
func (c *genimage) build(ctx context.Context, d *osimage.Definition) error {
	store, err := c.e.openStore()
	if err != nil {
		return err
	}
	labels, err := osimageLabels(d)
	if err != nil {
		return err
	}
	if c.rootLimit != "" {
		labels = append(labels, labelRootLimit+"="+c.rootLimit)
	}
	made, err := c.e.buildOsimage(ctx, store, d, osimageBuild{
		options: render.Options{NoUpdate: c.noUpdate, HostScripts: c.hostScripts, Timezone: c.timezone, Unchecked: render.Unchecked(c.unchecked), IgnoreKernel: c.ignoreKernel},
		labels:  labels, noCache: c.noCache,
	})
	if err != nil {
		return err
	}
	names := c.names(ctx, d)
	if c.hostScripts && d.Get("postinstall") != "" {
		if made, err = c.runScripts(ctx, store, d, made.ID); err != nil {
			return err
		}
	}
	if err := store.Tag(ctx, made.ID, names...); err != nil {
		return err
	}
	if err := c.saveOptions(d); err != nil {
		return err
	}
	if c.push != "" {
		if err := c.pushImage(ctx, store, d, names[0]); err != nil {
			return err
		}
	}
	c.e.say("the image of %s is %s; packimage %s makes what nodes boot from", d.Name, strings.Join(names, " and "), d.Name)
	return c.e.printLine(made.ID)
}

// names are those of the image. The one that xCAT would give it belongs to the
// definition that had it first.
func (c *genimage) names(ctx context.Context, d *osimage.Definition) []string {
	names := []string{osimageImageName(d)}
	shared := conventionalName(d)
	if shared == "" || shared == names[0] {
		return names
	}
	if labels, err := c.e.labelsOf(ctx, shared); err == nil && labels[labelName] != d.Name && labels[labelName] != "" {
		c.e.say("note: %s stays the image of osimage %s", shared, labels[labelName])
		return names
	}
	return append(names, shared)
}

// saveOptions writes what the command line said into the definition, as xCAT does.
func (c *genimage) saveOptions(d *osimage.Definition) error {
	if len(c.given) == 0 || d.Path == "" {
		return nil
	}
	from := catalog(c.dir)
	unlock, err := from.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	now, err := from.Load(d.Name) // which others may have changed meanwhile
	if err != nil {
		return err
	}
	for _, name := range c.given {
		if err := now.Set(name, d.Get(name), "/"); err != nil {
			return err
		}
	}
	return c.e.saveDefinitions(from, []*osimage.Definition{now})
}

func (c *genimage) pushImage(ctx context.Context, store *build.Store, d *osimage.Definition, name string) error {
	flags := registryFlags{authFile: c.authFile, tlsVerify: c.tlsVerify, retry: 3}
	reg, err := flags.registry()
	if err != nil {
		return err
	}
	to := strings.TrimSuffix(strings.TrimPrefix(c.push, "docker://"), "/") + "/" + strings.ToLower(d.Name)
	c.e.say("pushing %s to %s", name, to)
	pushed, err := store.Push(ctx, name, to, build.PushOptions{Registry: reg, Retry: flags.retries(), Progress: c.e.reportWriter(), TempDir: tempDir()})
	if err != nil {
		return err
	}
	for _, n := range pushed.Names {
		c.e.say("pushed %s", n)
	}
	return nil
}

// runScripts runs postinstall on this machine, as xCAT does.
func (c *genimage) runScripts(ctx context.Context, store *build.Store, d *osimage.Definition, id string) (build.Result, error) {
	change := build.Change{Image: id, Tag: osimageImageName(d), History: "rootcast genimage --postinstall-on-host", TempDir: tempDir()}
	return store.Change(ctx, change, func(ctx context.Context, root string) error {
		for _, script := range d.Scripts() {
			c.e.say("running %s on this machine for the root %s", script[0], root)
			cmd := exec.CommandContext(ctx, script[0], render.ScriptArguments(d, root, script)...) //nolint:gosec // the site's own script
			cmd.Env = append(append(os.Environ(), d.Items("environvar")...), render.ScriptEnvironment(d, root)...)
			cmd.Env = append(cmd.Env, "IMG_KERNELVERSION="+either(d.Get("kernelver"), newestKernel(root)))
			cmd.Dir, cmd.Stdout, cmd.Stderr = filepath.Dir(script[0]), c.e.reportWriter(), c.e.stderr
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("postinstall %s: %w", script[0], err)
			}
		}
		return nil
	})
}

// newestKernel is the last version in a root's /lib/modules.
func newestKernel(root string) string {
	entries, err := os.ReadDir(filepath.Join(root, "usr/lib/modules"))
	if err != nil {
		return ""
	}
	newest := ""
	for _, e := range entries {
		if newest == "" || kernel.Compare(e.Name(), newest) > 0 {
			newest = e.Name()
		}
	}
	return newest
}

// osimageBuild is how to build a definition's image.
type osimageBuild struct {
	options render.Options
	labels  []string
	noCache bool
	tags    []string
	volumes []string
}

// buildOsimage makes the image of a definition, with its base where it names none.
func (e *env) buildOsimage(ctx context.Context, store *build.Store, d *osimage.Definition, o osimageBuild) (build.Result, error) {
	o.options.Base = "scratch" // the argument BASE names it below
	r, err := render.Render(d, o.options)
	if err != nil { // before the base takes its minutes
		return build.Result{}, err
	}
	base, err := e.baseOf(ctx, store, d, o.options.Unchecked)
	if err != nil {
		return build.Result{}, err
	}
	dir, err := os.MkdirTemp(tempDir(), "rootcast-osimage-")
	if err != nil {
		return build.Result{}, fmt.Errorf("making the build context: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := e.writeContext(ctx, r, dir); err != nil {
		return build.Result{}, err
	}
	platform, err := osimage.Platform(d.Get("osarch"))
	if err != nil {
		return build.Result{}, err
	}
	args, err := repositoryStates(ctx, r, build.RepositoryOptions{Platform: platform, Version: distributionVersion(d)})
	if err != nil {
		return build.Result{}, err
	}
	args["BASE"] = base
	heard := &buildEcho{w: e.reportWriter()}
	recipe := build.Recipe{
		Context: dir, Platforms: []string{platform}, NoHostname: true, Labels: o.labels, Volumes: append(o.volumes, r.Volumes...), NoCache: o.noCache, Tags: o.tags,
		Args: args, Output: heard, TempDir: tempDir(),
		Registry: defaultRegistry(),
	}
	if d.Get("baseimage") != "" && !strings.HasPrefix(d.Get("baseimage"), "localhost/") {
		recipe.Pull = "newer"
	}
	if recipe.SourceDateEpoch, err = e.sourceDateEpoch(); err != nil {
		return build.Result{}, err
	}
	made, err := store.Build(ctx, recipe)
	if err == nil || ctx.Err() != nil {
		return made, err
	}
	if missing := render.Explain(heard.lines, r.Packages); missing != nil {
		return made, fmt.Errorf("building osimage %s: %w", d.Name, missing)
	}
	if why := render.Failure(heard.lines); why != "" && errors.As(err, new(*exec.ExitError)) {
		return made, fmt.Errorf("building osimage %s: %s", d.Name, why)
	}
	return made, fmt.Errorf("building osimage %s: %w", d.Name, err)
}

// repositoryStates are the arguments that have packages installed anew when their
// repositories have changed.
func repositoryStates(ctx context.Context, r *render.Rendering, o build.RepositoryOptions) (map[string]string, error) {
	args := map[string]string{}
	if len(r.Repositories) == 0 { // the image's own, which nobody has asked
		args["PKGDIR_STATE"] = time.Now().UTC().Format(time.DateOnly)
	}
	for name, list := range map[string][]string{"PKGDIR_STATE": r.Repositories, "OTHERPKGDIR_STATE": r.Others} {
		if len(list) == 0 {
			continue
		}
		state, err := build.RepositoryState(ctx, list, o)
		if err != nil {
			return nil, err
		}
		args[name] = state.String()
	}
	return args, nil
}

// writeContext writes a rendering and makes the repository data that it lacks.
func (e *env) writeContext(ctx context.Context, r *render.Rendering, dir string) error {
	if err := r.Write(dir); err != nil {
		return err
	}
	for _, index := range r.Indexes {
		to := filepath.Join(dir, index.Name)
		if err := os.MkdirAll(to, 0o755); err != nil {
			return fmt.Errorf("making repository data of %s: %w", index.Dir, err)
		}
		cmd := exec.CommandContext(ctx, "createrepo_c", "--quiet", "--no-database", "--simple-md-filenames", "--revision", "1", "--set-timestamp-to-revision", "--outputdir", to, index.Dir)
		out, err := cmd.CombinedOutput()
		switch {
		case errors.Is(err, exec.ErrNotFound):
			return fmt.Errorf("%s has no repository data, and createrepo_c, which makes it, is not installed: apt-get install createrepo-c, or dnf install createrepo_c", index.Dir)
		case err != nil:
			return fmt.Errorf("making repository data of %s: %w: %s", index.Dir, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

// buildEcho passes on what is written and keeps its last lines.
type buildEcho struct {
	w     io.Writer
	mu    sync.Mutex
	part  string
	lines []string
}

func (l *buildEcho) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	parts := strings.Split(l.part+string(p), "\n")
	l.part = parts[len(parts)-1]
	l.lines = append(l.lines, parts[:len(parts)-1]...)
	if over := len(l.lines) - 200; over > 0 {
		l.lines = slices.Delete(l.lines, 0, over)
	}
	return l.w.Write(p)
}

// baseOf is the image that a definition's packages are added to. One that is
// bootstrapped stays for as long as its repositories do not change.
func (e *env) baseOf(ctx context.Context, store *build.Store, d *osimage.Definition, unchecked render.Unchecked) (string, error) {
	if base := d.Get("baseimage"); base != "" {
		return base, nil
	}
	b, err := e.bootstrapOf(d, unchecked)
	if err != nil {
		return "", err
	}
	state, err := b.State(ctx)
	if err != nil {
		return "", fmt.Errorf("the base of osimage %s: %w", d.Name, err)
	}
	repository := "localhost/rootcast-base/" + strings.ToLower(d.Get("osvers")+"-"+d.Get("osarch"))
	name := repository + ":" + state.Encoded()[:16]
	if _, found, err := store.Resolve(ctx, name); err == nil && found {
		return name, nil
	}
	b.Tags = []string{name, repository + ":latest"}
	if _, err := store.Bootstrap(ctx, b); err != nil {
		return "", err
	}
	return name, forgetBases(ctx, store, repository, name)
}

// forgetBases takes their names from bases of repositories as they were.
func forgetBases(ctx context.Context, store *build.Store, repository, current string) error {
	images, err := store.Images(ctx, true)
	if err != nil {
		return err
	}
	for _, img := range images {
		for _, name := range img.Names {
			if strings.HasPrefix(name, repository+":") && name != current && name != repository+":latest" {
				if _, err := store.Remove(ctx, false, name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// bootstrapOf is the base that the repositories of a definition make.
func (e *env) bootstrapOf(d *osimage.Definition, unchecked render.Unchecked) (build.Bootstrap, error) {
	distribution, err := osimage.ParseDistribution(d.Get("osvers"))
	if err != nil {
		return build.Bootstrap{}, err
	}
	platform, err := osimage.Platform(d.Get("osarch"))
	if err != nil {
		return build.Bootstrap{}, err
	}
	version := distribution.Version
	switch distribution.Name {
	case "debian":
		version = distribution.Major()
	case "ubuntu":
		if parts := strings.Split(version, "."); len(parts) > 2 {
			version = strings.Join(parts[:2], ".")
		}
	}
	b := build.Bootstrap{
		Target: distribution.Name + ":" + version, Platforms: []string{platform},
		Keyring: strings.Join(d.Items("gpgkeys"), ","), TempDir: tempDir(), Output: e.reportWriter(),
	}
	if b.NoGPGCheck = unchecked == render.AllUnchecked; b.NoGPGCheck {
		b.Keyring = ""
	}
	for _, entry := range d.Items("pkgdir") {
		if distribution.Family != osimage.APT {
			b.Mirrors = append(b.Mirrors, entry)
			continue
		}
		b.Mirrors = append(b.Mirrors, render.Sources(entry, b.NoGPGCheck)...)
	}
	if d.Get("pkgdir") != "" && b.Mirrors == nil {
		return b, fmt.Errorf("osimage %s: pkgdir %s has no suite (dists/SUITE/Release) to make a base from; name a baseimage", d.Name, d.Get("pkgdir"))
	}
	b.Epoch, err = e.sourceDateEpoch()
	return b, err
}

// initrd makes a rootimgdir's kernel and initrd once more, of the image that is there.
// The root's packed segments are in the cache.
func (c *genimage) initrd(ctx context.Context, d *osimage.Definition) error {
	if d.Get("provmethod") == "statelite" {
		return fmt.Errorf("osimage %s: --onlyinitrd is for netboot; liteimg %s makes kernel and initrd anew", d.Name, d.Name)
	}
	method, compress := "cpio", "gzip"
	m, err := netboot.ReadManifest(rootimgdirOf(d))
	if err != nil {
		return fmt.Errorf("osimage %s: --onlyinitrd is for what packimage made before: %w", d.Name, err)
	}
	for _, f := range m.Files {
		if f.Method != "" {
			method, compress = f.Method, f.Compress
		}
	}
	if err := c.e.pack(ctx, d, packing{method: method, compress: compress, keep: netboot.DefaultKeep, rootimgdir: rootimgdirOf(d)}); err != nil {
		return err
	}
	return c.saveOptions(d)
}

// distributionVersion is the version in osvers, such as 9.4.
func distributionVersion(d *osimage.Definition) string {
	distribution, err := osimage.ParseDistribution(d.Get("osvers"))
	if err != nil {
		return ""
	}
	return distribution.Version
}
