package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/spf13/pflag"
	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build/media"
)

const copycdsDescription = `Copies what a distribution comes on to where images are built from, as xCAT's
copycds does, and makes osimage definitions of it. A medium is an ISO image, ISO
9660 or UDF, a device, or a directory; nothing is mounted, and whoever may write to
the place can do it.

   copycds Rocky-9.4-x86_64-dvd.iso
   copycds -i *.iso
   copycds --installdir ~/install --osimages ~/osimages debian-12.5.0-amd64-DVD-1.iso debian-12.5.0-amd64-DVD-2.iso
   copycds -n rocky9.4 -a x86_64 -p /srv/mirror/rocky9.4 /mnt/dvd

What is on it is known by .discinfo and .treeinfo (RHEL, Rocky, Alma, CentOS,
Oracle, Fedora), .disk/info (Debian, Ubuntu) or media.1 and content (SUSE). It goes
to /install/OSVERS/ARCH, beside what other media of it brought: further discs of
Debian into disc2 and so on, those of SUSE into 1 and 2. Files that are there with
the same size and time are not copied again. If it is broken off, what was there
before stays.

Then there are definitions OSVERS-ARCH-netboot-compute, -statelite-compute and,
where there are lists for it, the same of login. Done again, it sets what comes
from the medium anew and leaves the rest. The lists are found as mkdef -u finds them:
those of /install/custom/netboot and of xCAT go before those that rootcast comes
with, which are copied into a directory beside the definitions.`

// copycds is what the options of copycds fill.
type copycds struct {
	e                        *env
	name, arch, path         string
	noOSImage, keep, inspect bool
	osimages, installDir     string
}

// copied is a distribution of which media were copied.
type copied struct {
	osvers, arch string
	path         string // of all of its media
	keys         []string
}

func newCopycdsCommand(e *env) *cli.Command {
	c := &copycds{e: e}
	flags := pflag.NewFlagSet("copycds", pflag.ContinueOnError)
	flags.StringVarP(&c.name, "name", "n", "", "the medium is of `OSVERS`, such as rocky9.4, whatever it says")
	flags.StringVar(&c.name, "osver", "", "the same as --name `OSVERS`")
	flags.StringVarP(&c.arch, "arch", "a", "", "the medium is for `ARCH`, such as x86_64")
	flags.StringVarP(&c.path, "path", "p", "", "copy to `DIR` (default: INSTALLDIR/OSVERS/ARCH)")
	flags.BoolVarP(&c.noOSImage, "noosimage", "o", false, "make no definitions")
	flags.BoolVarP(&c.keep, "nonoverwrite", "w", false, "leave files that are there as they are")
	flags.BoolVarP(&c.inspect, "inspection", "i", false, "print what the media are, and copy nothing")
	flags.StringVar(&c.installDir, "installdir", "/install", "what xCAT calls installdir is `DIR`")
	flags.StringVar(&c.osimages, "osimages", "", osimagesUsage)
	x := &xcatCommand{
		name: "copycds", usage: "copy a distribution from its media, as xCAT does", arguments: "[OPTIONS] ISO|DIR...",
		description: copycdsDescription, flags: flags, run: c.run,
	}
	return x.command(e)
}

