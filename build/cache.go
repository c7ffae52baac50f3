package build

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"go.podman.io/storage/pkg/lockfile"
	"go.podman.io/storage/pkg/unshare"
	"golang.org/x/sys/unix"
)

// cacheDir is where the library keeps RUN --mount=type=cache below dir.
// Builds of podman and buildah, and of other stores, use it as well.
func cacheDir(dir string) string {
	return filepath.Join(dir, "buildah-cache-"+strconv.Itoa(unshare.GetRootlessUID()))
}

// useCache makes the cache below base if there is none and locks it for use
// beside other builds.
func useCache(base string) (*os.File, error) {
	name := cacheDir(base)
	for {
		if err := os.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		f, err := lockCache(name, unix.LOCK_SH)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a prune was faster
		}
		if err != nil {
			return nil, err
		}
		locked, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if there, err := os.Lstat(name); err == nil && os.SameFile(there, locked) {
			return f, nil
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
}

// lockCache opens the cache and locks it. The name is known to everybody and
// stands where everybody may write.
func lockCache(name string, how int) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_DIRECTORY, 0)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) {
		return nil, fmt.Errorf("%s is no directory; remove it, or set TMPDIR to another place", name)
	}
	if err != nil {
		return nil, err
	}
	if err := checkOwner(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := unix.Flock(int(f.Fd()), how); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", name, err), f.Close())
	}
	return f, nil
}

func checkOwner(f *os.File) error {
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to another user; have it removed, or set TMPDIR to another place", f.Name())
	}
	return nil
}

// pruneCache removes the cache below dir unless a build uses it.
func pruneCache(dir string, freed *int64) (inUse bool, err error) {
	if dir == "" {
		dir = defaultTempDir
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return false, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return false, err
	}
	name := cacheDir(dir)
	f, err := lockCache(name, unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case errors.Is(err, unix.EWOULDBLOCK):
		return true, nil
	case err != nil:
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	unlock, free, err := lockCacheMounts(name)
	defer unlock()
	if err != nil {
		return false, err
	}
	if !free || cacheIsMounted(name) {
		return true, nil
	}
	size, err := treeBytes(name)
	if err != nil {
		return false, err
	}
	*freed += size
	return false, removeTree(name)
}

// lockCacheMounts takes the locks that Buildah holds while a step works with
// --mount=type=cache,sharing=locked; free tells whether all could be had.
func lockCacheMounts(name string) (unlock func(), free bool, err error) {
	var held []*lockfile.LockFile
	unlock = func() {
		for _, l := range held {
			l.Unlock()
		}
	}
	names, err := filepath.Glob(filepath.Join(name, "buildah-cache-lockfiles", "*", "buildah-cache-lockfile"))
	if err != nil {
		return unlock, false, err
	}
	for _, name := range names {
		l, err := lockfile.GetLockFile(name)
		if err != nil {
			return unlock, false, err
		}
		if err := l.TryLock(); err != nil {
			return unlock, false, nil //nolint:nilerr // somebody holds it, which is the answer
		}
		held = append(held, l)
	}
	return unlock, true, nil
}

// cacheIsMounted tells whether any process sees a part of the cache mounted,
// as those of a RUN step of any tool do. Most steps take no lock.
func cacheIsMounted(name string) bool {
	lists, err := filepath.Glob("/proc/[0-9]*/mountinfo")
	if err != nil {
		return true
	}
	seen := map[string]bool{}
	for _, list := range lists {
		namespace, err := os.Readlink(filepath.Join(filepath.Dir(list), "ns", "mnt"))
		if err == nil && seen[namespace] {
			continue
		}
		text, rerr := os.ReadFile(list)
		if rerr != nil {
			continue // the process ended, or is another user's
		}
		if err == nil {
			seen[namespace] = true
		}
		for line := range bytes.Lines(text) {
			// ID PARENT DEVICE ROOT POINT …, where ROOT is the place in its file system.
			if f := bytes.Fields(line); len(f) > 3 && isPart(string(f[3]), name) {
				return true
			}
		}
	}
	return false
}

// isPart tells whether root, a place in a file system, may be the directory
// name or one in it; either may begin where the other's file system is mounted.
func isPart(root, name string) bool {
	base := "/" + filepath.Base(name) + "/"
	before, _, found := strings.Cut(root+"/", base)
	dir := filepath.Dir(name)
	return found && (strings.HasSuffix(dir, before) || strings.HasSuffix(before, dir))
}

// treeBytes sums up the files below dir.
func treeBytes(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		if fi, err := d.Info(); err == nil && fi.Mode().IsRegular() {
			sum += fi.Size()
		}
		return nil
	})
	return sum, err
}
