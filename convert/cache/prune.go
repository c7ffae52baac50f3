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
)

// abandoned is the age from which a half-written entry has no writer any more.
const abandoned = time.Hour

// Pruned is what Prune removed and left.
type Pruned struct {
	Entries int   `json:"entries"` // removed
	Bytes   int64 `json:"bytes"`   // freed
	Kept    int64 `json:"kept"`    // bytes that stay
}

// Prune removes entries, those first that were not used for the longest time,
// until the others take at most limit bytes; 0 removes all. Others may use the
// cache meanwhile: who reads an entry reads it to its end.
func (s *Store) Prune(limit int64) (Pruned, error) {
	var done Pruned
	entries, err := s.list()
	if err != nil {
		return done, fmt.Errorf("pruning the cache: %w", err)
	}
	for _, e := range entries {
		done.Kept += e.size
	}
	for _, e := range entries {
		if done.Kept <= limit && !e.leftover {
			continue
		}
		if err := os.Remove(e.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return done, fmt.Errorf("pruning the cache: %w", err)
		}
		done.Entries++
		done.Bytes += e.size
		done.Kept -= e.size
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

// list returns all entries, the one whose last use is the longest ago first.
func (s *Store) list() ([]entry, error) {
	var entries []entry
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // somebody else has just removed it
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		temp := strings.HasPrefix(d.Name(), strings.TrimSuffix(tempPattern, "*"))
		old := time.Since(info.ModTime()) > abandoned
		if !temp || old {
			entries = append(entries, entry{path, info.Size(), info.ModTime(), temp && old})
		}
		return nil
	})
	slices.SortFunc(entries, func(a, b entry) int { return a.used.Compare(b.used) })
	return entries, err
}
