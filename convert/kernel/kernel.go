package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// ErrNone is an image without any kernel.
var ErrNone = errors.New("the image has no kernel: looked for /boot/vmlinuz-VERSION, /boot/vmlinux-VERSION, /boot/Image-VERSION" +
	" and /usr/lib/modules/VERSION/vmlinuz; install the distribution's kernel package in the recipe")

// Kernel is one kernel of an image.
type Kernel struct {
	Version string // what uname -r will say: 6.1.0-37-amd64
	Path    string // of the kernel's file, without a leading "/"
	Modules string // of its modules' directory, "" without
}

// patterns are where distributions keep kernels, the likelier first.
var patterns = [...]string{ //nolint:gochecknoglobals // a constant table
	"boot/vmlinuz-*", "boot/vmlinux-*", "boot/Image-*", "boot/vmlinuz.gz-*",
	"usr/lib/modules/*/vmlinuz", "lib/modules/*/vmlinuz",
}

// leftovers end the names of files beside a kernel: SUSE's vmlinux-VERSION.gz for
// debuggers, signatures, and what installers keep of another version.
var leftovers = [...]string{ //nolint:gochecknoglobals // a constant table
	".gz", ".xz", ".zst", ".bz2", ".sig", ".hmac", ".old", ".bak", "~",
	".rpmsave", ".rpmorig", ".rpmnew", ".dpkg-new", ".dpkg-old", ".dpkg-tmp", ".dpkg-dist",
}

// Find lists the kernels of a root file system, the newest first. Rescue images
// are left out; debug kernels come after all others.
func Find(fsys fs.FS) ([]Kernel, error) {
	seen := map[string]bool{}
	var found []Kernel
	for _, pattern := range patterns {
		names, err := fs.Glob(fsys, pattern)
		if err != nil {
			return nil, fmt.Errorf("looking for kernels: %w", err)
		}
		for _, name := range names {
			v := versionOf(name)
			info, err := fs.Stat(fsys, name)
			if v == "" || seen[v] || err != nil || !info.Mode().IsRegular() {
				continue
			}
			seen[v] = true
			found = append(found, Kernel{Version: v, Path: name, Modules: modulesDir(fsys, v)})
		}
	}
	slices.SortFunc(found, newestFirst)
	return found, nil
}

func newestFirst(a, b Kernel) int {
	if da, db := isDebug(a.Version), isDebug(b.Version); da != db {
		if da {
			return 1
		}
		return -1
	}
	return Compare(b.Version, a.Version)
}

func isDebug(version string) bool { return strings.HasSuffix(version, "+debug") }

func versionOf(name string) string {
	base := path.Base(name)
	if base == "vmlinuz" {
		return path.Base(path.Dir(name))
	}
	_, v, _ := strings.Cut(base, "-")
	if strings.Contains(v, "rescue") || slices.ContainsFunc(leftovers[:], func(end string) bool { return strings.HasSuffix(v, end) }) {
		return ""
	}
	return v
}

func modulesDir(fsys fs.FS, version string) string {
	for _, dir := range []string{"usr/lib/modules/", "lib/modules/"} {
		if info, err := fs.Stat(fsys, dir+version); err == nil && info.IsDir() {
			return dir + version
		}
	}
	return ""
}

// Choose returns the kernel called version, or the newest one whose version
// starts with it, or the newest of all for "". The error of an unknown version
// lists those that there are; without any it is [ErrNone].
func Choose(fsys fs.FS, version string) (Kernel, error) {
	found, err := Find(fsys)
	if err != nil {
		return Kernel{}, err
	}
	if len(found) == 0 {
		return Kernel{}, ErrNone
	}
	var have []string
	match := -1
	for i, k := range found {
		if k.Version == version {
			return k, nil
		}
		if match < 0 && strings.HasPrefix(k.Version, version) {
			match = i
		}
		have = append(have, k.Version)
	}
	if match < 0 {
		return Kernel{}, fmt.Errorf("the image has no kernel %q; it has %s", version, strings.Join(have, ", "))
	}
	return found[match], nil
}
