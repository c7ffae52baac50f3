package netboot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/convert/ctxio"
)

const (
	versionsDir = "versions"
	currentLink = "current"
	lockName    = ".lock"
	tempPrefix  = ".tmp-"

	// keep is how many versions stay, the new one among them.
	keep = 2
)

// ErrBusy is a rootimgdir that another process writes.
var ErrBusy = errors.New("another rootcast is writing it; try again when it is done")

// Stage is a version of a rootimgdir while it is written.
type Stage struct {
	dir  string
	temp string // "" once published or aborted
	lock *os.File
	made bool // dir was not there before

	outputs []*Output // the files that were made
}

// Begin starts a new version of dir, which is made where it is missing. What an
// earlier process left half-made is removed. A directory whose files rootcast
// did not make, and one that another process writes, are errors; [ErrBusy] is
// the latter.
func Begin(dir string) (_ *Stage, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("naming the rootimgdir: %w", err)
	}
	versions := filepath.Join(dir, versionsDir)
	_, err = os.Stat(dir)
	s := &Stage{dir: dir, made: os.IsNotExist(err)}
	if err := s.own(currentLink, ManifestName, KernelName, RamdiskName); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(versions, 0o755); err != nil {
		return nil, fmt.Errorf("making the rootimgdir: %w", err)
	}
	if s.lock, err = lock(dir); err != nil {
		return nil, fmt.Errorf("rootimgdir %s: %w", dir, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Abort())
		}
	}()
	if err := removeTemporary(dir, versions); err != nil {
		return nil, fmt.Errorf("clearing the rootimgdir %s: %w", dir, err)
	}
	if s.temp, err = os.MkdirTemp(versions, tempPrefix); err != nil {
		return nil, fmt.Errorf("making a new version: %w", err)
	}
	return s, os.Chmod(s.temp, 0o755)
}

