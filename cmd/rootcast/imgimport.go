package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/docker/go-units"
	"github.com/spf13/pflag"
	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build/osimage"
	"github.com/rootcast/rootcast/build/osimage/bundle"
)

const imgimportDescription = `Takes an osimage out of a bundle that imgexport made, xCAT's or rootcast's: its files
go to where they were on the machine that it came from, and the definition to the
others. All of it is done or nothing.

   imgimport compute.tgz
   imgimport compute.tgz -R root@mgmt1
   imgimport compute.tgz -f login
   imgimport compute.tgz --allow /srv/boot
   imgimport compute.oci.tar

Who made a bundle chose where its files go. They are taken below --installdir,
/opt/xcat/share/xcat and the directory of definitions; elsewhere only below
directories of --allow. Files that are there and differ are kept unless --force is
given: then they stay as FILE.ORIG.

An OCI archive's image goes into the local store.`

// defaultInstalldir is xCAT's site.installdir.
const defaultInstalldir = "/install"

// imgimport is what the options of imgimport fill.
type imgimport struct {
	e                     *env
	dir, installdir       string
	nodes, profile, host  string
	noZip, verbose, force bool
	allow                 []string
	limit                 string
	bundle                string
	limits                bundle.Limits
}

func newImgimportCommand(e *env) *cli.Command {
	c := &imgimport{e: e}
	flags := pflag.NewFlagSet("imgimport", pflag.ContinueOnError)
	flags.StringVarP(&c.nodes, "postscripts", "p", "", "give the bundle's postscripts to `NODES`, of which rootcast has none: an error")
	flags.StringVarP(&c.profile, "profile", "f", "", "make an osimage of the profile `NEW` of it, with files of its own")
	flags.StringVarP(&c.host, "remotehost", "R", "", "copy BUNDLE from `USER@HOST` by scp")
	flags.BoolVarP(&c.noZip, "nozip", "n", false, "the bundle is not packed by gzip")
	flags.BoolVarP(&c.verbose, "verbose", "v", false, "name each file")
	flags.BoolVar(&c.force, "force", false, "replace a definition and files that there are; files stay as FILE.ORIG")
	flags.StringArrayVar(&c.allow, "allow", nil, "take files that go below `DIR`; may be repeated")
	flags.StringVar(&c.installdir, "installdir", defaultInstalldir, "xCAT's installdir is `DIR`")
	flags.StringVar(&c.limit, "max-size", "64GiB", "refuse a bundle that unpacks to more than `SIZE`")
	flags.StringVar(&c.dir, "osimages", "", osimagesUsage)
	x := &xcatCommand{
		name: "imgimport", usage: "take an osimage with its files out of a bundle, as xCAT does", arguments: "BUNDLE [OPTIONS]",
		description: imgimportDescription, flags: flags, run: c.run,
	}
	return x.command(e)
}

func (c *imgimport) run(ctx context.Context, args []string) error {
	if err := c.check(args); err != nil {
		return err
	}
	file := c.bundle
	if c.host != "" {
		temp, err := os.MkdirTemp(tempDir(), "imgimport-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp)
		file = filepath.Join(temp, "bundle")
		c.e.say("copying the bundle from %s", c.host)
		if err := scp(ctx, c.host+":"+c.bundle, file); err != nil {
			return err
		}
	}
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("reading the bundle: %w", err)
	}
	defer f.Close()
	part, isOCI, err := c.findOCI(ctx, f)
	if err != nil {
		return fmt.Errorf("reading the bundle %s: %w", c.bundle, err)
	}
	if isOCI {
		return c.importOCI(ctx, file, part)
	}
	name, err := c.restore(ctx, f, nil)
	if err != nil {
		return err
	}
	return c.e.printLine("Successfully imported the image " + name + ".")
}

// check finds what is wrong with the command line.
func (c *imgimport) check(args []string) (err error) {
	switch {
	case c.nodes != "":
		return errNodeTable("imgimport", "-p")
	case len(args) == 0:
		return usageErrorf("imgimport: which bundle? see imgimport --help")
	case len(args) > 1:
		return usageErrorf("imgimport: unexpected argument %q; see imgimport --help", args[1])
	case !filepath.IsAbs(c.installdir):
		return usageErrorf("imgimport: --installdir %s is not an absolute path", c.installdir)
	}
	c.bundle = args[0]
	for i, dir := range c.allow {
		if c.allow[i], err = filepath.Abs(dir); err != nil {
			return err
		}
	}
	if c.limits.Size, err = units.RAMInBytes(c.limit); err != nil || c.limits.Size <= 0 {
		return usageErrorf("imgimport: --max-size %q is no size such as 500MiB or 64GiB", c.limit)
	}
	if c.host != "" {
		return checkRemote("imgimport", c.host, c.bundle)
	}
	return nil
}

