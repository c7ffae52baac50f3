package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build"
)

const buildDescription = `Builds an image from a Containerfile and prints its ID. All of the Dockerfile
syntax works; flags mean what they mean to buildah build.

   rootcast build -t localhost/compute:1 recipes/debian12/compute
   rootcast build -t registry.example/compute:1 --push --build-arg BASE=localhost/base/debian:12 .
   rootcast build -t localhost/compute:1 --platform linux/amd64,linux/arm64 --jobs 2 .
   rootcast build -t localhost/compute:1 --secret id=root_password_hash,src=root.hash .
   rootcast build -t registry.example/compute:1 --platform linux/amd64,linux/arm64 --push \
       --node linux/arm64=ssh://builder@n01 .

Several platforms make one image index; with --jobs they are built side by side.
RUN steps of another architecture need an emulator: rootcast binfmt status.

RUN steps work in a chroot with the host's network; no daemon and no OCI runtime
is needed. Without --policy and without any policy.json every base image is
accepted. An ordinary user needs uidmap and a range in /etc/subuid.

--node has a machine of a platform build for it, without emulation: the rootcast
there gets recipe, context and secrets through ssh, which must get in without
asking, builds with its own store, and pushes by digest with its own login to the
repository of the first tag, from which the image comes here. Base images must be
in a registry then.`

type buildCommand struct {
	*env
	recipe build.Recipe

	files, tags, platforms, args, labels, annotations cli.StringSlice
	secrets, volumes, hosts, dns, nodes               cli.StringSlice
	pull                                              optionalString
	timestamp, iidFile, logFile                       string
	push                                              bool
	registryFlags
}

func newBuildCommand(e *env) *cli.Command {
	c := &buildCommand{env: e}
	return &cli.Command{
		Name:        "build",
		Usage:       "build an image from a Containerfile",
		ArgsUsage:   "[CONTEXT]",
		Description: buildDescription,
		Flags:       append(append(c.buildFlags(), c.flags()...), c.retryFlag()),
		Action:      action(e, "[CONTEXT]", 0, 1, c.run),
	}
}

func (c *buildCommand) buildFlags() []cli.Flag {
	r := &c.recipe
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "file", Aliases: []string{"f"}, Usage: "Containerfile; - is standard input; may be repeated (default: Containerfile or Dockerfile of CONTEXT)", Destination: &c.files},
		&cli.StringSliceFlag{Name: "tag", Aliases: []string{"t"}, Usage: "name the image `NAME[:TAG]`; may be repeated", Destination: &c.tags},
		&cli.StringSliceFlag{Name: "platform", Usage: "build for `OS/ARCH[/VARIANT]`; several make one index (default: the host's)", Destination: &c.platforms},
		&cli.StringSliceFlag{Name: "node", Usage: "have `PLATFORM=ssh://[USER@]HOST[:PORT][/PATH/OF/ROOTCAST]` build for that platform; may be repeated, needs --push", Destination: &c.nodes},
		&cli.StringSliceFlag{Name: "build-arg", Usage: "`KEY=VALUE` for ARG; KEY alone takes the environment's value", Destination: &c.args},
		&cli.BoolFlag{Name: "push", Usage: "push the image to each of its tags", Destination: &c.push, DisableDefaultText: true},
		&cli.StringFlag{Name: "target", Usage: "stop at `STAGE`", Destination: &r.Target},
		&cli.BoolFlag{Name: "no-cache", Usage: "do not use layers of earlier builds", Destination: &r.NoCache, DisableDefaultText: true},
		&cli.GenericFlag{Name: "pull", Usage: "fetch base images: --pull=`WHEN`, one of always, missing, never, newer", Value: &c.pull, DefaultText: "missing; --pull alone: always"},
		&cli.StringSliceFlag{Name: "label", Usage: "set a label `KEY=VALUE`", Destination: &c.labels},
		&cli.StringSliceFlag{Name: "annotation", Usage: "set a manifest annotation `KEY=VALUE`", Destination: &c.annotations},
		&cli.StringSliceFlag{Name: "secret", Usage: "`id=ID,src=FILE` or id=ID,env=NAME for RUN --mount=type=secret; it never enters the image", Destination: &c.secrets},
		&cli.StringSliceFlag{Name: "volume", Usage: "mount `HOST:CONTAINER[:OPTIONS]` for RUN", Destination: &c.volumes},
		&cli.StringSliceFlag{Name: "add-host", Usage: "`NAME:IP` for /etc/hosts of RUN", Destination: &c.hosts},
		&cli.StringSliceFlag{Name: "dns", Usage: "name server `IP` of RUN, or none", Destination: &c.dns},
		&cli.StringFlag{Name: "network", Usage: "`MODE` of RUN's network: host, none, private or ns:PATH; all but host need --isolation oci", Destination: &r.Network, DefaultText: "host"},
		&cli.StringFlag{Name: "isolation", Usage: "`TYPE` of RUN's isolation: chroot, oci (crun or runc) or rootless", Destination: &r.Isolation, DefaultText: "chroot"},
		&cli.IntFlag{Name: "jobs", Usage: "build `N` platforms and stages at a time", Destination: &r.Jobs, Value: 1},
		&cli.StringFlag{Name: "timestamp", Usage: "`SECONDS` since 1970 as the time of the image and of all files in its new layers", Destination: &c.timestamp},
		&cli.StringFlag{Name: "iidfile", Usage: "write the image's ID to `FILE`", Destination: &c.iidFile},
		&cli.StringFlag{Name: "logfile", Usage: "write the build's output to `FILE` instead of stderr", Destination: &c.logFile},
		&cli.BoolFlag{Name: "squash", Usage: "make one layer of all that the recipe adds", Destination: &r.Squash, DisableDefaultText: true},
	}
}

