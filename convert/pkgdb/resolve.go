package pkgdb

import (
	"io/fs"
	"path"
	"strings"
)

// maxSymlinks is how many symlinks one path may pass (MAXSYMLINKS, linux/namei.h).
const maxSymlinks = 40

// resolver finds the names that files have in the tree.
type resolver struct {
	fsys fs.FS
	dirs map[string]string // directories as databases call them → in the tree; "": not there
}

// file returns the name that a file has in the tree; ok is false where it is
// not there, or is a directory. Symlinks above the file are followed, one that
// is the file itself is not.
func (r *resolver) file(name string) (string, bool) {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	dir, base := path.Split(name)
	at, ok := r.dir(strings.TrimSuffix(dir, "/"))
	if !ok || base == "" {
		return "", false
	}
	found := path.Join(at, base)
	info, err := fs.Lstat(r.fsys, found)
	return found, err == nil && !info.IsDir()
}

func (r *resolver) dir(name string) (string, bool) {
	at, known := r.dirs[name]
	if !known {
		at = r.walk(name)
		r.dirs[name] = at
	}
	return at, at != ""
}

// walk follows a path as a process chrooted into the tree would: ".." never
// leaves the root. It returns "" where there is no such directory.
func (r *resolver) walk(name string) string {
	at, todo := ".", strings.Split(name, "/")
	for links := 0; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, part)
		info, err := fs.Lstat(r.fsys, next)
		switch {
		case err != nil:
			return ""
		case info.IsDir():
			at = next
			continue
		case info.Mode().Type() != fs.ModeSymlink:
			return ""
		}
		target, err := fs.ReadLink(r.fsys, next)
		if links++; err != nil || links > maxSymlinks {
			return ""
		}
		if path.IsAbs(target) {
			at = "."
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return at
}
