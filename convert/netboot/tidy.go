package netboot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Tidy removes from dir what [Begin] and [Stage.Publish] would: what a process
// that was killed has left, names that lead nowhere, and versions beyond o.Keep.
// Where there is none of it, nothing is written, so that dir need not be
// writable. Where another process writes dir, that one tidies.
func Tidy(dir string, o Options) (err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return fmt.Errorf("naming the rootimgdir: %w", err)
	}
	if o.Keep == 0 {
		o.Keep = DefaultKeep
	}
	s := &site{dir: dir}
	if untidy, err := s.untidy(o.Keep); err != nil || !untidy {
		return err
	}
	switch err := s.tryLock(o.Doing); {
	case errors.Is(err, ErrBusy) || errors.Is(err, errGone):
		return nil
	case err != nil:
		return fmt.Errorf("locking the rootimgdir %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, s.release()) }()
	for _, step := range []func() error{s.removeTemporary, s.unlink, func() error { return s.prune(o.Keep) }} {
		if err := step(); err != nil {
			return fmt.Errorf("clearing the rootimgdir %s: %w", dir, err)
		}
	}
	return nil
}

// untidy tells whether there is anything to remove.
func (s *site) untidy(keep int) (bool, error) {
	temporary, err := s.temporary()
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || len(temporary) > 0 {
		return len(temporary) > 0, err
	}
	dangling, err := s.dangling()
	if err != nil || len(dangling) > 0 {
		return len(dangling) > 0, err
	}
	list, err := Versions(s.dir)
	return len(list) > keep, err
}

// temporary lists what is no part of any version, by its path.
func (s *site) temporary() ([]string, error) {
	var found []string
	for _, dir := range []string{s.dir, filepath.Join(s.dir, versionsDir)} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), tempPrefix) {
				found = append(found, filepath.Join(dir, e.Name()))
			}
		}
	}
	return found, nil
}

// dangling lists the names that lead nowhere in the current version, by their path.
func (s *site) dangling() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, e := range entries {
		path := filepath.Join(s.dir, e.Name())
		target, err := os.Readlink(path)
		if err != nil || !strings.HasPrefix(target, currentLink+"/") {
			continue
		}
		if _, err := os.Stat(path); os.IsNotExist(err) {
			found = append(found, path)
		}
	}
	return found, nil
}
