package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rootcast/rootcast/build"
	"github.com/rootcast/rootcast/build/osimage"
	"github.com/rootcast/rootcast/build/osimage/render"
)

// osimageFile is the file by which a directory is a recipe without a Containerfile.
const osimageFile = "osimage.yaml"

// osimageRecipe is the definition that a recipe is, "" if it is a Containerfile.
func osimageRecipe(r build.Recipe) string {
	switch {
	case len(r.Files) == 1 && strings.HasSuffix(r.Files[0], ".yaml"):
		return r.Files[0]
	case len(r.Files) > 0:
		return ""
	}
	for _, name := range []string{"Containerfile", "Dockerfile"} {
		if _, err := os.Stat(filepath.Join(r.Context, name)); err == nil {
			return ""
		}
	}
	if name := filepath.Join(r.Context, osimageFile); isRegular(name) {
		return name
	}
	return ""
}

func isRegular(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// buildDefinition builds the images of a definition for each platform, several of
// them into an index.
func (c *buildCommand) buildDefinition(ctx context.Context, store *build.Store, r build.Recipe, file string) (build.Result, error) {
	if err := forContainerfiles(r); err != nil {
		return build.Result{}, err
	}
	platforms := r.Platforms
	if len(platforms) == 0 {
		platforms = []string{""}
	}
	var results []build.Result
	for _, platform := range platforms {
		d, err := osimage.ReadFile(file)
		if err != nil {
			return build.Result{}, err
		}
		if err := setPlatform(d, platform); err != nil {
			return build.Result{}, err
		}
		if base := r.Args["BASE"]; base != "" {
			if err := d.Set("baseimage", base, "/"); err != nil {
				return build.Result{}, err
			}
		}
		labels, err := osimageLabels(d)
		if err != nil {
			return build.Result{}, err
		}
		o := osimageBuild{options: render.Options{Arguments: render.KernelArguments(d)}, labels: append(labels, r.Labels...), noCache: r.NoCache, volumes: r.Volumes}
		if len(platforms) == 1 {
			o.tags = r.Tags
		}
		result, err := c.buildOsimage(ctx, store, d, o)
		if err != nil {
			return build.Result{}, err
		}
		results = append(results, result)
	}
	if len(results) == 1 {
		return results[0], nil
	}
	var ids []string
	for _, one := range results {
		ids = append(ids, one.ID)
	}
	return store.MakeIndex(ctx, ids, r.Tags)
}

// forContainerfiles refuses what says nothing to a definition.
func forContainerfiles(r build.Recipe) error {
	for flag, set := range map[string]bool{
		"--node": len(r.Nodes) > 0, "--secret": len(r.Secrets) > 0, "--annotation": len(r.Annotations) > 0, "--target": r.Target != "", "--squash": r.Squash,
		"--pull": r.Pull != "", "--add-host": len(r.AddHosts) > 0, "--dns": len(r.DNS) > 0, "--network": r.Network != "", "--isolation": r.Isolation != "", "--timestamp": r.Timestamp != nil,
	} {
		if set {
			return usageErrorf("build: %s is for Containerfiles; rootcast osimage render -o DIR writes one of a definition", flag)
		}
	}
	for name := range r.Args {
		if name != "BASE" {
			return usageErrorf("build: --build-arg %s: a definition knows BASE alone, the image to begin with", name)
		}
	}
	return nil
}

// setPlatform makes a definition that of a platform's nodes; "" is what it says
// itself, or else this machine's.
func setPlatform(d *osimage.Definition, platform string) error {
	arch := d.Get("osarch")
	if platform != "" {
		if arch = osimage.Architecture(platform); arch == "" {
			return usageErrorf("build: no osimage is for the platform %s", platform)
		}
		if d.Get("osarch") == "ppc64el" && arch == "ppc64le" {
			arch = "ppc64el"
		}
	}
	if arch == "" {
		arch = machine()
	}
	if err := d.Set("osarch", arch, "/"); err != nil {
		return err
	}
	if d.Name == strings.TrimSuffix(osimageFile, ".yaml") {
		d.Name = fmt.Sprintf("%s-%s-%s-%s", d.Get("osvers"), arch, either(d.Get("provmethod"), "netboot"), d.Get("profile"))
	}
	for _, name := range []string{"pkglist", "otherpkglist", "exlist", "postinstall"} {
		items := d.Items(name)
		for i, item := range items {
			items[i] = forArchitecture(item, arch)
		}
		if err := d.Set(name, strings.Join(items, ","), "/"); err != nil {
			return err
		}
	}
	return nil
}

// forArchitecture is the file beside a list that is for an architecture alone, such as
// compute.aarch64.pkglist for compute.pkglist, or the list itself.
func forArchitecture(file, arch string) string {
	archs := []string{arch}
	if arch == "ppc64el" || arch == "ppc64le" {
		archs = []string{arch, "ppc64le", "ppc64el"}
	}
	ext := filepath.Ext(file)
	for _, a := range slices.Compact(archs) {
		if name := strings.TrimSuffix(file, ext) + "." + a + ext; isRegular(name) {
			return name
		}
	}
	return file
}
