package osimage

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// MatchSource returns the paths that a source of a synclist stands for, as a shell
// would: those that a pattern matches, hidden ones only where it says so. None
// means that there is nothing of that name.
func MatchSource(source string) []string {
	if _, err := os.Lstat(source); err == nil {
		return []string{source}
	}
	if !IsPattern(source) {
		return nil
	}
	slash := strings.HasSuffix(source, "/")
	found, err := filepath.Glob(strings.ReplaceAll(filepath.Clean(source), "[!", "[^"))
	if err != nil {
		return nil // it was refused when the list was read
	}
	want := strings.Split(filepath.Clean(source), "/")
	found = slices.DeleteFunc(found, func(path string) bool {
		for i, part := range strings.Split(path, "/") {
			if strings.HasPrefix(part, ".") && !strings.HasPrefix(want[i], ".") {
				return true
			}
		}
		return false
	})
	if slash {
		found = slices.DeleteFunc(found, func(path string) bool {
			info, err := os.Stat(path)
			return err != nil || !info.IsDir()
		})
		for i := range found {
			found[i] += "/"
		}
	}
	return found
}

// digestSources covers what the definition's synclists would put into the image.
// What cannot be read counts as such: whoever applies the lists says so.
func (d *Definition) digestSources(w io.Writer) {
	rules, err := ReadSynclists(d.Items("synclists"), d.Environment())
	if err != nil {
		fmt.Fprintln(w, "synclists with mistakes")
	}
	for _, r := range rules {
		if r.Nodes != "" || r.Kind == SyncExecute || r.Kind == SyncExecuteAlways {
			continue
		}
		for _, source := range r.Sources {
			for _, path := range MatchSource(source) {
				digestTree(w, path, filepath.Base(path), nil)
			}
		}
	}
}

// digestTree covers a file, or a directory with all that is in it, through
// symlinks; above are the directories that it is in.
func digestTree(w io.Writer, path, name string, above []os.FileInfo) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		fmt.Fprintf(w, "source %q missing\n", name)
		return
	case info.Mode().IsRegular():
		content, err := digestOf(path)
		if err != nil {
			content = "unreadable"
		}
		fmt.Fprintf(w, "source %q %o %s\n", name, info.Mode(), content)
		return
	}
	fmt.Fprintf(w, "source %q %o\n", name, info.Mode())
	if !info.IsDir() || slices.ContainsFunc(above, func(dir os.FileInfo) bool { return os.SameFile(dir, info) }) {
		return
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		fmt.Fprintf(w, "source %q unreadable\n", name)
	}
	for _, e := range entries {
		digestTree(w, filepath.Join(path, e.Name()), name+"/"+e.Name(), append(above, info))
	}
}
