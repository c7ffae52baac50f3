package cache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// An entry's file is its data and then, in trailerSize bytes, its key, the
// data's length and CRC-32C, and magic.
const (
	trailerSize = 32 + 8 + 4 + 4
	magic       = "rcc1"
	tempPattern = ".tmp-*"
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

// checkFile returns the length of the data of an entry that may be too large
// for memory, and leaves the file at its start.
func checkFile(f *os.File, key Key) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	n := info.Size() - trailerSize
	if n < 0 {
		return 0, errDamaged
	}
	sum := crc32.New(castagnoli())
	if _, err := io.CopyN(sum, f, n); err != nil {
		return 0, err
	}
	trailer, err := io.ReadAll(f)
	if err != nil {
		return 0, err
	}
	if !bytes.Equal(trailer, appendTrailer(nil, key, n, sum.Sum32())) {
		return 0, errDamaged
	}
	_, err = f.Seek(0, io.SeekStart)
	return n, err
}

// readAll reads the file into buf, or into a new one where that is too small.
func readAll(f *os.File, buf []byte) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size()
	if int64(cap(buf)) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	_, err = io.ReadFull(f, buf)
	return buf, err
}

// Reader reads the data of one entry.
type Reader struct {
	io.Reader
	f *os.File
}

func newReader(f *os.File, size int64) *Reader { return &Reader{io.LimitReader(f, size), f} }

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
	f, err := os.CreateTemp(dir, tempPattern)
	if os.IsNotExist(err) {
		if err = os.MkdirAll(dir, 0o700); err == nil {
			f, err = os.CreateTemp(dir, tempPattern)
		}
	}
	if w.f = f; err != nil {
		w.drop(err)
	}
	return w
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
