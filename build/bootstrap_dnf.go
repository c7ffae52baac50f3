package build

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// dnfConf is the whole configuration: nothing of the host's is read.
func (r *rpmBootstrap) dnfConf(w rpmWork) string {
	check := 1
	if r.NoGPGCheck {
		check = 0
	}
	lines := []string{
		"[main]", fmt.Sprintf("gpgcheck=%d", check), "skip_if_unavailable=0", "best=1",
		"install_weak_deps=0", "tsflags=nodocs", "keepcache=0", "plugins=0",
		"reposdir=" + w.path("repos"), "varsdir=" + w.path("vars"), "pluginconfpath=" + w.path("vars"),
		"cachedir=/var/cache/dnf", "logdir=/var/log", "persistdir=/var/lib/dnf",
		"color=never", "zchunk=0", "retries=3", "timeout=20",
	}
	if platform := r.target.modulePlatform(); platform != "" {
		lines = append(lines, "module_platform_id="+platform)
	}
	return strings.Join(lines, "\n") + "\n"
}

func (r *rpmBootstrap) dnfArgs(w rpmWork, args ...string) []string {
	list := []string{"dnf", "--config=" + w.path("dnf.conf"), "--installroot=" + w.root, "--releasever=" + r.target.release, "--assumeyes"}
	if !r.arch.isNative() {
		list = append(list, "--forcearch="+r.arch.rpm())
	}
	return append(list, args...)
}

// dnf installs the packages.
func (r *rpmBootstrap) dnf(ctx context.Context, w rpmWork) error {
	w.log.add("I: reading the lists of packages")
	choices := r.target.minimalPackages()
	query := []string{"--quiet", "repoquery", "--available", "--qf", "%{name}"}
	for _, c := range choices {
		query = append(query, c.names...)
	}
	out, err := r.output(ctx, w, false, r.dnfArgs(w, query...)...)
	if err != nil {
		return r.rpmFailed(w, err)
	}
	packages, err := r.choose(choices, strings.Fields(out))
	if err != nil {
		return err
	}
	if err := r.follow(ctx, w, r.dnfArgs(w, append([]string{"install"}, packages...)...)...); err != nil {
		return r.rpmFailed(w, err)
	}
	// The lists are large, and nothing of them belongs into the image.
	if err := os.RemoveAll(filepath.Join(w.root, "var/cache/dnf")); err != nil {
		return fmt.Errorf("removing the cache of dnf: %w", err)
	}
	return nil
}

// choose takes of each choice the first package that there is, and adds those
// that were asked for.
func (r *rpmBootstrap) choose(choices []packageChoice, available []string) ([]string, error) {
	var list []string
	for _, c := range choices {
		i := slices.IndexFunc(c.names, func(name string) bool { return slices.Contains(available, name) })
		switch {
		case i >= 0:
			list = append(list, c.names[i])
		case !c.optional:
			return nil, fmt.Errorf("the package %s is in none of the repositories: are they of %s %s, and all of them?",
				strings.Join(c.names, " or "), r.target.distro.title, r.target.release)
		}
	}
	for _, name := range r.Packages {
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list, nil
}
