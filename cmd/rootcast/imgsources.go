package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rootcast/rootcast/build/osimage"
	"github.com/rootcast/rootcast/build/osimage/bundle"
	"github.com/rootcast/rootcast/convert/netboot"
)

// sources are the files that nodes of the image boot from. Those of a rootimgdir
// that convert made are all of one version, whatever is published meanwhile.
func (c *imgexport) sources(ctx context.Context, d *osimage.Definition, temp string) (s bundle.Sources, err error) {
	if !d.Netboot() {
		return s, nil
	}
	dir := rootimgdirOf(d)
	now := netboot.Current(dir)
	at := func(name string) bundle.Source {
		return bundle.Source{Path: filepath.Join(dir, name), File: filepath.Join(now, name)}
	}
	find := func(names ...string) bundle.Source {
		for _, name := range names {
			if info, err := os.Stat(filepath.Join(now, name)); err == nil && info.Mode().IsRegular() {
				return at(name)
			}
		}
		return bundle.Source{}
	}
	statelite := d.Get("provmethod") == "statelite"
	initrds := []string{netboot.InitrdName}
	if statelite {
		initrds = []string{"initrd-statelite.gz", netboot.InitrdName}
	}
	s.Kernel, s.Ramdisk = find(netboot.KernelName), find(initrds...)
	m, merr := netboot.ReadManifest(now)
	roots := rootNames()
	if merr == nil {
		s.Beside = append(s.Beside, at(netboot.ManifestName))
		if root, ok := m.Root(); ok && root.Name != netboot.RamdiskName {
			roots = []string{root.Name}
		}
	}
	s.RootImg = find(roots...)
	if statelite {
		if err := c.statelite(ctx, d, &s, temp); err != nil {
			return s, err
		}
	}
	return s, lacks(d, dir, s, merr == nil && m.Boot == netboot.BootRamdisk)
}

// lacks tells what nodes boot from that is not there.
func lacks(d *osimage.Definition, dir string, s bundle.Sources, ramdisk bool) error {
	var missing []string
	if s.Kernel.Path == "" {
		missing = append(missing, "a kernel")
	}
	if s.Ramdisk.Path == "" {
		missing = append(missing, "an "+map[string]string{"netboot": netboot.InitrdName, "statelite": "initrd-statelite.gz"}[d.Get("provmethod")])
	}
	if s.RootImg.Path == "" && s.RootImgTree.Path == "" {
		missing = append(missing, "a packed root, rootimg.*")
	}
	switch {
	case missing == nil:
		return nil
	case ramdisk:
		return fmt.Errorf("exporting osimage %s: its rootimgdir %s holds a ramdisk, kernel and root in one, for which xCAT's bundles have no place: make it by packimage, or convert --boot netroot; or export it to NAME.oci.tar", d.Name, dir)
	}
	return fmt.Errorf("exporting osimage %s: its rootimgdir %s has not %s; make them by genimage and packimage", d.Name, dir, joinWords(missing))
}

func joinWords(words []string) string {
	text := words[0]
	for i, word := range words[1:] {
		if i == len(words)-2 {
			text += " and " + word
		} else {
			text += ", " + word
		}
	}
	return text
}

// rootNames are what packed roots are called, those that xCAT's nodeset takes first
// before others.
func rootNames() []string {
	names := []string{"cpio.gz", "cpio.xz", "tar.gz", "tar.xz", "sfs", "gz", "cpio.zst", "tar.zst", "cpio.lz4", "tar.lz4", "erofs", "cpio", "tar"}
	for i := range names {
		names[i] = "rootimg." + names[i]
	}
	return names
}

// statelite adds what only bundles of statelite images have: the rules of the
// litefile table, as the rootimgdir's manifest has them, and the root's tree.
func (c *imgexport) statelite(ctx context.Context, d *osimage.Definition, s *bundle.Sources, temp string) error {
	dir := rootimgdirOf(d)
	file := filepath.Join(temp, "litefile.csv")
	if err := writeLitefile(file, d.Name, dir); err != nil {
		return err
	}
	s.LiteFile = bundle.Source{Path: filepath.Join(dir, "litefile.csv"), File: file}
	tree := filepath.Join(temp, "rootimgtree.gz")
	if err := c.packTree(ctx, d, tree); err != nil {
		return err
	}
	s.RootImgTree = bundle.Source{Path: filepath.Join(dir, "rootimgtree.gz"), File: tree}
	return nil
}

// writeLitefile writes the rules as xCAT's table has them.
func writeLitefile(file, image, dir string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	m, err := netboot.ReadManifest(dir)
	if err != nil {
		return fmt.Errorf("reading the litefile rules of osimage %s: %w", image, err)
	}
	for _, rule := range m.Statelite {
		if strings.Contains(rule.Path, `"`) { // xCAT's imgimport splits at quotes
			return fmt.Errorf("exporting osimage %s: a litefile rule is for %s, and xCAT's table cannot hold a quote", image, rule.Path)
		}
		if _, err := fmt.Fprintf(f, "\"%s\",\"%s\",\"%s\",,\n", image, rule.Path, rule.Option); err != nil {
			return err
		}
	}
	return f.Close()
}
