package media

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// maxLinks is how many links are followed on the way to one file, as Linux does.
const maxLinks = 40

var errLeaves = errors.New("it leads out of the medium")

// resolve returns the path without links that name leads to, which need not be
// there. The error is errLeaves if the way goes out of fsys.
func resolve(fsys fs.ReadLinkFS, name string) (string, error) {
	var at []string // where the way has come to
	rest := strings.Split(name, "/")
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if len(at) == 0 {
				return "", errLeaves
			}
			at = at[:len(at)-1]
			continue
		}
		at = append(at, part)
		info, err := fsys.Lstat(strings.Join(at, "/"))
		if err != nil || info.Mode().Type() != fs.ModeSymlink {
			continue // what is not there is no link
		}
		if links++; links > maxLinks {
			return "", errors.New("there are too many symbolic links on the way")
		}
		target, err := fsys.ReadLink(strings.Join(at, "/"))
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			return "", errLeaves
		}
		at = at[:len(at)-1]
		rest = append(strings.Split(target, "/"), rest...)
	}
	if len(at) == 0 {
		return ".", nil
	}
	return strings.Join(at, "/"), nil
}

// checkLink refuses a link whose target is no path or lies outside. One that
// leads nowhere, or to itself, harms nobody.
func checkLink(fsys fs.ReadLinkFS, name, target string) error {
	if target == "" || strings.ContainsRune(target, 0) || len(target) >= 4096 {
		return fmt.Errorf("%s: the symbolic link has no usable target", name)
	}
	if _, err := resolve(fsys, name); errors.Is(err, errLeaves) {
		return fmt.Errorf("%s: the symbolic link to %q leads out of the medium", name, target)
	}
	return nil
}
