package modules

import (
	"bufio"
	"context"
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

// How long to wait for devices that a driver brings to light after its module
// was loaded: some look for theirs in the background.
const (
	settle  = 100 * time.Millisecond
	maxWalk = 32 // deeper than any chain of buses
)

// Coldplug loads a module for each device that asks for one, again and again
// until no new device appears. It returns what it loaded; what failed is in the
// error, and kept nothing else from being loaded.
func (l *Loader) Coldplug(ctx context.Context) (loaded []string, err error) {
	before := len(l.loaded)
	var errs []error
	idle := false
	for range maxWalk {
		fresh, err := l.newAliases()
		if err != nil {
			return l.loaded[before:], err
		}
		known := len(l.loaded)
		for _, alias := range fresh {
			for _, name := range l.set.Match(alias) {
				if err := l.Load(ctx, name); err != nil && !errors.Is(err, errBlacklisted) && !isNoDevice(err) {
					errs = append(errs, fmt.Errorf("%w (for %s)", err, alias))
				}
				if err := ctx.Err(); err != nil {
					return l.loaded[before:], err
				}
			}
		}
		switch {
		case len(l.loaded) > known:
			idle = false
		case idle:
			return l.loaded[before:], errors.Join(errs...)
		default:
			idle = true
			time.Sleep(settle)
		}
	}
	return l.loaded[before:], errors.Join(errs...)
}

// isNoDevice is a module that found out that nothing here needs it, as many do
// that ask the processor.
func isNoDevice(err error) bool { return errors.Is(err, unix.ENODEV) }

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