// osversName is what may be a part of a path and of an osimage's name.
var osversName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]{0,63}$`)

func (c *copycds) run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return usageErrorf("copycds: which medium? see copycds --help")
	}
	if c.name != "" && !osversName.MatchString(c.name) {
		return usageErrorf("copycds: -n %q is no name such as rocky9.4", c.name)
	}
	if c.arch != "" {
		arch := media.ArchOf(c.arch)
		if arch == "" {
			return usageErrorf("copycds: -a %q is no architecture such as x86_64, aarch64 or ppc64le", c.arch)
		}
		c.arch = arch
	}
	for _, dir := range []*string{&c.installDir, &c.path} {
		if *dir == "" {
			continue
		}
		var err error
		if *dir, err = filepath.Abs(*dir); err != nil {
			return err
		}
	}
	if c.inspect {
		return c.inspectAll(args)
	}
	var all []*copied
	for _, arg := range args {
		if err := c.copyOne(ctx, arg, &all); err != nil {
			return err
		}
	}
	if c.noOSImage {
		return nil
	}
	return c.define(all)
}

// inspectAll prints what media are, in xCAT's words.
func (c *copycds) inspectAll(args []string) error {
	var failed []error
	for _, arg := range args {
		m, id, err := c.open(arg)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		m.Close() //nolint:errcheck // it was only read
		if _, err := fmt.Fprintf(c.e.stdout, "OS Image:%s\nDISTNAME:%s\nARCH:%s\nDISCNO:%s\n", arg, id.OSVers, id.Arch, id.Disc); err != nil {
			return err
		}
	}
	return errors.Join(failed...)
}

// open opens a medium and says what it is, by itself and by -n and -a.
func (c *copycds) open(arg string) (*media.Medium, media.Identity, error) {
	m, err := media.Open(arg)
	if err != nil {
		return nil, media.Identity{}, err
	}
	id, err := media.Identify(m)
	if c.arch != "" && id.Arch != "" && c.arch != id.Arch {
		m.Close()                                                                                              //nolint:errcheck // it was only read
		return nil, id, fmt.Errorf("Requested distribution architecture %s, but media is %s", c.arch, id.Arch) //nolint:staticcheck // xCAT's words
	}
	id.OSVers, id.Arch = either(c.name, id.OSVers), either(c.arch, id.Arch)
	if id.OSVers == "" || id.Arch == "" {
		m.Close() //nolint:errcheck // it was only read
		return nil, id, fmt.Errorf("%s: %w", arg, err)
	}
	for _, warning := range id.Warnings {
		c.e.say("warning: %s: %s", arg, warning)
	}
	return m, id, nil
}

// copyOne copies one medium, and adds it to what was copied.
func (c *copycds) copyOne(ctx context.Context, arg string, all *[]*copied) error {
	m, id, err := c.open(arg)
	if err != nil {
		return err
	}
	defer m.Close() //nolint:errcheck // it was only read
	path := either(c.path, filepath.Join(c.installDir, id.OSVers, id.Arch))
	dest := filepath.Join(path, id.Subdir)
	if _, err := fmt.Fprintf(c.e.stdout, "Copying media to %s\n", path); err != nil {
		return err
	}
	p := c.e.newProgress()
	result, err := media.Copy(ctx, m, dest, media.CopyOptions{
		KeepFiles: c.keep,
		Progress:  func(done, total int64) { p.report("copying "+filepath.Base(arg), done, total) },
	})
	p.finish()
	if err != nil {
		return err
	}
	if result.InPlace {
		c.e.say("%s is where it is to be", arg)
	} else {
		c.e.say("%d files copied, %d were there already", result.Copied, result.Same)
	}
	if result.Kept > 0 {
		c.e.say("%d files that were there and differ from the medium's are as they were", result.Kept)
	}
	if _, err := fmt.Fprintln(c.e.stdout, "Media copy operation successful"); err != nil {
		return err
	}
	add(all, id, path)
	return nil
}

// add joins media of one distribution.
func add(all *[]*copied, id media.Identity, path string) {
	i := slices.IndexFunc(*all, func(d *copied) bool { return d.osvers == id.OSVers && d.arch == id.Arch })
	if i < 0 {
		*all = append(*all, &copied{osvers: id.OSVers, arch: id.Arch, path: path})
		i = len(*all) - 1
	}
	for _, key := range id.Keys {
		key = filepath.Join(path, id.Subdir, key)
		if d := (*all)[i]; !slices.Contains(d.keys, key) {
			d.keys = append(d.keys, key)
		}
	}
}
