package bundle

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
)

// Kept is the ending, xCAT's, of the name under which a file stays that another
// has replaced.
const Kept = ".ORIG"

// Commit gives all files their names. If one cannot have it, none has: what was
// there before is there again.
func (s *Restored) Commit() error {
	for _, it := range s.items {
		if it.same {
			continue
		}
		if err := it.place(); err != nil {
			return errors.Join(fmt.Errorf("restoring %s: %w", it.name(), err), s.Rollback())
		}
	}
	return nil
}

func (it *item) place() error {
	if it.there {
		backup := path.Join(path.Dir(it.rel), "."+short(path.Base(it.rel))+"."+rand.Text()[:12])
		if err := it.root.Link(it.rel, backup); err != nil {
			if err := it.root.Rename(it.rel, backup); err != nil { // a file system without links
				return err
			}
		}
		it.backup = backup
	}
	if err := it.root.Rename(it.temp, it.rel); err != nil {
		return err
	}
	it.temp, it.placed = "", true
	dir, err := it.root.Open(path.Dir(it.rel))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Finish lets the files stay that were replaced, as FILE.ORIG, and returns those
// that were, and how many were there already.
func (s *Restored) Finish() (replaced []string, same int, err error) {
	var errs []error
	for _, it := range s.items {
		switch {
		case it.same:
			same++
		case it.backup != "":
			errs = append(errs, it.root.Rename(it.backup, it.rel+Kept))
			replaced = append(replaced, it.name())
		}
	}
	slices.Sort(replaced)
	return replaced, same, errors.Join(append(errs, s.close())...)
}

// Rollback makes everything as it was before. After Finish it does nothing.
func (s *Restored) Rollback() error {
	var errs []error
	for _, it := range s.items {
		errs = append(errs, it.drop())
		switch {
		case it.backup != "":
			errs = append(errs, it.restore())
		case it.placed:
			errs = append(errs, it.root.Remove(it.rel))
		}
		it.backup, it.placed = "", false
	}
	for _, dir := range slices.Backward(s.made) {
		if err := dir.root.Remove(dir.rel); err != nil && !errors.Is(err, fs.ErrNotExist) {
			continue // somebody else has put something there
		}
	}
	s.made = nil
	return errors.Join(append(errs, s.close())...)
}

// restore gives the earlier file its name back.
func (it *item) restore() error {
	if err := it.root.Rename(it.backup, it.rel); err != nil {
		return err
	}
	// Where both are names of one file, rename(2) leaves both.
	if err := it.root.Remove(it.backup); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (s *Restored) close() error {
	var errs []error
	for _, root := range s.roots {
		errs = append(errs, root.Close())
	}
	s.roots, s.items, s.made = nil, nil, nil
	return errors.Join(errs...)
}
