package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/containers/buildah/define"
	buildahutil "github.com/containers/buildah/pkg/util"
	istorage "go.podman.io/image/v5/storage"
)

// Recipe is what to build and how. The zero value of each field means what
// leaving out buildah build's flag of that name means, but that the layer
// cache is on and that isolation is chroot.
type Recipe struct {
	Context string   // directory, or git repository or archive by URL, or "-": an archive on stdin
	Files   []string // Containerfiles, "-" is Stdin; default: the context's Containerfile or Dockerfile
	Stdin   io.Reader
	Tags    []string // names of the result

	Platforms []string          // OS/ARCH[/VARIANT]; more than one make an index
	Nodes     map[string]string // machines that build some of Platforms natively: ssh://[USER@]HOST[:PORT][/PATH/OF/ROOTCAST]
	Args      map[string]string
	Target    string // stage to stop at

	NoCache         bool
	Squash          bool       // one layer for all that the recipe adds
	Pull            string     // always, missing, never or newer; default: missing
	Timestamp       *time.Time // of the image, its history and every file in its new layers
	SourceDateEpoch *time.Time // of the image and its history alone

	Labels, Annotations []string // KEY=VALUE
	Secrets             []string // id=ID,src=FILE | id=ID,env=NAME
	Volumes             []string // HOST:CONTAINER[:OPTIONS] for RUN
	AddHosts            []string // NAME:IP
	DNS                 []string // addresses, or none
	Network             string   // none, host, private, or a namespace's path; default: host
	NoHostname          bool     // /etc/hostname is the image's own for RUN too
	Isolation           string   // chroot, oci or rootless; default: chroot
	Jobs                int      // platforms, and stages of all of them, at a time; default: 1

	Registry Registry  // for base images
	Retry    int       // times to try again for a base image; 0: 3, less: never
	TempDir  string    // where temporary files go; default: /var/tmp
	Output   io.Writer // steps and what RUN prints; nil: nowhere
}

// Build builds r into the store, for several platforms an image of each and
// their index. It fails before the first step where a RUN step calls programs of
// a platform that this machine cannot run. One process builds one recipe at a time:
// when ctx ends, every process that this one has started since is killed, and
// what it mounted and wrote is removed. A download that stands still is left
// behind then, so the process should end.
func (s *Store) Build(ctx context.Context, r Recipe) (_ Result, err error) {
	if err := r.Validate(); err != nil {
		return Result{}, err
	}
	w, err := s.newWorkspace(r.TempDir)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, w.close()) }()

	// The library finds the images of an index by containers-storage:ID alone.
	istorage.Transport.SetStore(s.store)
	// What it reads and fetches may keep it waiting.
	var p *plan
	if err := guard(ctx, func() (err error) {
		p, err = r.plan(ctx, w)
		return err
	}); err != nil {
		return Result{}, err
	}
	if err := s.setSecretsArg(p); err != nil {
		return Result{}, err
	}
	jobs, err := p.jobs(r)
	if err != nil {
		return Result{}, err
	}
	if err := p.preflight(ctx, jobs, r.Target, checkRuns); err != nil {
		return Result{}, err
	}
	if err := s.runAll(ctx, jobs, max(r.Jobs, 1)); err != nil {
		return Result{}, err
	}
	if len(jobs) == 1 {
		if jobs[0].node != nil { // the library names what it builds itself
			if err := s.Tag(ctx, jobs[0].id, r.Tags...); err != nil {
				return Result{}, err
			}
		}
		return s.result(jobs[0].id)
	}
	var ids []string
	for _, j := range jobs {
		ids = append(ids, j.id)
	}
	return s.MakeIndex(ctx, ids, r.Tags)
}

// plan is a recipe translated for the Buildah library.
type plan struct {
	options define.BuildOptions
	sources []string // the recipe's files, by full name or URL
	files   []string // the same, some of them rewritten for the library
	recipes []parsedFile
}

func (r Recipe) plan(ctx context.Context, w *workspace) (*plan, error) {
	contextDir, err := r.contextDir(w)
	if err != nil {
		return nil, err
	}
	p := &plan{}
	if p.files, contextDir, err = r.files(w, contextDir); err != nil {
		return nil, err
	}
	p.sources = slices.Clone(p.files)
	if p.recipes, err = parseFiles(p.files); err != nil {
		return nil, err
	}
	if p.options, err = r.buildahOptions(ctx, w, contextDir); err != nil {
		return nil, err
	}
	if p.options.Isolation == define.IsolationChroot {
		if err := p.rewriteScripts(w, contextDir); err != nil {
			return nil, err
		}
	}
	names, err := normalizeTags(r.Tags)
	if err != nil {
		return nil, err
	}
	if len(r.Platforms) < 2 && len(names) > 0 { // else the index gets them
		p.options.Output, p.options.AdditionalTags = names[0], names[1:]
	}
	return p, nil
}

// contextDir fetches a context that is not a local directory.
func (r Recipe) contextDir(w *workspace) (string, error) {
	name := r.Context
	if name == "" {
		name = "."
	}
	fetched, sub, err := define.TempDirForURL(w.tmp, "context", name)
	if err != nil {
		return "", fmt.Errorf("fetching the build context %s: %w", name, err)
	}
	if fetched != "" {
		return filepath.Join(fetched, sub), nil
	}
	if name, err = filepath.Abs(name); err != nil {
		return "", fmt.Errorf("finding the build context: %w", err)
	}
	if name, err = filepath.EvalSymlinks(name); err != nil {
		return "", fmt.Errorf("finding the build context: %w", err)
	}
	return name, nil
}

// files are the recipe's files by full name, and the context's directory.
func (r Recipe) files(w *workspace, contextDir string) ([]string, string, error) {
	if len(r.Files) == 0 {
		file, err := buildahutil.DiscoverContainerfile(contextDir)
		if err != nil {
			return nil, "", fmt.Errorf("finding the recipe: no Containerfile or Dockerfile in %s; name one with -f", contextDir)
		}
		return []string{file}, filepath.Dir(file), nil
	}
	if fi, err := os.Stat(contextDir); err != nil || !fi.IsDir() {
		return nil, "", fmt.Errorf("finding the build context: %s is not a directory", contextDir)
	}
	var files []string
	for _, name := range r.Files {
		switch {
		case name == "-":
			file, err := w.spool(r.Stdin)
			if err != nil {
				return nil, "", err
			}
			name = file
		case isURL(name):
		default:
			file, err := findRecipe(name, contextDir)
			if err != nil {
				return nil, "", err
			}
			name = file
		}
		files = append(files, name)
	}
	return files, contextDir, nil
}

// findRecipe looks for a recipe where the user stands, then in the context.
func findRecipe(name, contextDir string) (string, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return "", fmt.Errorf("finding the recipe: %w", err)
	}
	fi, err := os.Stat(abs)
	if errors.Is(err, os.ErrNotExist) && !filepath.IsAbs(name) {
		inContext := filepath.Join(contextDir, name)
		if cfi, cerr := os.Stat(inContext); cerr == nil {
			abs, fi, err = inContext, cfi, nil
		}
	}
	if err != nil {
		return "", fmt.Errorf("reading the recipe: %w", err)
	}
	if fi.IsDir() {
		return "", fmt.Errorf("reading the recipe: %s is a directory; -f names a file, the context stands last", abs)
	}
	return abs, nil
}
