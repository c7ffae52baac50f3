package cache

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Kind is a family of entries, kept in a directory of its own.
type Kind string

// What rootcast keeps.
const (
	Segments Kind = "segments" // of packed roots
	Indexes  Kind = "indexes"  // of layers
)

// Key names an entry by everything that is in it.
type Key [32]byte

// Store is a directory of entries. A nil Store keeps nothing.
type Store struct {
	dir     string
	limit   int64
	written atomic.Bool // something new is in it
	broken  atomic.Bool // its disk takes no more
}

// kinds are all there are.
func kinds() [2]Kind { return [...]Kind{Segments, Indexes} }

// Open returns the cache in dir, which is made where it is missing and is for
// its owner alone: it holds what the images hold, and what is in it goes into
// the roots of nodes. A cache that others may write is an error. Close brings it
// down to limit bytes; 0 is no limit.
func Open(dir string, limit int64) (*Store, error) {
	for _, kind := range kinds() {
		if err := os.MkdirAll(filepath.Join(dir, string(kind)), 0o700); err != nil {
			return nil, fmt.Errorf("opening the cache: %w", err)
		}
	}
	// What is checked is what is used, whereto a symlink may lead later.
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the cache: %w", err)
	}
	for _, name := range []string{"", string(Segments), string(Indexes)} {
		if err := checkOwner(filepath.Join(dir, name)); err != nil {
			return nil, fmt.Errorf("opening the cache: %w", err)
		}
	}
	return &Store{dir: dir, limit: limit}, nil
}

// checkOwner refuses a directory in which another user may have put something.
func checkOwner(path string) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return &os.PathError{Op: "lstat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return fmt.Errorf("%s is no directory", path)
	}
	const others = 0o022
	if owner := int(st.Uid); owner != os.Geteuid() && owner != 0 || st.Mode&others != 0 {
		return fmt.Errorf("%s is not this user's alone: others could put files into the roots that are packed; change its owner and mode, or choose another directory", path)
	}
	return nil
}

// Close removes the entries that were not used for the longest time until the
// others keep within the limit, where anything was added. No result depends on
// whether that succeeds.
func (s *Store) Close() error {
	if s == nil || !s.written.Load() {
		return nil
	}
	limit := s.limit
	if limit <= 0 {
		limit = math.MaxInt64
	}
	_, err := s.Prune(limit)
	return err
}

// Get returns the entry's data, in what room returns for the size of the entry,
// which is a little more; nil: in a new slice. False: there is none, or none that is whole.
func (s *Store) Get(kind Kind, key Key, room func(size int) []byte) ([]byte, bool) {
	if s == nil {
		return nil, false
	}
	f, err := s.open(kind, key)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	data, err := readAll(f, room)
	if err == nil {
		data, err = checkWhole(data, key)
	}
	if err != nil {
		s.damaged(f)
		return nil, false
	}
	s.used(f)
	return data, true
}

// Put keeps data under the key.
func (s *Store) Put(kind Kind, key Key, data []byte) {
	w := s.Create(kind, key)
	_, err := w.Write(data)
	w.Close(err == nil)
}

// Reader returns an entry of any size, checked to the last byte, for reading
// from its start; nil where Get would return false.
func (s *Store) Reader(kind Kind, key Key) *Reader {
	if s == nil {
		return nil
	}
	f, err := s.open(kind, key)
	if err != nil {
		return nil
	}
	r, err := checkFile(f, key)
	if err != nil {
		s.damaged(f)
		_ = f.Close() // it was only read
		return nil
	}
	s.used(f)
	return r
}

// path is where an entry lies; a fan of 256 directories keeps each of them short.
func (s *Store) path(kind Kind, key Key) string {
	name := hex.EncodeToString(key[:])
	return filepath.Join(s.dir, string(kind), name[:2], name)
}

func (s *Store) open(kind Kind, key Key) (*os.File, error) { return os.Open(s.path(kind, key)) }

// damaged removes an entry that is not what it should be.
func (s *Store) damaged(f *os.File) { _ = os.Remove(f.Name()) }

// used notes when an entry was last of use: its modification time.
func (s *Store) used(f *os.File) {
	now := unix.NsecToTimeval(time.Now().UnixNano())
	_ = unix.Futimes(int(f.Fd()), []unix.Timeval{now, now}) // at worst it is forgotten too early
}

// full tells whether an error means that the disk takes no more.
func full(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EROFS)
}
