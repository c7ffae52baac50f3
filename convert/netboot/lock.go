package netboot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	lockName = ".lock"

	// pollLock is how often a lock that is waited for is tried: a flock that
	// blocks could not end with the context.
	pollLock = 100 * time.Millisecond

	// maxHolder is more than a holder's line in the lock file ever has.
	maxHolder = 4 << 10
)

// ErrBusy is a rootimgdir that another process writes.
var ErrBusy = errors.New("another rootcast is writing it")

// errGone is a lock whose directory was removed before it could be taken.
var errGone = errors.New("it was removed meanwhile")

// holder is who has the lock, as the lock file says it to those who find it taken.
type holder struct {
	PID   int       `json:"pid"`
	Host  string    `json:"host"`
	Since time.Time `json:"since"`
	Doing string    `json:"doing,omitempty"` // such as "convert localhost/compute:1"
}

func (h holder) String() string {
	text := fmt.Sprintf("process %d on %s has been at it since %s", h.PID, h.Host, h.Since.Local().Format(time.DateTime))
	if h.Doing != "" {
		text += " (" + h.Doing + ")"
	}
	return text
}

// decodeHolder reads what [holder.write] wrote. A process may have the lock and
// not have written anything yet: that is no holder, and no error.
func decodeHolder(r io.Reader) (holder, bool) {
	var h holder
	err := json.NewDecoder(io.LimitReader(r, maxHolder)).Decode(&h)
	printable := strings.ToValidUTF8(h.Host+h.Doing, "\n")
	return h, err == nil && h.PID > 0 && !strings.ContainsFunc(printable, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func (h holder) write(f *os.File) error {
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(append(text, '\n'), 0)
	return err
}

// busyError is [ErrBusy] with what is known of the holder.
func busyError(f *os.File) error {
	if h, ok := decodeHolder(io.NewSectionReader(f, 0, maxHolder)); ok {
		return fmt.Errorf("%w: %s", ErrBusy, h)
	}
	return ErrBusy
}

// acquire makes the directory where it is missing and takes its lock, which the
// kernel gives back when this process ends in whatever way.
func (s *site) acquire(ctx context.Context, o Options) error {
	const patience = 10 // a directory that goes away again and again is not ours to make
	told := false
	for gone := 0; ; {
		err := s.tryLock(o.Doing)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errGone) && gone < patience:
			gone++
		case !errors.Is(err, ErrBusy):
			return fmt.Errorf("locking the rootimgdir %s: %w", s.dir, err)
		case !o.Wait:
			return fmt.Errorf("rootimgdir %s: %w; try again when it is done, or wait for it with --wait", s.dir, err)
		case !told && o.Waiting != nil:
			told = true
			o.Waiting(fmt.Sprintf("waiting for %s: %v", s.dir, err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollLock):
		}
	}
}

// tryLock takes the lock or fails at once, with ErrBusy or errGone for reasons
// that pass.
func (s *site) tryLock(doing string) (err error) {
	if _, err := os.Stat(s.dir); os.IsNotExist(err) {
		s.made = true
	}
	if err := s.makeDirs(); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(s.dir, lockName), os.O_CREATE|os.O_RDWR, 0o644)
	if os.IsNotExist(err) {
		return errGone
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return busyError(f)
	}
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	if st.Nlink == 0 { // its holder has just removed the directory
		return errGone
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	if err := (holder{PID: os.Getpid(), Host: host, Since: time.Now().Truncate(time.Second), Doing: doing}).write(f); err != nil {
		return err
	}
	s.lock = f
	return nil
}

// makeDirs makes the rootimgdir where it is missing, for boot servers to read
// whatever the umask; one that is there keeps the mode that somebody gave it.
func (s *site) makeDirs() error {
	versions := filepath.Join(s.dir, versionsDir)
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	switch err := os.Mkdir(versions, 0o755); {
	case os.IsExist(err):
		return nil
	case err != nil:
		return err
	}
	err := os.Chmod(versions, 0o755)
	if s.made {
		err = errors.Join(err, os.Chmod(s.dir, 0o755))
	}
	return err
}

// release gives the lock back; a directory that this process made and nothing
// was published in goes with it. Calling it again does nothing.
func (s *site) release() error {
	if s.lock == nil {
		return nil
	}
	var errs []error
	if s.made && os.Remove(filepath.Join(s.dir, versionsDir)) == nil { // it was empty: nothing was published
		errs = append(errs, os.Remove(filepath.Join(s.dir, lockName)), os.Remove(s.dir))
	} else {
		errs = append(errs, s.lock.Truncate(0))
	}
	// A program that is being started may have a copy of the file for a moment.
	errs = append(errs, unix.Flock(int(s.lock.Fd()), unix.LOCK_UN), s.lock.Close())
	s.lock = nil
	return errors.Join(errs...)
}
