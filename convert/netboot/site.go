package netboot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

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
	Inputs  string            // stands for all that a new version is made of, for Unchanged; "": nothing does
}

// site is a rootimgdir that this process alone changes.
type site struct {
	dir  string
	lock *os.File
	made bool // dir was not there before
}

// version is the directory of a version.
func (s *site) version(id string) string { return filepath.Join(s.dir, versionsDir, id) }

// link makes every name lead to a version. Names that it adds dangle until
// current changes, and names that it drops dangle from then on: so one rename
// decides about all of them.
func (s *site) link(id string, names []string) error {
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
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(s.dir, e.Name())
		target, err := os.Readlink(path)
		if err != nil || !strings.HasPrefix(target, currentLink+"/") {
			continue
		}
		if _, err := os.Stat(path); os.IsNotExist(err) {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// own refuses to put a link where a file stands that rootcast did not make.
func (s *site) own(names ...string) error {
	for _, name := range names {
		path := filepath.Join(s.dir, name)
		target, err := os.Readlink(path)
		ours := target == filepath.Join(currentLink, name) || name == currentLink && filepath.Dir(target) == versionsDir
		switch {
		case errors.Is(err, unix.ENOTDIR):
			return fmt.Errorf("the rootimgdir %s is a file, not a directory", s.dir)
		case err == nil && !ours || err != nil && !os.IsNotExist(err):
			return fmt.Errorf("%s is there and was not made by rootcast; move it away or choose another directory", path)
		}
	}
	return nil
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

// Tidy removes from dir what a process that was killed has left, names that lead
// nowhere and versions beyond o.Keep. Where another process writes dir it does
// nothing: that one tidies.
func Tidy(dir string, o Options) (err error) {
	if o.Keep == 0 {
		o.Keep = DefaultKeep
	}
	s := &site{dir: dir}
	if err := s.tryLock(o.Doing); err != nil {
		if errors.Is(err, ErrBusy) || errors.Is(err, errGone) {
			return nil
		}
		return fmt.Errorf("clearing the rootimgdir %s: %w", dir, err)
	}
	if err := errors.Join(s.removeTemporary(), s.unlink(), s.prune(o.Keep), s.release()); err != nil {
		return fmt.Errorf("clearing the rootimgdir %s: %w", dir, err)
	}
	return nil
}

// removeTemporary removes what a process that was killed has left.
func (s *site) removeTemporary() error {
	for _, dir := range []string{s.dir, filepath.Join(s.dir, versionsDir)} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), tempPrefix) {
				if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
					return err
				}
			}
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
