package cache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// An entry's file is its data and then, in trailerSize bytes, its key, the
// data's length and CRC-32C, and magic.
const (
	trailerSize = 32 + 8 + 4 + 4
	magic       = "rcc1"
	tempPrefix  = ".tmp-"
)

var errDamaged = errors.New("damaged cache entry")

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

func appendTrailer(b []byte, key Key, length int64, sum uint32) []byte {
	b = append(b, key[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(length)) //nolint:gosec // never negative
	b = binary.BigEndian.AppendUint32(b, sum)
	return append(b, magic...)
}

// checkWhole returns the data of an entry that lies in memory.
func checkWhole(b []byte, key Key) ([]byte, error) {
	n := len(b) - trailerSize
	if n < 0 || !bytes.Equal(b[n:], appendTrailer(nil, key, int64(n), crc32.Checksum(b[:n], castagnoli()))) {
		return nil, errDamaged
	}
	return b[:n], nil
}

// checkFile checks an entry that may be too large for memory, and returns the
// reader of its data.
func checkFile(f *os.File, key Key) (*Reader, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	n := info.Size() - trailerSize
	if n < 0 {
		return nil, errDamaged
	}
	sum := crc32.New(castagnoli())
	if _, err := io.CopyN(sum, f, n); err != nil {
		return nil, err
	}
	trailer, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(trailer, appendTrailer(nil, key, n, sum.Sum32())) {
		return nil, errDamaged
	}
	_, err = f.Seek(0, io.SeekStart)
	return &Reader{f: f, left: n, want: sum.Sum32()}, err
}

// readAll reads the file into what room returns.
func readAll(f *os.File, room func(size int) []byte) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := int(info.Size())
	var buf []byte
	if room != nil {
		buf = room(size)
	} else {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	_, err = io.ReadFull(f, buf)
	return buf, err
}

// Reader reads the data of one entry, which was whole when it was opened. If it
// is not any more when its end comes, that is an error.
type Reader struct {
	f    *os.File
	left int64
	want uint32
	sum  uint32
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if r.left == 0 {
		if r.sum != r.want {
			return 0, errDamaged
		}
		return 0, io.EOF
	}
	n, err := r.f.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	r.sum = crc32.Update(r.sum, castagnoli(), p[:n])
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close ends the reading.
func (r *Reader) Close() error { return r.f.Close() }

// Writer takes the data of a new entry, which has its name once Close keeps it.
// It never fails: what it cannot keep is lost, and nothing else.
type Writer struct {
	s    *Store
	path string
	key  Key
	f    *os.File // nil once nothing is kept any more
	size int64
	sum  uint32
}

// Create starts an entry.
func (s *Store) Create(kind Kind, key Key) *Writer {
	w := &Writer{s: s, key: key}
	if s == nil || s.broken.Load() {
		return w
	}
	w.path = s.path(kind, key)
	dir := filepath.Dir(w.path)
	f, err := createTemp(dir)
	if os.IsNotExist(err) {
		if err = os.MkdirAll(dir, 0o700); err == nil {
			f, err = createTemp(dir)
		}
	}
	if w.f = f; err != nil {
		w.drop(err)
	}
	return w
}

// createTemp makes a file and locks it: one that nobody has locked is left over.
func createTemp(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, tempPrefix)
	if err == nil {
		_ = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) // at worst it is removed too early, and the entry is lost
	}
	return f, err
}

// Write adds data; the error is always nil.
func (w *Writer) Write(p []byte) (int, error) {
	if w.f == nil { // of a nil Store, for one
		return len(p), nil
	}
	if _, err := w.f.Write(p); err != nil {
		w.drop(err)
		return len(p), nil
	}
	w.size += int64(len(p))
	w.sum = crc32.Update(w.sum, castagnoli(), p)
	return len(p), nil
}

// Close keeps the entry, or drops it where keep is false.
func (w *Writer) Close(keep bool) {
	if w.f == nil {
		return
	}
	if !keep {
		w.drop(nil)
		return
	}
	if _, err := w.f.Write(appendTrailer(nil, w.key, w.size, w.sum)); err != nil {
		w.drop(err)
		return
	}
	if err := errors.Join(w.f.Close(), os.Rename(w.f.Name(), w.path)); err != nil {
		w.drop(err)
		return
	}
	w.f = nil
	w.s.written.Store(true)
}

// drop removes what was written; where the disk takes no more, nothing else is tried.
func (w *Writer) drop(reason error) {
	if full(reason) {
		w.s.broken.Store(true)
	}
	if w.f == nil {
		return
	}
	_ = w.f.Close() // what is in it is not wanted any more
	_ = os.Remove(w.f.Name())
	w.f = nil
}
