package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/rootcast/rootcast/build/apt"
	"github.com/rootcast/rootcast/build/repomd"
)

// RepositoryOptions say for whom repositories are asked; the zero value is the
// host's platform.
type RepositoryOptions struct {
	Platform string // linux/arm64, for $basearch and BaseOS/aarch64/os
	Version  string // 9.4, for $releasever and 9.4/BaseOS/…
}

// RepositoryState is a digest of what the repositories hold now, by their
// signed or generated indexes: it changes when, and only when, one of these
// does. Each of repos is a directory or a URL, of RPM or Debian packages, or a
// line as in sources.list with or without its first word deb:
//
//	/install/rocky9.4/x86_64
//	http://mirror.example/rocky/9.4
//	http://mirror.example/debian bookworm main
//
// An error names the repository.
func RepositoryState(ctx context.Context, repos []string, o RepositoryOptions) (digest.Digest, error) {
	arch, err := parseArchitecture(o.Platform)
	if err != nil {
		return "", err
	}
	proxies, err := hostProxies(ctx)
	if err != nil {
		return "", err
	}
	q := stateQuery{client: proxies.client(), layout: rpmLayout{arch: arch.rpm(), version: o.Version}}
	state := digest.Canonical.Digester()
	for _, repo := range repos {
		files, err := q.files(ctx, repo)
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err == nil && len(files) == 0 {
			err = errors.New("there is neither repodata/repomd.xml nor a Release or Packages file")
		}
		if err != nil {
			return "", fmt.Errorf("asking the repository %s what it holds: %w", redactRepository(repo), err)
		}
		slices.SortFunc(files, func(a, b rootFile) int { return strings.Compare(a.name, b.name) })
		fmt.Fprintf(state.Hash(), "%q\n", redactRepository(repo))
		for _, f := range files {
			fmt.Fprintf(state.Hash(), "%q %s\n", f.name, digest.FromBytes(f.content))
		}
	}
	return state.Digest(), nil
}

// redactRepository is a repository's name without its password.
func redactRepository(repo string) string {
	words := strings.Fields(repo)
	for i, word := range words {
		if strings.Contains(word, "://") {
			words[i] = apt.Redact(word)
		}
	}
	return strings.Join(words, " ")
}

// stateQuery asks one repository after another.
type stateQuery struct {
	client *http.Client
	layout rpmLayout
}

// files are the indexes of a repository, by names that do not depend on where
// it is.
func (q stateQuery) files(ctx context.Context, repo string) ([]rootFile, error) {
	if dir, ok := localDirectory(repo); ok && !strings.Contains(repo, "file:") || ok && !strings.ContainsAny(repo, " \t") {
		return localIndexes(dir)
	}
	if strings.HasPrefix(repo, "deb ") || strings.ContainsAny(strings.TrimSpace(repo), " \t") {
		return q.debianIndexes(ctx, repo)
	}
	if err := checkMirrorURL(repo); err != nil {
		return nil, err
	}
	found, err := findRPM(ctx, q.client, repo, q.layout)
	if err != nil {
		return nil, err
	}
	var files []rootFile
	for _, r := range found {
		files = append(files, rootFile{r.url[strings.LastIndex(r.url, "/")+1:], []byte(r.text)})
	}
	if len(files) > 0 {
		return files, nil
	}
	return q.first(ctx, strings.TrimRight(repo, "/"))
}

func (q stateQuery) debianIndexes(ctx context.Context, line string) ([]rootFile, error) {
	if !strings.HasPrefix(line, "deb ") {
		line = "deb " + line
	}
	s, err := apt.ParseLine(line)
	if err != nil {
		return nil, err
	}
	at := strings.TrimRight(s.URI, "/") + "/dists/" + s.Suite
	if strings.HasSuffix(s.Suite, "/") {
		at = strings.TrimRight(s.URI, "/") + "/" + path.Clean("/" + s.Suite)[1:]
	}
	return q.first(ctx, strings.TrimRight(at, "/"))
}

// first is the first that is there of the files that describe all of a Debian
// repository.
func (q stateQuery) first(ctx context.Context, at string) ([]rootFile, error) {
	for _, name := range debianIndexNames() {
		text, found, err := fetch(ctx, q.client, at+"/"+name)
		if err != nil {
			return nil, err
		}
		if found {
			return []rootFile{{name, []byte(text)}}, nil
		}
	}
	return nil, nil
}

// debianIndexNames are in the order in which apt looks for them.
func debianIndexNames() []string {
	return []string{"InRelease", "Release", "Packages", "Packages.xz", "Packages.gz"}
}

// localIndexes are those of all repositories below a directory.
func localIndexes(dir string) ([]rootFile, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, plainPathError(err)
	}
	defer root.Close()
	tree := root.FS()
	dirs, err := repomd.Find(tree)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range dirs {
		names = append(names, path.Join(d, repomd.Name))
	}
	if len(names) == 0 {
		err = fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.Type().IsRegular() && slices.Contains(debianIndexNames(), d.Name()):
				names = append(names, name)
			case d.IsDir() && strings.Count(name, "/") > repomd.Depth:
				return fs.SkipDir
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	var files []rootFile
	for _, name := range names {
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, plainPathError(err))
		}
		files = append(files, rootFile{name, text})
	}
	return files, nil
}