// lock takes the lock that the kernel gives back when this process ends.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrBusy
	}
	var st unix.Stat_t
	if err == nil {
		err = unix.Fstat(int(f.Fd()), &st)
	}
	if err == nil && st.Nlink == 0 { // its holder has just removed the directory
		err = ErrBusy
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// removeTemporary removes what a process that was killed has left.
func removeTemporary(dirs ...string) error {
	for _, dir := range dirs {
		left, err := filepath.Glob(filepath.Join(dir, tempPrefix+"*"))
		if err != nil {
			return err
		}
		for _, name := range left {
			if err := os.RemoveAll(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// Create makes a file of the new version. The caller finishes and closes it.
func (s *Stage) Create(name string) (*Output, error) {
	f, err := os.OpenFile(filepath.Join(s.temp, name), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	out := newOutput(name, f)
	s.outputs = append(s.outputs, out)
	return out, nil
}

// Abort drops what was not published and gives the lock back. After Publish it
// does only the latter; calling it again does nothing.
func (s *Stage) Abort() error {
	var errs []error
	if s.temp != "" {
		errs = append(errs, os.RemoveAll(s.temp))
		s.temp = ""
	}
	if s.made && os.Remove(filepath.Join(s.dir, versionsDir)) == nil { // it was empty: nothing was published
		errs = append(errs, os.Remove(filepath.Join(s.dir, lockName)), os.Remove(s.dir))
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
		s.lock = nil
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("dropping an unfinished version: %w", err)
	}
	return nil
}

// Publish checks what lies on disk against the manifest, then puts the new
// version in the old one's place, in one step for all files.
func (s *Stage) Publish(ctx context.Context, m *Manifest) error {
	if err := s.publish(ctx, m); err != nil {
		return fmt.Errorf("publishing in %s: %w", s.dir, err)
	}
	return nil
}

func (s *Stage) publish(ctx context.Context, m *Manifest) error {
	if err := s.checkOutputs(m); err != nil {
		return err
	}
	text, err := m.encode()
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(s.temp, ManifestName), text); err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	id := hex.EncodeToString(sum[:8])
	names := []string{ManifestName}
	for _, f := range m.Files {
		names = append(names, f.Name)
	}
	if err := s.own(names...); err != nil {
		return err
	}
	if err := s.settle(ctx, id, m); err != nil {
		return err
	}
	if err := s.link(id, names); err != nil {
		return err
	}
	return s.prune(id)
}

// settle gives the version its own name. The same bytes may be there already.
func (s *Stage) settle(ctx context.Context, id string, m *Manifest) error {
	final := filepath.Join(s.dir, versionsDir, id)
	if err := syncDir(s.temp); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := os.Lstat(final); err == nil {
		if checkFiles(ctx, final, m) == nil {
			return os.RemoveAll(s.temp)
		}
		// It is damaged, and may be what nodes boot from now: swap, never remove first.
		if err := unix.Renameat2(unix.AT_FDCWD, s.temp, unix.AT_FDCWD, final, unix.RENAME_EXCHANGE); err != nil {
			return fmt.Errorf("exchanging %s: %w", final, err)
		}
		return os.RemoveAll(s.temp)
	}
	if err := os.Rename(s.temp, final); err != nil {
		return err
	}
	s.temp = ""
	return syncDir(filepath.Join(s.dir, versionsDir))
}

// link makes every name lead to the new version. Names that it adds dangle until
// current changes, and names that it drops dangle from then on: so one rename
// decides about all of them.
func (s *Stage) link(id string, names []string) error {
	for _, name := range names {
		if err := replaceLink(filepath.Join(s.dir, name), filepath.Join(currentLink, name)); err != nil {
			return err
		}
	}
	if err := replaceLink(filepath.Join(s.dir, currentLink), filepath.Join(versionsDir, id)); err != nil {
		return err
	}
	return syncDir(s.dir)
}

// own refuses to put a link where a file stands that rootcast did not make.
func (s *Stage) own(names ...string) error {
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

// prune removes links of dropped files and versions beyond keep, the oldest first.
func (s *Stage) prune(id string) error {
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
	return s.pruneVersions(id)
}

func (s *Stage) pruneVersions(id string) error {
	versions := filepath.Join(s.dir, versionsDir)
	entries, err := os.ReadDir(versions)
	if err != nil {
		return err
	}
	type version struct {
		name string
		at   int64
	}
	var old []version
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		if e.Name() != id {
			old = append(old, version{e.Name(), info.ModTime().UnixNano()})
		}
	}
	slices.SortFunc(old, func(a, b version) int { return int(b.at - a.at) }) // the newest first
	for i, v := range old {
		if i >= keep-1 {
			if err := os.RemoveAll(filepath.Join(versions, v.name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkOutputs compares what was written, and read back then, with the manifest.
func (s *Stage) checkOutputs(m *Manifest) error {
	for _, want := range m.Files {
		i := slices.IndexFunc(s.outputs, func(o *Output) bool { return o.file.Name == want.Name })
		if i < 0 {
			return fmt.Errorf("%s: no such file was made", want.Name)
		}
		if err := want.differs(s.outputs[i].file.Size, s.outputs[i].file.SHA256); err != nil {
			return err
		}
	}
	return nil
}

// differs says how a file is not what the manifest says, if it is not.
func (f *File) differs(size int64, sum string) error {
	if size == f.Size && sum == f.SHA256 {
		return nil
	}
	return fmt.Errorf("%s has %d bytes with sha256 %s; its manifest says %d bytes with %s", f.Name, size, sum, f.Size, f.SHA256)
}

// checkFiles reads back what the manifest names.
func checkFiles(ctx context.Context, dir string, m *Manifest) error {
	for _, f := range m.Files {
		if err := checkFile(ctx, filepath.Join(dir, f.Name), f); err != nil {
			return err
		}
	}
	return nil
}

// checkFile reads a file back: its size and digest are what the manifest says.
func checkFile(ctx context.Context, path string, want File) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, ctxio.NewReader(ctx, f, nil))
	if err != nil {
		return fmt.Errorf("reading %s back: %w", want.Name, err)
	}
	return want.differs(n, hex.EncodeToString(sum.Sum(nil)))
}

func writeFile(path string, text []byte) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(text); err != nil {
		return err
	}
	return f.Sync()
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

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
