package build

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// zyppConf is the whole configuration of libzypp.
func (r *rpmBootstrap) zyppConf(w rpmWork) string {
	return strings.Join([]string{
		"[main]", "arch = " + r.arch.rpm(), "solver.onlyRequires = true", "rpm.install.excludedocs = yes",
		"reposdir = " + w.path("repos"), "gpgcheck = on",
		"download.use_deltarpm = false", "multiversion = provides:multiversion(kernel)",
	}, "\n") + "\n"
}

func (r *rpmBootstrap) zypperArgs(w rpmWork, args ...string) []string {
	list := []string{
		"zypper", "--root", w.root, "--reposd-dir", w.path("repos"), "--non-interactive",
	}
	if r.NoGPGCheck {
		list = append(list, "--no-gpg-checks")
	}
	return append(list, args...)
}

// zypper installs the packages. Keys are trusted because the root's database
// has them: zypper takes none from a repository by itself.
func (r *rpmBootstrap) zypper(ctx context.Context, w rpmWork) error {
	if err := os.MkdirAll(filepath.Join(w.root, r.target.dbPath()), 0o755); err != nil { //nolint:gosec // as in every root
		return fmt.Errorf("making the new root: %w", err)
	}
	for _, key := range w.keys {
		if _, err := r.output(ctx, w, false, "rpm", "--root", w.root, "--dbpath", r.target.dbPath(), "--import", key); err != nil {
			return fmt.Errorf("trusting the key %s: %w", filepath.Base(key), err)
		}
	}
	w.log.add("I: reading the lists of packages")
	if err := r.follow(ctx, w, r.zypperArgs(w, "refresh")...); err != nil {
		return r.rpmFailed(w, err)
	}
	choices := r.target.minimalPackages()
	query := []string{"search", "--match-exact", "--type", "package"}
	for _, c := range choices {
		query = append(query, c.names...)
	}
	out, err := r.output(ctx, w, false, r.zypperArgs(w, query...)...)
	if err != nil {
		return r.rpmFailed(w, err)
	}
	packages, err := r.choose(choices, zypperNames(out))
	if err != nil {
		return err
	}
	for i, name := range packages {
		if group, ok := strings.CutPrefix(name, "@"); ok {
			packages[i] = "pattern:" + group
		}
	}
	install := []string{"install", "--no-recommends", "--download-in-advance", "--auto-agree-with-licenses"}
	if err := r.follow(ctx, w, r.zypperArgs(w, append(install, packages...)...)...); err != nil {
		return r.rpmFailed(w, err)
	}
	// The lists are large, and nothing of them belongs into the image.
	if err := os.RemoveAll(filepath.Join(w.root, "var/cache/zypp")); err != nil {
		return fmt.Errorf("removing the cache of zypper: %w", err)
	}
	return nil
}

// zypperNames are the packages in the table of zypper search, whose
// second column has them.
func zypperNames(table string) []string {
	var names []string
	for line := range strings.Lines(table) {
		columns := strings.Split(line, "|")
		if len(columns) < 3 {
			continue
		}
		if name := strings.TrimSpace(columns[1]); regexp.MustCompile(`^[A-Za-z0-9_+.-]+$`).MatchString(name) {
			names = append(names, name)
		}
	}
	return names
}
