package main

import (
	"context"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build"
)

const bootstrapDescription = `Makes a base image straight from a package repository, by mmdebstrap, dnf or
zypper, and prints its ID. Use it where no registry is at hand, or to know what a base is made of.

   rootcast bootstrap -t localhost/base/debian:12 debian:bookworm
   rootcast bootstrap -t localhost/base/debian:13 --package ca-certificates --package curl debian:13
   rootcast bootstrap -t localhost/base/debian:12-arm64 --platform linux/arm64 debian:12
   rootcast bootstrap -t localhost/base/debian:12 --platform linux/amd64,linux/arm64,linux/ppc64le --jobs 2 debian:12
   rootcast bootstrap -t localhost/base/ubuntu:24.04 --mirror http://mirror.example/ubuntu ubuntu:noble
   rootcast bootstrap -t localhost/base/rocky:9.4 rocky:9.4
   rootcast bootstrap -t localhost/base/rhel:9.4 --mirror /install/rhels9.4/x86_64 --keyring RPM-GPG-KEY-redhat-release rhel:9.4
   rootcast bootstrap -t localhost/base/sles:15.5 --mirror http://mirror.example/sles15.5/x86_64 --keyring suse.asc sles:15.5

Packages come from the mirrors of this machine's own apt if it is of the same
distribution; elsewhere --mirror names one. The image's apt uses the
same mirrors, without the name and password that --mirror may hold.
The proxies of this machine's apt, or else those of the environment, are used on the way.

Distributions of RPM packages are rocky, alma, rhel, centos-stream, centos, ol and
fedora, which this machine's dnf installs, and leap and sles, which its zypper does.
Their mirrors are URLs, or directories such as those of copied media, that are
repositories or have some below them (BaseOS and AppStream, SUSE's modules). Without
--mirror the distribution's public ones are used; RHEL and SLES have none. The image
is configured with the mirrors given (rootcast.repo) unless one is a directory.
Packages must be signed by the keys of --keyring or the distribution's, from
/etc/pki/rpm-gpg or /usr/share/distribution-gpg-keys; --no-gpg-check gives that up.

The image's time is SOURCE_DATE_EPOCH, or else that of the newest package list:
the same packages make the same image, with the same digest.

Another architecture's packages run their scripts through an emulator: rootcast binfmt status.`

type bootstrapCommand struct {
	*env
	bootstrap                                    build.Bootstrap
	tags, platforms, mirrors, packages, keyrings cli.StringSlice
}

func newBootstrapCommand(e *env) *cli.Command {
	c := &bootstrapCommand{env: e}
	b := &c.bootstrap
	return &cli.Command{
		Name:        "bootstrap",
		Usage:       "make a base image from a package repository",
		ArgsUsage:   "DISTRO:RELEASE",
		Description: bootstrapDescription,
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "tag", Aliases: []string{"t"}, Usage: "name the image `NAME[:TAG]`; may be repeated", Destination: &c.tags},
			&cli.StringSliceFlag{Name: "platform", Usage: "make it for `OS/ARCH[/VARIANT]`; several make one index (default: the host's)", Destination: &c.platforms},
			&cli.IntFlag{Name: "jobs", Usage: "make `N` platforms at a time", Destination: &b.Jobs, Value: 1},
			&cli.StringSliceFlag{Name: "mirror", Usage: "take packages from `URL`, a line as in sources.list or, of RPM packages, a directory; may be repeated", Destination: &c.mirrors},
			&cli.StringSliceFlag{Name: "package", Usage: "add the package `NAME`; may be repeated", Destination: &c.packages},
			&cli.StringFlag{Name: "variant", Usage: "begin with the package `SET`: essential, apt, required, minbase, buildd, important or standard", Destination: &b.Variant, DefaultText: "minbase"},
			&cli.StringSliceFlag{Name: "keyring", Usage: "`FILE` of the keys that sign the mirrors' packages (default: the distribution's); may be repeated for RPM packages", Destination: &c.keyrings},
			&cli.BoolFlag{Name: "no-gpg-check", Usage: "take RPM packages that nobody or anybody signed", Destination: &b.NoGPGCheck},
		},
		Action: action(e, "DISTRO:RELEASE", 1, 1, c.run),
	}
}

func (c *bootstrapCommand) run(ctx context.Context, args []string) error {
	b := c.bootstrap
	b.Target = args[0]
	b.Tags, b.Mirrors, b.Packages = c.tags.Value(), c.mirrors.Value(), c.packages.Value()
	b.Keyring = strings.Join(c.keyrings.Value(), ",")
	for _, p := range c.platforms.Value() {
		b.Platforms = append(b.Platforms, strings.Split(p, ",")...)
	}
	if b.Jobs < 0 {
		return usageErrorf("--jobs %d is negative", b.Jobs)
	}
	b.TempDir, b.Output = os.Getenv("TMPDIR"), c.reportWriter()
	var err error
	if b.Epoch, err = c.sourceDateEpoch(); err != nil {
		return err
	}
	if len(b.Tags) == 0 {
		return usageErrorf("the image needs a name: rootcast bootstrap -t NAME %s", b.Target)
	}
	if err := asUsage("", b.Validate()); err != nil {
		return err
	}
	store, err := c.openStore()
	if err != nil {
		return err
	}
	result, err := store.Bootstrap(ctx, b)
	if err != nil {
		return err
	}
	return c.printLine(result.ID)
}
