package cache

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Pruned is what Prune removed and left.
type Pruned struct {
	Entries int   `json:"entries"` // removed
	Bytes   int64 `json:"bytes"`   // freed
	Kept    int64 `json:"kept"`    // bytes that stay
}

// Prune removes entries, those first that were not used for the longest time,
// until the others take at most limit bytes; 0 removes all. What writers left
// that were killed goes too. Others may use the cache meanwhile: who reads an
// entry reads it to its end. Files that are no entries stay, whatever they are;
// what cannot be read or removed is passed over, and the first of it is the error.
func (s *Store) Prune(limit int64) (Pruned, error) {
	var done Pruned
	entries, failed := s.list()
	for _, e := range entries {
		done.Kept += e.size
	}
	for _, e := range entries {
		if limit > 0 && done.Kept <= limit && !e.leftover {
			continue
		}
		if err := os.Remove(e.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = cmp.Or(failed, err)
			continue
		}
		_ = os.Remove(filepath.Dir(e.path)) // where nothing is left in it
		done.Entries++
		done.Bytes += e.size
		done.Kept -= e.size
	}
	if failed != nil {
		return done, fmt.Errorf("pruning the cache: %w", failed)
	}
	return done, nil
}

// entry is a file of the cache.
type entry struct {
	path     string
	size     int64
	used     time.Time
	leftover bool // of a writer that is gone
}

// list returns all entries, the one whose last use is the longest ago first, and
// the first error. It looks nowhere but where entries lie, and sees nothing but
// what is called as they are.
func (s *Store) list() ([]entry, error) {
	var entries []entry
	var failed error
	for _, kind := range kinds() {
		dir := filepath.Join(s.dir, string(kind))
		fans, err := names(dir)
		failed = cmp.Or(failed, err)
		for _, fan := range fans {
			if isHex(fan, 2) {
				var err error
				entries, err = appendEntries(entries, dir, fan)
				failed = cmp.Or(failed, err)
			}
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return a.used.Compare(b.used) })
	return entries, failed
}

// appendEntries lists one directory of the fan.
func appendEntries(entries []entry, dir, fan string) ([]entry, error) {
	dir = filepath.Join(dir, fan)
	list, failed := names(dir)
	for _, name := range list {
		temp := strings.HasPrefix(name, tempPrefix)
		if !temp && (!isHex(name, 64) || !strings.HasPrefix(name, fan)) {
			continue
		}
		path := filepath.Join(dir, name)
		info, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist): // somebody else has just removed it
		case err != nil:
			failed = cmp.Or(failed, err)
		case info.Mode().IsRegular() && (!temp || !isHeld(path)):
			entries = append(entries, entry{path, info.Size(), info.ModTime(), temp})
		}
	}
	return entries, failed
}

// names lists a directory as far as it can be read; of anything else, a symlink
// for one, there are none.
func names(dir string) (list []string, err error) {
	f, err := os.OpenFile(dir, unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err == nil {
		defer f.Close()
		list, err = f.Readdirnames(-1)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		err = nil
	}
	return list, err
}

func isHex(s string, length int) bool {
	return len(s) == length && strings.Trim(s, "0123456789abcdef") == ""
}

// isHeld tells whether somebody writes the temporary file: then it is locked.
func isHeld(path string) bool {
	f, err := os.OpenFile(path, os.O_RDWR, 0) // over NFS only what is open for writing can be locked so
	if err != nil {
		return true
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil
}
