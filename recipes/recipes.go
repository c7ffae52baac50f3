package recipes

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"go.podman.io/storage/pkg/ioutils"

	"github.com/rootcast/rootcast/build/osimage"
)

//go:embed alma9 debian12 debian13 leap15 rhel9 rocky9 sles15 ubuntu24.04
var folders embed.FS

// FS returns all folders: DISTRIBUTION/PROFILE/FILE. Its files have no executable
// bits; those called *.postinstall are meant to have them.
func FS() fs.FS { return folders }

// ErrNotExist is in the error for a profile that there is not.
var ErrNotExist = fs.ErrNotExist

// Profile returns the folder of a profile for what osvers and osarch name, such as
// rocky9.4 and x86_64: that of the release, else of the one which it is a minor
// release of. "" for osarch leaves the architecture open. The error is ErrNotExist
// where there is none, and says what there is.
func Profile(osvers, osarch, profile string) (fs.FS, error) {
	folder, err := find(osvers, osarch, profile)
	if err != nil {
		return nil, err
	}
	return fs.Sub(folders, folder)
}

// find is the path of a profile's folder.
func find(osvers, osarch, profile string) (string, error) {
	d, err := osimage.ParseDistribution(osvers)
	if err != nil {
		return "", err
	}
	for _, release := range osimage.Releases(family(d.Name) + d.Version) {
		folder := path.Join(release, profile)
		if profile == "" || path.Base(profile) != profile || !fs.ValidPath(folder) {
			break // no folder's name
		}
		if info, err := fs.Stat(folders, folder); err != nil || !info.IsDir() {
			continue
		}
		if all := architectures(release); osarch != "" && !slices.Contains(all, osarch) {
			return "", fmt.Errorf("there is no profile %s of %s for osarch %s, but for %s: %w", profile, release, osarch, strings.Join(all, ", "), ErrNotExist)
		}
		return folder, nil
	}
	return "", fmt.Errorf("there is no profile %q for %s; there is %s: %w", profile, osvers, strings.Join(list(), ", "), ErrNotExist)
}

// family is what the folders of a distribution that goes by several names are called.
// Those that lists have not been made for are not here, for the packages that say
// which distribution it is, and where its others are, have other names there.
func family(distribution string) string {
	switch distribution {
	case "rhels":
		return "rhel"
	case "sle":
		return "sles"
	case "opensuse-leap":
		return "leap"
	}
	return distribution
}

// architectures are those that a distribution's lists have been made for.
func architectures(release string) []string {
	if strings.HasPrefix(release, "ubuntu") {
		return []string{"x86_64", "aarch64", "ppc64el", "ppc64le"}
	}
	return []string{"x86_64", "aarch64", "ppc64le"}
}

// list is every profile that there is, DISTRIBUTION/PROFILE.
func list() []string {
	found, err := fs.Glob(folders, "*/*/osimage.yaml")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for i, one := range found {
		found[i] = path.Dir(one)
	}
	return found
}

// Install writes the files of a profile that an osimage for osarch is made with
// into the directory dir: its lists and its script, without the folder's README and
// Containerfile. A file that is there already stays as it is: those that differ from
// the profile's are returned as kept, the others as written; both are paths.
func Install(osvers, osarch, profile, dir string) (written, kept []string, err error) {
	from, err := Profile(osvers, osarch, profile)
	if err != nil {
		return nil, nil, err
	}
	files, err := chosen(from, osarch)
	if err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nil, fmt.Errorf("writing the profile %s of %s: %w", profile, osvers, err)
	}
	for _, name := range files {
		to := filepath.Join(dir, name)
		same, err := install(from, name, to)
		switch {
		case err != nil:
			return written, kept, fmt.Errorf("writing the profile %s of %s: %w", profile, osvers, err)
		case same:
			written = append(written, to)
		default:
			kept = append(kept, to)
		}
	}
	return written, kept, nil
}

// chosen are the names of a profile's files, without those for another architecture
// than osarch, and without what one for osarch stands in the place of.
func chosen(from fs.FS, osarch string) ([]string, error) {
	entries, err := fs.ReadDir(from, ".")
	if err != nil {
		return nil, err
	}
	var files, narrower []string
	for _, e := range entries {
		base, ext, _ := strings.Cut(e.Name(), ".")
		arch, last, three := strings.Cut(ext, ".")
		if three {
			ext = last
		}
		if !slices.Contains([]string{"pkglist", "exlist", "postinstall", "synclist"}, ext) {
			continue
		}
		if three && osarch != "" {
			if !sameArchitecture(arch, osarch) {
				continue
			}
			narrower = append(narrower, base+"."+ext)
		}
		files = append(files, e.Name())
	}
	return slices.DeleteFunc(files, func(name string) bool { return slices.Contains(narrower, name) }), nil
}

// sameArchitecture tells whether two names are of one architecture: Ubuntu's ppc64el
// is the ppc64le of all others.
func sameArchitecture(a, b string) bool {
	first, err := osimage.Platform(a)
	second, err2 := osimage.Platform(b)
	return err == nil && err2 == nil && first == second
}

// install writes a file if there is none of its name, and tells whether what is
// there then is the profile's.
func install(from fs.FS, name, to string) (same bool, err error) {
	text, err := fs.ReadFile(from, name)
	if err != nil {
		return false, err
	}
	old, err := os.ReadFile(to)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return bytes.Equal(old, text), err
	}
	mode := fs.FileMode(0o644)
	if strings.HasSuffix(name, ".postinstall") {
		mode = 0o755
	}
	return true, ioutils.AtomicWriteFile(to, text, mode)
}