// findOCI finds whether the file is an OCI archive, and the bundle in it.
func (c *imgimport) findOCI(ctx context.Context, f *os.File) (part *io.SectionReader, isOCI bool, err error) {
	magic := make([]byte, 2)
	if _, err := f.ReadAt(magic, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	packed := magic[0] == 0x1f && magic[1] == 0x8b
	switch {
	case packed && c.noZip:
		return nil, false, errors.New("it is packed by gzip, and -n says that it is not")
	case packed:
		return nil, false, nil
	}
	part, isOCI, err = bundle.FindOCI(ctx, f)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	return part, isOCI, err
}

// restore takes the files and the definition out of a bundle. with, if it is not
// nil, is done when all files lie ready; what it returns undoes the import.
func (c *imgimport) restore(ctx context.Context, r io.ReadSeeker, with func(*bundle.Manifest) error) (name string, err error) {
	contents, err := bundle.Scan(ctx, r, c.limits)
	if err != nil {
		return "", fmt.Errorf("reading the bundle %s: %w", c.bundle, err)
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	into := catalog(c.dir)
	definitions, err := filepath.Abs(into.Dirs[0])
	if err != nil {
		return "", err
	}
	files, err := c.plan(contents, definitions)
	if err != nil {
		return "", fmt.Errorf("importing %s: %w", c.bundle, err)
	}
	s, unknown, err := contents.Manifest.Stanza()
	if err != nil {
		return "", fmt.Errorf("importing %s: %w", c.bundle, err)
	}
	if err := c.checkDefinition(into, s); err != nil {
		return "", err
	}
	c.warn(contents.Manifest, unknown)
	restored, err := c.unpack(ctx, r, contents, files, definitions)
	if err != nil {
		return "", err
	}
	if with != nil {
		err = with(contents.Manifest)
	}
	if err == nil {
		err = restored.Commit()
	}
	if err == nil {
		_, err = c.e.makeDefinitions(into, &osimage.Definition{}, []osimage.Stanza{s}, c.force)
	}
	if err != nil {
		return "", errors.Join(err, restored.Rollback())
	}
	return s.Name, c.sayRestored(restored)
}

// plan finds where the files go.
func (c *imgimport) plan(contents *bundle.Contents, definitions string) ([]bundle.File, error) {
	files, missing, err := contents.Files()
	if err != nil {
		return nil, err
	}
	for _, name := range missing {
		c.e.say("warning: the bundle lacks %s, which the osimage names", name)
	}
	m := contents.Manifest
	m.Move(definitions, files)
	if c.profile != "" {
		if err := m.SetProfile(c.profile, c.installdir, files); err != nil {
			return nil, err
		}
	}
	return files, c.checkMedia(m)
}

// checkMedia refuses, as xCAT does, what is installed from a tree that is not there.
func (c *imgimport) checkMedia(m *bundle.Manifest) error {
	if m.Media != "required" {
		return nil
	}
	tree := filepath.Join(c.installdir, filepath.Base(m.OSImage["osvers"]), filepath.Base(m.OSImage["osarch"]))
	if _, err := os.Stat(tree); err != nil {
		return fmt.Errorf("this image requires that you first copy the media of %s-%s to %s, by copycds", m.OSImage["osvers"], m.OSImage["osarch"], tree)
	}
	return nil
}

// checkDefinition finds, before any file is written, why the definition would be
// refused.
func (c *imgimport) checkDefinition(into osimage.Catalog, s osimage.Stanza) error {
	if _, err := vacant(into, s.Name, c.force); err != nil {
		return err
	}
	if err := assign(&osimage.Definition{Name: s.Name}, s, osimage.Assign); err != nil {
		return fmt.Errorf("importing %s: %w", c.bundle, err)
	}
	return nil
}

// warn tells of what the bundle has and rootcast does not take.
func (c *imgimport) warn(m *bundle.Manifest, unknown []string) {
	for _, one := range unknown {
		c.e.say("warning: an osimage here has no such attribute, and it is left out: %s", one)
	}
	if m.Postscripts != "" || m.PostBootScripts != "" {
		c.e.say("warning: the bundle has postscripts of a node, which are left out: %s %s", m.Postscripts, m.PostBootScripts)
	}
	for name := range m.Kits {
		c.e.say("warning: the bundle has xCAT's kit %s, which is left out", name)
	}
	if m.RawFiles != nil {
		c.e.say("warning: the bundle has %d disk images of s390x, which are left out", len(m.RawFiles))
	}
	if m.RootImgTree != nil {
		c.e.say("note: %s stays packed: rootcast changes no unpacked root", m.RootImgTree[0])
	}
	if m.LiteFile != nil {
		c.e.say("note: the litefile rules are in %s, as convert --statelite takes them", filepath.Base(m.LiteFile[0]))
	}
}

// unpack writes the files beside their places.
func (c *imgimport) unpack(ctx context.Context, r io.Reader, contents *bundle.Contents, files []bundle.File, definitions string) (*bundle.Restored, error) {
	if c.verbose {
		for _, f := range files {
			c.e.say("%s", f.Dest)
		}
	}
	p := c.e.newProgress()
	defer p.finish()
	restored, err := bundle.Restore(ctx, r, contents, files, bundle.RestoreOptions{
		Places:   bundle.Places{Known: []string{c.installdir, "/opt/xcat/share/xcat"}, Definitions: []string{definitions}, Allowed: c.allow},
		Replace:  c.force,
		Progress: func(done, total int64) { p.report("restoring files", done, total) },
	})
	var outside *bundle.OutsideError
	var exist *bundle.ExistError
	switch {
	case errors.As(err, &outside):
		return nil, fmt.Errorf("importing %s: %w; if you trust it, allow their directories by --allow DIR", c.bundle, outside)
	case errors.As(err, &exist):
		return nil, fmt.Errorf("importing %s: %w; --force replaces them, and keeps each as FILE%s", c.bundle, exist, bundle.Kept)
	case err != nil:
		return nil, fmt.Errorf("importing %s: %w", c.bundle, err)
	}
	return restored, nil
}

func (c *imgimport) sayRestored(restored *bundle.Restored) error {
	replaced, same, err := restored.Finish()
	if err != nil {
		return fmt.Errorf("importing %s: keeping replaced files: %w", c.bundle, err)
	}
	for _, name := range replaced {
		c.e.say("replaced %s; the earlier one is %s%s", name, filepath.Base(name), bundle.Kept)
	}
	if same > 0 {
		c.e.say("%d files were there already", same)
	}
	return nil
}
