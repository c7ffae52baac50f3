package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// imageKeyDir is where distributions of RPM packages have their keys.
const imageKeyDir = "etc/pki/rpm-gpg"

// rpmKey is a file of public keys, in ASCII.
type rpmKey struct {
	name    string // in the image: rootcast-1.asc
	content []byte
}

// findKeys are the keys that were named, or those of the distribution that the
// host has.
func (r *rpmBootstrap) findKeys() ([]rpmKey, error) {
	if r.Keyring == "" {
		return r.hostKeys()
	}
	var list []rpmKey
	for name := range strings.SplitSeq(r.Keyring, ",") {
		file, err := filepath.Abs(name)
		if err != nil {
			return nil, fmt.Errorf("finding the keyring %s: %w", name, err)
		}
		text, err := os.ReadFile(file)
		if err == nil {
			err = checkASCIIKey(string(text))
		}
		if err != nil {
			return nil, fmt.Errorf("the keyring %s that its packages are signed with: %w; it must be a file as of gpg --export --armor", file, plainPathError(err))
		}
		list = append(list, newRPMKey(len(list), text))
	}
	return list, nil
}

func newRPMKey(i int, text []byte) rpmKey { return rpmKey{fmt.Sprintf("rootcast-%d.asc", i+1), text} }

func checkASCIIKey(text string) error {
	switch {
	case strings.Contains(text, "-----BEGIN PGP PRIVATE KEY BLOCK-----"):
		return errors.New("it holds a private key")
	case !strings.Contains(text, "-----BEGIN PGP PUBLIC KEY BLOCK-----"):
		return errors.New("it holds no public key in ASCII")
	}
	return nil
}

func (r *rpmBootstrap) hostKeys() ([]rpmKey, error) {
	var list []rpmKey
	var seen []string
	for _, pattern := range r.target.keyPatterns() {
		names, err := fs.Glob(r.Host, pattern)
		if err != nil {
			return nil, fmt.Errorf("looking for keys: %w", err)
		}
		for _, name := range names {
			text, err := fs.ReadFile(r.Host, name)
			if err != nil || checkASCIIKey(string(text)) != nil || slices.Contains(seen, string(text)) {
				continue
			}
			r.say("trusting the key /%s", name)
			seen = append(seen, string(text))
			list = append(list, newRPMKey(len(list), text))
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("this machine has no key of %s %s, neither in /etc/pki/rpm-gpg nor in /usr/share/distribution-gpg-keys; name one with --keyring FILE, or give up checks of signatures with --no-gpg-check",
			r.target.distro.title, r.target.release)
	}
	return list, nil
}

// writeKeys writes the keys into a directory for dnf and zypper, and returns
// their paths.
func (r *rpmBootstrap) writeKeys(dir string) ([]string, error) {
	var paths []string
	for _, k := range r.keys {
		name := filepath.Join(dir, k.name)
		if err := os.WriteFile(name, k.content, 0o600); err != nil {
			return nil, fmt.Errorf("writing a key: %w", err)
		}
		paths = append(paths, name)
	}
	return paths, nil
}

// ownFiles are the files of the image that bootstrap writes itself: the
// repositories that were given, if the image can reach them, and their keys.
func (r *rpmBootstrap) ownFiles(root string) []rootFile {
	var files []rootFile
	if _, err := os.Lstat(filepath.Join(root, "etc/machine-id")); err == nil {
		files = append(files, rootFile{"etc/machine-id", nil})
	}
	if len(r.Mirrors) == 0 || !r.arePublic() {
		return files // the release package configures the distribution's own
	}
	var keys []string
	for _, k := range r.keys {
		keys = append(keys, "/"+path.Join(imageKeyDir, k.name))
		files = append(files, rootFile{path.Join(imageKeyDir, k.name), k.content})
	}
	dir := "etc/yum.repos.d"
	if r.isZypper() {
		dir = "etc/zypp/repos.d"
	}
	return append(files, rootFile{dir + "/rootcast.repo", []byte(r.repoFile(keys, true))})
}
