package netboot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	versionsDir = "versions"
	currentLink = "current"
	tempPrefix  = ".tmp-"
)

// Stage is a version of a rootimgdir while it is written.
type Stage struct {
	site
	temp string // "" once published or aborted
	keep int

	inputs string

	mu      sync.Mutex // files are made side by side
	outputs []*Output  // the files that were made
}

// Begin starts a new version of dir, which is made where it is missing. What an
// earlier process left half-made is removed. A directory whose files rootcast
// did not make, and one that another process writes, are errors; [ErrBusy] is
// the latter.
func Begin(ctx context.Context, dir string, o Options) (_ *Stage, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("naming the rootimgdir: %w", err)
	}
	if o.Keep == 0 {
		o.Keep = DefaultKeep
	}
	s := &Stage{site: site{dir: dir, adopt: o.Adopt}, keep: o.Keep, inputs: o.Inputs}
	if err := s.own(currentLink, ManifestName, KernelName, RamdiskName); err != nil {
		return nil, err
	}
	if err := s.acquire(ctx, o); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Abort())
		}
	}()
	if err := s.removeTemporary(); err != nil {
		return nil, fmt.Errorf("clearing the rootimgdir %s: %w", dir, err)
	}
	if s.temp, err = os.MkdirTemp(filepath.Join(dir, versionsDir), tempPrefix); err != nil {
		return nil, fmt.Errorf("making a new version: %w", err)
	}
	return s, os.Chmod(s.temp, 0o755)
}

// Create makes a file of the new version. The caller finishes and closes it.
// Several goroutines may make files at a time.
func (s *Stage) Create(name string) (*Output, error) {
	f, err := os.OpenFile(filepath.Join(s.temp, name), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(0o644); err != nil { // whatever the umask: boot servers are other users
		return nil, errors.Join(err, f.Close())
	}
	out, err := newOutput(name, f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outputs = append(s.outputs, out)
	return out, nil
}

// Scratch makes an empty file beside those of the new version, for a tool to
// write to. The caller removes it.
func (s *Stage) Scratch() (path string, err error) {
	f, err := os.CreateTemp(s.temp, tempPrefix)
	if err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

// Abort drops what was not published and gives the lock back. After Publish it
// does only the latter; calling it again does nothing.
func (s *Stage) Abort() error {
	var errs []error
	if s.temp != "" {
		errs = append(errs, os.RemoveAll(s.temp))
		s.temp = ""
	}
	errs = append(errs, s.release())
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
	id, names := versionID(text), m.names()
	if err := s.own(names...); err != nil {
		return err
	}
	if err := s.settle(ctx, id, m); err != nil {
		return err
	}
	if err := writeStamp(s.version(id), s.inputs, names); err != nil {
		return err
	}
	if err := s.link(id, names); err != nil {
		return err
	}
	return s.prune(s.keep)
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
		if _, err := readVersion(final, id); err == nil && checkFiles(ctx, final, m) == nil {
			return os.RemoveAll(s.temp)
		}
		if err := ctx.Err(); err != nil { // which is no damage
			return err
		}
		// It is damaged, and may be what nodes boot from now: swap, never remove first.
		if err := unix.Renameat2(unix.AT_FDCWD, s.temp, unix.AT_FDCWD, final, unix.RENAME_EXCHANGE); err != nil {
			return fmt.Errorf("exchanging %s: %w", final, err)
		}
		return errors.Join(syncDir(filepath.Join(s.dir, versionsDir)), os.RemoveAll(s.temp))
	}
	if err := os.Rename(s.temp, final); err != nil {
		return err
	}
	s.temp = ""
	return syncDir(filepath.Join(s.dir, versionsDir))
}

// checkOutputs compares what was written, and read back then, with the manifest.
func (s *Stage) checkOutputs(m *Manifest) error {
	for _, want := range m.Files {
		i := slices.IndexFunc(s.outputs, func(o *Output) bool { return o.file.Name == want.Name })
		if i < 0 {
			return fmt.Errorf("%s: no such file was made", want.Name)
		}
		if err := want.differs(s.outputs[i].file.Size, s.outputs[i].file.SHA256); err != nil {
			return fmt.Errorf("%s %w", want.Name, err)
		}
	}
	return nil
}

// checkFiles reads back what the manifest names.
func checkFiles(ctx context.Context, dir string, m *Manifest) error {
	for _, f := range m.Files {
		if err := CheckFile(ctx, dir, f, nil); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(path string, text []byte) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		return err
	}
	return f.Sync()
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
