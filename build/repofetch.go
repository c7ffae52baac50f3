package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rootcast/rootcast/build/apt"
	"github.com/rootcast/rootcast/build/repomd"
)

// rpmRepository is a repository of RPM packages, and what its index says.
type rpmRepository struct {
	url    string // file:///srv/rocky9.4/BaseOS, or of http, https, ftp
	text   string // of its index
	index  repomd.Index
	signed bool // repomd.xml.asc is there
}

// isLocal tells what is on this machine alone.
func (r rpmRepository) isLocal() bool { return strings.HasPrefix(r.url, "file:") }

// rpmLayout is how distributions arrange their repositories below one URL.
type rpmLayout struct {
	arch    string // x86_64
	version string // 9.4, may be empty
}

// groups are the sets of directories below a URL that can be its repositories;
// the first set of which something is there is taken.
func (l rpmLayout) groups() [][]string {
	list := [][]string{{""}}
	for _, prefix := range []string{"", l.version + "/"} {
		if prefix == "/" {
			continue
		}
		list = append(list, [][]string{
			{prefix + "BaseOS", prefix + "AppStream"},
			{prefix + "BaseOS/" + l.arch + "/os", prefix + "AppStream/" + l.arch + "/os"},
			{prefix + "os/" + l.arch, prefix + "updates/" + l.arch},
			{prefix + "Everything/" + l.arch + "/os"},
			{prefix + "repo/oss"},
		}...)
	}
	return list
}

// findRPM are the repositories at a mirror: a local directory or a file: URL
// that is one or holds some, or a URL.
func findRPM(ctx context.Context, client *http.Client, mirror string, l rpmLayout) ([]rpmRepository, error) {
	if dir, ok := localDirectory(mirror); ok {
		return findLocalRPM(dir)
	}
	base := strings.TrimRight(strings.NewReplacer("$basearch", l.arch, "$releasever", l.version).Replace(mirror), "/")
	for _, group := range l.groups() {
		var found []rpmRepository
		for _, sub := range group {
			r, ok, err := askRPM(ctx, client, strings.TrimRight(base+"/"+sub, "/"))
			if err != nil {
				return nil, err
			}
			if ok {
				found = append(found, r)
			}
		}
		if len(found) > 0 {
			return found, nil
		}
	}
	return findSUSEMedia(ctx, client, base)
}

// findSUSEMedia reads the list of modules that SUSE's media have, as directories
// cannot be listed by way of HTTP: lines of "/Module-Basesystem NAME VERSION".
func findSUSEMedia(ctx context.Context, client *http.Client, base string) ([]rpmRepository, error) {
	text, _, err := fetch(ctx, client, base+"/media.1/products")
	if err != nil {
		return nil, err
	}
	var found []rpmRepository
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || !strings.HasPrefix(fields[0], "/") {
			continue
		}
		r, ok, err := askRPM(ctx, client, strings.TrimRight(base+path.Clean(fields[0]), "/"))
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, r)
		}
	}
	return found, nil
}

// askRPM reads the index of the repository at a URL.
func askRPM(ctx context.Context, client *http.Client, at string) (r rpmRepository, found bool, err error) {
	r.url = at
	if r.text, found, err = fetch(ctx, client, at+"/"+repomd.Name); err != nil || !found {
		return r, false, err
	}
	if r.index, err = repomd.Parse(r.text); err != nil {
		return r, false, err
	}
	_, r.signed, err = fetch(ctx, client, at+"/"+repomd.Name+".asc")
	return r, true, err
}

// localDirectory tells a directory from a URL of somewhere else.
func localDirectory(mirror string) (dir string, ok bool) {
	if name, ok := strings.CutPrefix(mirror, "file:"); ok {
		return filepath.Clean("/" + strings.TrimLeft(name, "/")), true
	}
	return filepath.Clean(mirror), filepath.IsAbs(mirror)
}

func findLocalRPM(dir string) ([]rpmRepository, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, plainPathError(err)
	}
	defer root.Close()
	names, err := repomd.Find(root.FS())
	if err != nil {
		return nil, fmt.Errorf("looking for repositories: %w", err)
	}
	var list []rpmRepository
	for _, name := range names {
		r := rpmRepository{url: (&url.URL{Scheme: "file", Path: path.Join(dir, name)}).String()}
		text, err := fs.ReadFile(root.FS(), path.Join(name, repomd.Name))
		if err != nil {
			return nil, plainPathError(err)
		}
		r.text = string(text)
		if r.index, err = repomd.Parse(r.text); err != nil {
			return nil, fmt.Errorf("%s: %w", path.Join(name, repomd.Name), err)
		}
		info, err := fs.Stat(root.FS(), path.Join(name, repomd.Name+".asc"))
		r.signed = err == nil && info.Mode().IsRegular()
		list = append(list, r)
	}
	return list, nil
}

// checkMirrorURL finds what is neither a directory nor a URL to take RPM
// packages from.
func checkMirrorURL(mirror string) error {
	if _, ok := localDirectory(mirror); ok && !strings.ContainsAny(mirror, "\n\r") {
		return nil
	}
	u, err := url.Parse(mirror)
	if err != nil || u.Host == "" || strings.ContainsAny(mirror, " \t\n\r") || !slices.Contains([]string{"http", "https", "ftp"}, u.Scheme) {
		return fmt.Errorf("mirror %q is neither a directory such as /install/rocky9.4/x86_64 nor a URL such as http://mirror.example/rocky/9.4", apt.Redact(mirror))
	}
	return nil
}

// plainPathError drops the path where it is named anyway.
func plainPathError(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
