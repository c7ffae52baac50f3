package rootfs

import (
	"errors"
	"path"
	"strings"
)

var (
	errEscapes = errors.New("the name leaves the root")
	errNUL     = errors.New("the name holds a NUL")
	errEmpty   = errors.New("the name is empty")
	errDeep    = errors.New("its path, the symlinks in it followed, is longer than Linux takes: 4095 bytes")
	errLong    = errors.New("the name is longer than Linux takes: 4095 bytes, 255 between two slashes")
)

const (
	pathMax = 4096 // PATH_MAX, with the NUL
	nameMax = 255  // NAME_MAX
)

// cleanName makes a name of an archive relative and clean. A leading "/" means
// the root, as for every layer reader; ".." is resolved where it stays inside.
func cleanName(name string) (string, error) {
	switch {
	case name == "":
		return "", errEmpty
	case strings.ContainsRune(name, 0):
		return "", errNUL
	}
	clean := path.Clean(strings.TrimLeft(name, "/"))
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return "", errEscapes
	}
	if len(clean) >= pathMax {
		return "", errLong
	}
	for part := range strings.SplitSeq(clean, "/") {
		if len(part) > nameMax {
			return "", errLong
		}
	}
	return clean, nil
}

// splitName returns the directory ("." at the top) and the last component.
func splitName(name string) (dir, base string) {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return ".", name
}

func joinName(dir, base string) string {
	if dir == "." || dir == "" {
		return base
	}
	return dir + "/" + base
}
