package statelite

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"
)

// maxSymlinks is how many symlinks one path may pass (MAXSYMLINKS, linux/namei.h).
const maxSymlinks = 40

// Check compares the rules with the image's tree and returns what a person should
// know: rows of the table that were left out; files that the image lacks, which the
// node makes empty; links that lead to where nothing can be mounted, whose rules
// the node leaves out; files where the rule has a directory, and the other way
// round.
func (s *Rules) Check(tree fs.FS) []string {
	var warnings []string
	if len(s.Skipped) > 0 {
		warnings = append(warnings, fmt.Sprintf("statelite: the rows for %s are left out as those of other images: write ALL for what this one is to keep", strings.Join(s.Skipped, ", ")))
	}
	for _, r := range s.Rules {
		if w := r.warning(tree); w != "" {
			warnings = append(warnings, "statelite: "+w)
		}
	}
	return warnings
}

func (r Rule) warning(tree fs.FS) string {
	real, info, err := resolve(tree, r.Name())
	switch {
	case Volatile(real):
		return fmt.Sprintf("%s leads to /%s, which the booted system mounts anew: the rule has no effect", r.Path, real)
	case errors.Is(err, fs.ErrNotExist) && r.IsDir():
		return r.Path + " is not in the image: the node makes an empty directory"
	case errors.Is(err, fs.ErrNotExist):
		return r.Path + " is not in the image: the node makes an empty file"
	case err != nil:
		return fmt.Sprintf("%s cannot be found in the image: %v", r.Path, err)
	case info.IsDir() && r.Option.Plain() == Concat:
		return fmt.Sprintf("%s is a directory in the image, which option %s cannot be for: the rule has no effect", r.Path, r.Option)
	case info.IsDir() != r.IsDir() && r.IsDir():
		return r.Path + " is no directory in the image: leave out the slash at its end"
	case info.IsDir() != r.IsDir():
		return r.Path + " is a directory in the image: write it with a slash at its end"
	}
	return ""
}

// resolve follows the symlinks of a name as a process with the tree as its root
// does, and returns where they lead, even to where nothing is.
func resolve(tree fs.FS, name string) (real string, info fs.FileInfo, err error) {
	todo, real := strings.Split(name, "/"), "."
	for links := 0; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		next := path.Join("/", real, part)[1:]
		if next == "" {
			next = "."
		}
		info, err = fs.Lstat(tree, next)
		if err != nil {
			return path.Join("/", next, strings.Join(todo, "/"))[1:], nil, err
		}
		if info.Mode().Type() != fs.ModeSymlink {
			real = next
			continue
		}
		if links++; links > maxSymlinks {
			return real, nil, syscall.ELOOP
		}
		target, err := fs.ReadLink(tree, next)
		if err != nil {
			return real, nil, err
		}
		if path.IsAbs(target) {
			real = "."
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return real, info, nil
}
