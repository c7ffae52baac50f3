package netboot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// Removed is what became of a rootimgdir, in paths.
type Removed struct {
	Removed []string
	Left    []string // what neither rootcast nor xCAT's packimage makes
}

// madeNames are the files of a rootimgdir, rootcast's and xCAT's, as patterns.
func madeNames() []string {
	return []string{
		ManifestName, KernelName, RamdiskName, InitrdName, StateliteInitrdName, "initrd.gz", "hypervisor",
		"rootimg.gz", "rootimg.cpio", "rootimg.cpio.*", "rootimg.tar", "rootimg.tar.*", "rootimg.sfs", "rootimg.erofs", "rootimg-statelite.gz",
		"rootimg.sfs.metainfo", "boot.ipxe", "grub.cfg", "petitboot.conf",
	}
}

// Remove removes from dir what rootcast or xCAT has made for nodes to boot from, all
// versions of it, and dir itself if nothing else is in it. It goes into no
// directory but those of versions, follows no symlink and refuses a directory below
// which something is mounted, or that is no rootimgdir. A dir that is not there has
// nothing to remove.
func Remove(ctx context.Context, dir string, o Options) (_ Removed, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return Removed{}, fmt.Errorf("naming the rootimgdir: %w", err)
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return Removed{}, nil
	}
	if err := removable(dir); err != nil {
		return Removed{}, fmt.Errorf("removing the rootimgdir %s: %w", dir, err)
	}
	s := &site{dir: dir}
	if err := s.acquire(ctx, o); err != nil {
		return Removed{}, err
	}
	var r Removed
	if err = s.removeAll(&r); err != nil {
		err = fmt.Errorf("removing the rootimgdir %s: %w", dir, err)
	}
	// A program that is being started may have a copy of the file for a moment.
	return r, errors.Join(err, unix.Flock(int(s.lock.Fd()), unix.LOCK_UN), s.lock.Close())
}

// removable refuses what is no rootimgdir, or not such alone.
func removable(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var kernel, root bool
	for _, e := range entries {
		switch name := e.Name(); {
		case name == currentLink && e.Type() == fs.ModeSymlink, name == versionsDir && e.IsDir() && hasVersion(filepath.Join(dir, name)):
			kernel, root = true, true
		case name == KernelName:
			kernel = true
		case isMade(name):
			root = true
		}
	}
	if len(entries) > 0 && (!kernel || !root) {
		return fmt.Errorf("it has no %s with a root image beside it, and is left as it is", KernelName)
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(real))
	if err != nil {
		return fmt.Errorf("listing what is mounted: %w", err)
	}
	for _, m := range mounts {
		if m.Mountpoint != real {
			return fmt.Errorf("%s is mounted below it; unmount it first", m.Mountpoint)
		}
	}
	return nil
}

func hasVersion(versions string) bool {
	entries, err := os.ReadDir(versions)
	return err == nil && slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		_, err := os.Lstat(filepath.Join(versions, e.Name(), ManifestName))
		return err == nil
	})
}

func isMade(name string) bool {
	return slices.ContainsFunc(madeNames(), func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return ok && err == nil
	})
}

// removeAll removes the names first, so that no node begins with a version that goes.
func (s *site) removeAll(r *Removed) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := filepath.Join(s.dir, e.Name())
		switch {
		case e.Name() == lockName || e.Name() == versionsDir && e.IsDir():
			continue
		case s.isOurs(e):
			if err := os.Remove(name); err != nil {
				return err
			}
			r.Removed = append(r.Removed, name)
		default:
			r.Left = append(r.Left, name)
		}
	}
	if err := s.removeVersions(r); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(s.dir, lockName)); err != nil {
		return err
	}
	if err := unix.Rmdir(s.dir); err == nil { // a symlink to it stays, as does one that is not empty
		r.Removed = append(r.Removed, s.dir)
	}
	return syncDir(filepath.Dir(s.dir))
}

// isOurs tells a file that rootcast or xCAT has made from all others, such as the
// directory rootimg and the links that somebody else has put there.
func (s *site) isOurs(e fs.DirEntry) bool {
	name := e.Name()
	switch {
	case e.Type() == fs.ModeSymlink:
		return s.own(name) == nil
	case !e.Type().IsRegular():
		return false
	}
	return name == historyName || strings.HasPrefix(name, tempPrefix) || isMade(name)
}

// removeVersions removes the directory of versions, in each of which there are files alone.
func (s *site) removeVersions(r *Removed) error {
	versions := filepath.Join(s.dir, versionsDir)
	if info, err := os.Lstat(versions); err != nil || !info.IsDir() { // a symlink to elsewhere is in r.Left
		return err
	}
	entries, err := os.ReadDir(versions)
	if err != nil {
		return err
	}
	for _, e := range entries {
		dir := filepath.Join(versions, e.Name())
		if !e.IsDir() {
			r.Left = append(r.Left, dir)
			continue
		}
		left, err := removeFiles(dir)
		if err != nil {
			return err
		}
		if left == nil {
			if err := os.Remove(dir); err != nil {
				return err
			}
			r.Removed = append(r.Removed, dir)
		}
		r.Left = append(r.Left, left...)
	}
	if err := os.Remove(versions); err != nil && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

// removeFiles removes the files of a directory, and returns what else is in it.
func removeFiles(dir string) (left []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		if !e.Type().IsRegular() {
			left = append(left, name)
			continue
		}
		if err := os.Remove(name); err != nil {
			return left, err
		}
	}
	return left, nil
}
