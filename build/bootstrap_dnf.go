package build

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/rootcast/rootcast/build/apt"
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

// rpmStepOf tells the lines of dnf and zypper that begin a step.
func rpmStepOf(line string) (string, bool) {
	if text, ok := strings.CutPrefix(line, "I: "); ok {
		return text, true
	}
	for _, s := range []struct{ begin, step string }{
		{"Downloading Packages:", "downloading packages"},
		{"Retrieving package ", "downloading packages"},
		{"Retrieving: ", "downloading packages"},
		{"Running transaction check", "checking packages"},
		{"Preparing        :", "installing packages"},
		{"Checking for file conflicts:", "installing packages"},
	} {
		if strings.HasPrefix(line, s.begin) {
			return s.step, true
		}
	}
	return "", false
}

// rpmFailed says in one line why dnf or zypper ended.
func (r *rpmBootstrap) rpmFailed(w rpmWork, err error) error {
	w.log.mu.Lock()
	lines := slices.Clone(w.log.lines)
	w.log.mu.Unlock()
	if reason := r.reason(lines); reason != "" {
		return fmt.Errorf("%s: %s", r.program(), reason)
	}
	const last = 3
	if len(lines) > last {
		lines = lines[len(lines)-last:]
	}
	return fmt.Errorf("%s failed (%w): %s", r.program(), err, strings.Join(lines, "; "))
}

// rpmReason is what a line means.
type rpmReason struct {
	pattern *regexp.Regexp
	text    string // with $1 of the pattern
}

func rpmReasons() []rpmReason {
	re := regexp.MustCompile
	const key = "; name the file of the key with --keyring"
	return []rpmReason{
		{re(`^No match for argument: (.+)$`), "the package $1 is in none of the repositories"},
		{re(`^Package '(.+)' not found\.$`), "the package $1 is in none of the repositories"},
		{re(`^'(.+)' not found in package names\.`), "the package $1 is in none of the repositories"},
		{re(`^No provider of '(.+)' found\.$`), "the package $1 is in none of the repositories"},
		{re(`^Module or Group '(.+)' is not available\.`), "the group $1 is in none of the repositories"},
		{re(`Failed to download metadata for repo '([^']+)': .*GPG`), "the index of the repository $1 is not signed by a key that is trusted" + key},
		{re(`Failed to download metadata for repo '([^']+)': (.+)$`), "reading the repository $1: $2"},
		{re(`^Public key for (\S+) is not installed`), "the package $1 is not signed by a key that is trusted" + key},
		{re(`^Package (\S+) is not signed`), "the package $1 is not signed"},
		{re(`^Problem opening package (\S+)`), "the package $1 is not what its signature says: it was changed or damaged"},
		{re(`(\S+\.rpm).*(?:BAD|NOT OK|digest mismatch|Signature verification failed)`), "the package $1 is not what its signature says: it was changed or damaged"},
		{re(`(?:Error in|%)\s?(\S+) scriptlet in rpm package (\S+)`), "a script ($1) of the package $2 failed"},
		{re(`^\[MIRROR\] (\S+): (.+)$`), "fetching the package $1: $2"},
		{re(`nothing provides (.+?) needed by (.+)$`), "nothing provides $1, which $2 needs"},
		{re(`^Error: (.+)$`), "$1"},
		{re(`^E: (.+)$`), "$1"},
	}
}

// reason finds the most telling of the lines; those of rpmReasons are in order.
func (r *rpmBootstrap) reason(lines []string) string {
	for _, known := range rpmReasons() {
		for _, line := range lines {
			m := known.pattern.FindStringSubmatchIndex(line)
			if m == nil {
				continue
			}
			text := string(known.pattern.ExpandString(nil, known.text, line, m))
			for i := len(r.repositories) - 1; i >= 0; i-- { // rootcast-12 before rootcast-1
				text = strings.ReplaceAll(text, repoID(i), apt.Redact(r.repositories[i].url))
				text = strings.ReplaceAll(text, r.repositories[i].url, apt.Redact(r.repositories[i].url))
			}
			return text
		}
	}
	return ""
}
