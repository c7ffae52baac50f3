package modules

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// newAliases returns the modaliases of devices that were not there before.
func (l *Loader) newAliases() (fresh []string, err error) {
	root := filepath.Join(l.o.Sys, "devices")
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && path == root:
			return fmt.Errorf("looking for devices: %w", err)
		case err != nil:
			return nil //nolint:nilerr // a device that has just gone
		case d.Name() == "modalias":
			text, err := os.ReadFile(path)
			if err != nil {
				return nil //nolint:nilerr // a device that has just gone
			}
			l.note(&fresh, strings.TrimSpace(string(text)))
		case d.Name() == "uevent" && !d.IsDir():
			l.note(&fresh, ueventAlias(path))
		}
		return nil
	})
	slices.Sort(fresh)
	return fresh, err
}

func (l *Loader) note(fresh *[]string, alias string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if alias != "" && !l.seen[alias] {
		l.seen[alias] = true
		*fresh = append(*fresh, alias)
	}
}

// ueventAlias is the modalias of a device that tells it by its uevent alone.
func ueventAlias(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close() //nolint:errcheck // it was only read
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if alias, ok := strings.CutPrefix(lines.Text(), "MODALIAS="); ok {
			return alias
		}
	}
	return ""
}
