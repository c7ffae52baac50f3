package cache

import (
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
// what cannot be removed is passed over, and the first of it is the error.
func (s *Store) Prune(limit int64) (Pruned, error) {
	var done Pruned
	var failed error
	entries := s.list()
	for _, e := range entries {
		done.Kept += e.size
	}
	for _, e := range entries {
		if done.Kept <= limit && !e.leftover {
			continue
		}
		if err := os.Remove(e.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			if failed == nil {
				failed = fmt.Errorf("pruning the cache: %w", err)
			}
			continue
		}
		done.Entries++
		done.Bytes += e.size
		done.Kept -= e.size
	}
	return done, failed
}

// entry is a file of the cache.
type entry struct {
	path     string
	size     int64
	used     time.Time
	leftover bool // of a writer that is gone
}

// list returns all entries, the one whose last use is the longest ago first. It
// looks nowhere but where entries lie, and sees nothing but what is called as they are.
func (s *Store) list() []entry {
	var entries []entry
	for _, kind := range kinds() {
		for _, fan := range names(filepath.Join(s.dir, string(kind))) {
			if !isHex(fan, 2) {
				continue
			}
			dir := filepath.Join(s.dir, string(kind), fan)
			for _, name := range names(dir) {
				temp := strings.HasPrefix(name, tempPrefix)
				if !temp && (!isHex(name, 64) || !strings.HasPrefix(name, fan)) {
					continue
				}
				path := filepath.Join(dir, name)
				info, err := os.Lstat(path)
				if err != nil || !info.Mode().IsRegular() || temp && isHeld(path) {
					continue
				}
				entries = append(entries, entry{path, info.Size(), info.ModTime(), temp})
			}
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return a.used.Compare(b.used) })
	return entries
}

// names lists a directory; of one that cannot be read there are none.
func names(dir string) []string {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	list, _ := f.Readdirnames(-1) // as far as it can be read
	return list
}

func isHex(s string, length int) bool {
	return len(s) == length && strings.Trim(s, "0123456789abcdef") == ""
}

// isHeld tells whether somebody writes the temporary file: then it is locked.
func isHeld(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return true
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil
}
