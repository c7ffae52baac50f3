package build

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"go.podman.io/storage"
	"golang.org/x/sys/unix"
)

const (
	workspacePrefix = "rootcast-"
	defaultTempDir  = "/var/tmp"
)

// workspace is what a build in progress owns: a directory for temporary files
// and all build containers whose names end in its ID. A locked file in the
// store's run-time directory holds the directory's name, so that prune can
// tell a running build from what a killed one left.
type workspace struct {
	store storage.Store
	id    string
	tmp   string
	lock  *os.File
	cache *os.File     // locked, so that prune leaves it
	env   func() error // gives TMPDIR its old value back
}

func workspaceDir(s storage.Store) string { return filepath.Join(s.RunRoot(), "rootcast") }

func (s *Store) newWorkspace(base string) (_ *workspace, err error) {
	if base == "" {
		base = defaultTempDir
	}
	if base, err = filepath.Abs(base); err != nil {
		return nil, fmt.Errorf("finding the temporary directory: %w", err)
	}
	w := &workspace{store: s.store, id: workspacePrefix + strings.ToLower(rand.Text())[:16]}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	w.tmp = filepath.Join(base, w.id)
	if err := os.MkdirAll(workspaceDir(s.store), 0o700); err != nil {
		return nil, fmt.Errorf("preparing the build: %w", err)
	}
	w.lock, err = os.OpenFile(filepath.Join(workspaceDir(s.store), w.id), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("preparing the build: %w", err)
	}
	if err := unix.Flock(int(w.lock.Fd()), unix.LOCK_EX); err != nil {
		return nil, fmt.Errorf("preparing the build: locking %s: %w", w.lock.Name(), err)
	}
	if _, err := w.lock.WriteString(w.tmp); err != nil {
		return nil, fmt.Errorf("preparing the build: %w", err)
	}
	if err := os.Mkdir(w.tmp, 0o700); err != nil {
		return nil, fmt.Errorf("preparing the build: %w", err)
	}
	return w, w.setTempDir(base)
}

// setTempDir makes the library put its temporary files into w.tmp. It takes
// the place from the environment alone, and keeps there what RUN
// --mount=type=cache means to keep, so that gets a way out to base.
func (w *workspace) setTempDir(base string) error {
	cache, err := useCache(base)
	if err != nil {
		return fmt.Errorf("preparing the build: %w", err)
	}
	w.cache = cache
	if err := os.Symlink(cacheDir(base), cacheDir(w.tmp)); err != nil {
		return fmt.Errorf("preparing the build: %w", err)
	}
	old, was := os.LookupEnv("TMPDIR") //nolint:forbidigo // the library takes it from nowhere else
	w.env = func() error {
		if was {
			return os.Setenv("TMPDIR", old) //nolint:forbidigo // the library takes it from nowhere else
		}
		return os.Unsetenv("TMPDIR")
	}
	return os.Setenv("TMPDIR", w.tmp) //nolint:forbidigo // the library takes it from nowhere else
}

// spool copies a recipe that comes as a stream to a file.
func (w *workspace) spool(r io.Reader) (string, error) {
	if r == nil {
		return "", errors.New("reading the recipe: there is no standard input")
	}
	f, err := os.CreateTemp(w.tmp, "Containerfile")
	if err != nil {
		return "", fmt.Errorf("reading the recipe: %w", err)
	}
	_, err = io.Copy(f, r)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return "", fmt.Errorf("reading the recipe: %w", err)
	}
	return f.Name(), nil
}

// close removes all that the build owns.
func (w *workspace) close() error {
	var errs []error
	if w.env != nil {
		errs = append(errs, w.env())
	}
	errs = append(errs, removeBuildContainers(w.store, w.id), removeTree(w.tmp))
	if w.cache != nil {
		errs = append(errs, w.cache.Close())
	}
	if w.lock != nil {
		errs = append(errs, os.Remove(w.lock.Name()), w.lock.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cleaning up after the build: %w", err)
	}
	return nil
}

// removeBuildContainers unmounts and deletes the containers of workspace id.
func removeBuildContainers(s storage.Store, id string) error {
	containers, err := s.Containers()
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range containers {
		for _, name := range c.Names {
			if strings.Contains(name, id) {
				if err := unmountContainerMounts(s, c.ID); err != nil {
					errs = append(errs, err)
					break
				}
				_, uerr := s.Unmount(c.ID, true)
				if errors.Is(uerr, storage.ErrLayerNotMounted) {
					uerr = nil
				}
				errs = append(errs, uerr, s.DeleteContainer(c.ID))
				break
			}
		}
	}
	return errors.Join(errs...)
}

// unmountContainerMounts unmounts what the library keeps mounted beside a
// container's root, so that deleting its directories deletes nothing else.
func unmountContainerMounts(s storage.Store, id string) error {
	for _, directory := range []func(string) (string, error){s.ContainerDirectory, s.ContainerRunDirectory} {
		dir, err := directory(id)
		if err != nil {
			return fmt.Errorf("finding the directories of build container %s: %w", id, err)
		}
		if err := unmountBelow(dir); err != nil {
			return fmt.Errorf("deleting build container %s: %w", id, err)
		}
	}
	return nil
}
