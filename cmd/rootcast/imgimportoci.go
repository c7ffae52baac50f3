package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/rootcast/rootcast/build"
	"github.com/rootcast/rootcast/build/osimage"
	"github.com/rootcast/rootcast/build/osimage/bundle"
	"github.com/rootcast/rootcast/convert/image"
)

// importOCI takes the image of an OCI archive into the store, and the definition
// with its files from the archive's bundle; of an archive that has none, from the
// image's label.
func (c *imgimport) importOCI(ctx context.Context, file string, part *io.SectionReader) (err error) {
	store, err := c.e.openStore()
	if err != nil {
		return err
	}
	pull := func(d *osimage.Definition) error {
		result, err := store.Pull(ctx, "oci-archive:"+file, build.PullOptions{Progress: c.e.reportWriter(), TempDir: os.Getenv("TMPDIR")})
		if err != nil {
			return err
		}
		return store.Tag(ctx, result.ID, osimageImageName(d))
	}
	var name string
	if part != nil {
		name, err = c.restore(ctx, part, func(m *bundle.Manifest) error {
			d, err := definitionOf(m)
			if err != nil {
				return err
			}
			return pull(d)
		})
	} else {
		name, err = c.importLabel(ctx, file, pull)
	}
	if err != nil {
		return err
	}
	return c.e.printLine("Successfully imported the image " + name + ".")
}

// definitionOf is the definition that a manifest holds.
func definitionOf(m *bundle.Manifest) (*osimage.Definition, error) {
	s, _, err := m.Stanza()
	if err != nil {
		return nil, err
	}
	d := &osimage.Definition{Name: s.Name}
	return d, assign(d, s, osimage.Assign)
}

// importLabel takes the definition from the image's label.
func (c *imgimport) importLabel(ctx context.Context, file string, pull func(*osimage.Definition) error) (string, error) {
	if c.profile != "" {
		return "", fmt.Errorf("importing %s: -f changes files, and the archive has none of the definition", c.bundle)
	}
	img, err := c.e.openImage(ctx, "oci-archive:"+file, build.Registry{}, wish{skip: func(*image.Image) bool { return true }})
	if err != nil {
		return "", err
	}
	text := img.Config.Config.Labels[labelDefinition]
	if err := img.Close(); err != nil {
		return "", err
	}
	if text == "" {
		return "", fmt.Errorf("importing %s: the image has no definition, neither beside it nor in its label %s; rootcast pull oci-archive:%s takes the image alone", c.bundle, labelDefinition, c.bundle)
	}
	into := catalog(c.dir)
	read, err := labelledDefinition(text)
	if err != nil {
		return "", fmt.Errorf("importing %s: %w", c.bundle, err)
	}
	s := osimage.Stanza{Name: read.Name}
	for _, attribute := range read.Attributes() {
		s.Assignments = append(s.Assignments, osimage.Assignment{Attribute: attribute, Value: read.Get(attribute)})
	}
	if err := c.checkDefinition(into, s); err != nil {
		return "", err
	}
	d := read.Clone(s.Name)
	if err := pull(d); err != nil {
		return "", err
	}
	c.e.say("warning: the archive has the definition without the files that it names; rootcast osimage lint tells which are missing")
	_, err = c.e.makeDefinitions(into, &osimage.Definition{}, []osimage.Stanza{s}, c.force)
	return s.Name, errors.Join(err)
}
