package unpack

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/cavaliergopher/cpio"
)

// fileType are the bits of st_mode that say what a file is, and three of their values.
const (
	fileType    = 0o170000
	typeDir     = 0o040000
	typeSymlink = 0o120000
	typeRegular = 0o100000
)

// CPIO calls f for each entry of a newc archive without compression, whatever
// follows the archive's end.
func CPIO(r io.Reader, f func(*Entry) error) error {
	return readCPIO(newHeaderTap(r), f)
}

func walkCPIO(r io.Reader, f func(*Entry) error) error {
	tap := newHeaderTap(r)
	if err := readCPIO(tap, f); err != nil {
		return err
	}
	return onlyPadding(tap)
}

func readCPIO(tap *headerTap, f func(*Entry) error) error {
	archive := cpio.NewReader(tap)
	first := map[linkID]string{}
	for {
		tap.arm()
		h, err := archive.Next()
		if errors.Is(err, io.EOF) && tap.armed { // no header, not even the trailer's
			err = io.ErrUnexpectedEOF
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the archive back: %w", err)
		}
		if err := f(cpioEntry(h, tap, archive, first)); err != nil {
			return err
		}
	}
}

// linkID says which entries are one file (init/initramfs.c, find_link).
type linkID struct{ ino, major, minor, kind int64 }

func cpioEntry(h *cpio.Header, tap *headerTap, body io.Reader, first map[linkID]string) *Entry {
	e := &Entry{
		Name: h.Name, Mode: uint32(h.Mode), UID: uint32(h.Uid), GID: uint32(h.Guid), ModTime: h.ModTime.Unix(), //nolint:gosec // of 32 bits
		Major: uint32(tap.field(rdevMajorAt)), Minor: uint32(tap.field(rdevMinorAt)), //nolint:gosec // of 32 bits
		First: h.Name, Links: h.Links,
	}
	kind := int64(e.Mode & fileType)
	if h.Links > 1 && kind != typeDir {
		id := linkID{h.Inode, tap.field(devMajorAt), tap.field(devMinorAt), kind}
		if name, ok := first[id]; ok {
			e.First = name
		} else {
			first[id] = h.Name
		}
	}
	switch kind {
	case typeSymlink:
		e.Target = h.Linkname
	case typeRegular:
		if h.Links < 2 || h.Size > 0 {
			e.Body, e.Size = &whole{body, h.Size}, h.Size
		}
	}
	return e
}

// onlyPadding reads what follows the trailer's name: zeros up to a multiple of four.
func onlyPadding(r io.Reader) error {
	var rest [4]byte
	n, err := io.ReadFull(r, rest[:])
	switch {
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("reading the archive back: %w", err)
	case err == nil || len(bytes.Trim(rest[:n], "\x00")) > 0:
		return errTrailing
	}
	return nil
}

// headerTap keeps the fixed part of the header that was read last: the cpio
// library drops the device numbers in it.
type headerTap struct {
	r     io.Reader
	armed bool
	last  [newcHeader]byte
	n     int
}

func newHeaderTap(r io.Reader) *headerTap { return &headerTap{r: bufio.NewReaderSize(r, 256<<10)} }

const (
	newcHeader  = 110
	devMajorAt  = 62 // where the field of eight digits starts
	devMinorAt  = 70
	rdevMajorAt = 78
	rdevMinorAt = 86
)

// arm says that the next read of a header's length is a header.
func (t *headerTap) arm() { t.armed, t.n = true, 0 }

func (t *headerTap) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if t.armed && len(p) == newcHeader-t.n {
		t.n += copy(t.last[t.n:], p[:n])
		t.armed = t.n < newcHeader
	}
	return n, err
}

func (t *headerTap) field(at int) int64 {
	v, err := strconv.ParseInt(string(t.last[at:at+8]), 16, 64)
	if err != nil {
		return -1
	}
	return v
}

// whole fails where its source ends early, which the cpio library does not.
type whole struct {
	r    io.Reader
	left int64
}

func (w *whole) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	w.left -= int64(n)
	if errors.Is(err, io.EOF) && w.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
