package netboot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// DefaultKeep is how many versions stay where nobody says otherwise.
const DefaultKeep = 3

// Options says how a rootimgdir is changed.
type Options struct {
	Keep    int               // versions that stay, the new one among them; 0: DefaultKeep
	Wait    bool              // wait for another process that writes it, as long as the context lasts; false: ErrBusy
	Waiting func(what string) // is told once what is waited for; nil: nobody is
	Doing   string            // what others who find it locked are told of this process
	Adopt   bool              // files that others made are kept in AdoptedDir; false: they are an error
	Inputs  string            // stands for all that a new version is made of, for Unchanged; "": nothing does
}

// site is a rootimgdir that this process alone changes.
type site struct {
	dir   string
	lock  *os.File
	made  bool // dir was not there before
	adopt bool // see Options
}

// version is the directory of a version.
func (s *site) version(id string) string { return filepath.Join(s.dir, versionsDir, id) }

// link makes every name lead to a version. Names that it adds dangle until
// current changes, and names that it drops dangle from then on: so one rename
// decides about all of them.
func (s *site) link(id string, names []string) error {
	if err := s.adoptFiles(names); err != nil {
		return err
	}
	for _, name := range names {
		if err := replaceLink(filepath.Join(s.dir, name), filepath.Join(currentLink, name)); err != nil {
			return err
		}
	}
	if err := s.remember(id); err != nil {
		return err
	}
	if err := replaceLink(filepath.Join(s.dir, currentLink), filepath.Join(versionsDir, id)); err != nil {
		return err
	}
	if err := syncDir(s.dir); err != nil {
		return err
	}
	return s.unlink()
}

// unlink removes the names that lead nowhere in the current version.
func (s *site) unlink() error {
	names, err := s.dangling()
	if err != nil {
		return err
	}
	for _, path := range names {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// own refuses to put a link where a file stands that rootcast did not make.
func (s *site) own(names ...string) error {
	for _, name := range names {
		path := filepath.Join(s.dir, name)
		target, err := os.Readlink(path)
		ours := target == filepath.Join(currentLink, name) || name == currentLink && (filepath.Dir(target) == versionsDir || target == AdoptedDir)
		switch {
		case errors.Is(err, unix.ENOTDIR):
			return fmt.Errorf("the rootimgdir %s is a file, not a directory", s.dir)
		case s.adopt && isRegular(path):
		case err == nil && !ours || err != nil && !os.IsNotExist(err):
			return fmt.Errorf("%s is there and was not made by rootcast; move it away or choose another directory", path)
		}
	}
	return nil
}

func isRegular(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular()
}

// prune removes the versions beyond the keep that were current last. One that
// is half removed when the process dies is no version any more.
func (s *site) prune(keep int) error {
	list, err := Versions(s.dir)
	if err != nil {
		return err
	}
	for i, v := range list {
		if i < keep || v.Current {
			continue
		}
		temp := s.version(tempPrefix + v.ID)
		if err := os.Rename(s.version(v.ID), temp); err != nil {
			return err
		}
		if err := os.RemoveAll(temp); err != nil {
			return err
		}
	}
	return nil
}

// removeTemporary removes what a process that was killed has left.
func (s *site) removeTemporary() error {
	found, err := s.temporary()
	if err != nil {
		return err
	}
	for _, path := range found {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}

// replaceLink puts a symlink in one step.
func replaceLink(path, target string) error {
	if have, err := os.Readlink(path); err == nil && have == target {
		return nil
	}
	temp := filepath.Join(filepath.Dir(path), tempPrefix+filepath.Base(path))
	if err := os.Symlink(target, temp); err != nil {
		return err
	}
	return os.Rename(temp, path)
}