func (c *buildCommand) run(ctx context.Context, args []string) (err error) {
	r, err := c.fill(args)
	if err != nil {
		return err
	}
	iidFile := resultFile{"iidfile", c.iidFile}
	if err := iidFile.check(); err != nil {
		return err
	}
	store, err := c.openStore()
	if err != nil {
		return err
	}
	out, closeLog, err := c.output()
	if err != nil {
		return err
	}
	r.Output = out
	var result build.Result
	if file := osimageRecipe(r); file != "" {
		result, err = c.buildDefinition(ctx, store, r, file)
	} else {
		result, err = store.Build(ctx, r)
	}
	if cerr := closeLog(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := iidFile.write("sha256:" + result.ID); err != nil {
		return err
	}
	if c.push {
		if err := c.pushTags(ctx, store, r); err != nil {
			return err
		}
	}
	return c.printLine(result.ID)
}

func (c *buildCommand) pushTags(ctx context.Context, store *build.Store, r build.Recipe) error {
	for _, tag := range r.Tags {
		c.say("pushing %s", tag)
		pushed, err := store.Push(ctx, tag, "", build.PushOptions{
			Registry: r.Registry,
			Retry:    r.Retry,
			Progress: c.reportWriter(),
			TempDir:  r.TempDir,
		})
		if err != nil {
			return err
		}
		for _, name := range pushed.Names {
			c.say("pushed %s", name)
		}
	}
	return nil
}

// fill completes the recipe with what the flags could not write into it.
func (c *buildCommand) fill(args []string) (build.Recipe, error) {
	r := c.recipe
	var err error
	if r.Registry, err = c.registry(); err != nil {
		return r, err
	}
	r.Context = "."
	if len(args) > 0 {
		r.Context = args[0]
	}
	r.Files, r.Stdin, r.Tags = c.files.Value(), c.stdin, c.tags.Value()
	for _, p := range c.platforms.Value() {
		r.Platforms = append(r.Platforms, strings.Split(p, ",")...)
	}
	r.Labels, r.Annotations = c.labels.Value(), c.annotations.Value()
	r.Secrets, r.Volumes = c.secrets.Value(), c.volumes.Value()
	r.AddHosts, r.DNS = c.hosts.Value(), c.dns.Value()
	r.Pull, r.Retry, r.TempDir = string(c.pull), c.retries(), os.Getenv("TMPDIR")
	r.Args = buildArgs(c.args.Value())
	if r.Timestamp, err = seconds("--timestamp", c.timestamp); err != nil {
		return r, err
	}
	if r.Timestamp == nil {
		if r.SourceDateEpoch, err = c.sourceDateEpoch(); err != nil {
			return r, err
		}
	}
	if r.Nodes, err = c.parseNodes(); err != nil {
		return r, err
	}
	if c.push && len(r.Tags) == 0 {
		return r, usageErrorf("build: --push needs -t, which says where to")
	}
	if err := asUsage("build: ", r.Validate()); err != nil || !c.push {
		return r, err
	}
	for _, tag := range r.Tags {
		if err := build.ValidatePushTag(tag); err != nil {
			return r, err
		}
	}
	return r, nil
}

// parseNodes reads PLATFORM=URL.
func (c *buildCommand) parseNodes() (map[string]string, error) {
	nodes := map[string]string{}
	for _, text := range c.nodes.Value() {
		platform, url, ok := strings.Cut(text, "=")
		switch {
		case !ok || platform == "":
			return nil, usageErrorf("build: --node %q is not PLATFORM=URL, as in linux/arm64=ssh://builder@n01", text)
		case nodes[platform] != "":
			return nil, usageErrorf("build: --node names two machines for %s", platform)
		case !c.push:
			return nil, usageErrorf("build: --node needs --push: the node's image comes here through the registry")
		}
		nodes[platform] = url
	}
	return nodes, nil
}

// buildArgs reads KEY=VALUE; a KEY alone stands for the environment's value,
// or for none.
func buildArgs(list []string) map[string]string {
	args := map[string]string{}
	for _, arg := range list {
		key, value, ok := strings.Cut(arg, "=")
		if !ok {
			if value, ok = os.LookupEnv(key); !ok {
				delete(args, key)
				continue
			}
		}
		args[key] = value
	}
	return args
}

func seconds(what, text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, usageErrorf("%s %q is not a number of seconds since 1970", what, text)
	}
	t := time.Unix(n, 0).UTC()
	return &t, nil
}

// output is where the build's own output goes.
func (c *buildCommand) output() (io.Writer, func() error, error) {
	if c.logFile == "" {
		return c.reportWriter(), func() error { return nil }, nil
	}
	f, err := os.OpenFile(c.logFile, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("opening --logfile: %w", err)
	}
	return f, f.Close, nil
}
