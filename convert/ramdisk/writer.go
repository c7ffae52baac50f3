package ramdisk

import (
	"fmt"
	"io"

	"github.com/rootcast/rootcast/convert/cpio"
	"github.com/rootcast/rootcast/convert/node"
)

const (
	// memberSize is the size of all members but the last: what a node holds twice
	// for a moment.
	memberSize = 8 << 20
	// align is where members start: the kernel wants a multiple of 4 (init/initramfs.c).
	align = 4

	modeDir  = 0o040700
	modeFile = 0o100600
)

// Writer cuts what is written into members. The bytes depend on what was
// written alone, not on how it was handed over.
type Writer struct {
	w       io.Writer
	members int
	buf     []byte
}

// NewWriter returns a writer of a row of members to w, at an offset there that is a multiple of 4.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w, buf: make([]byte, 0, memberSize)} }

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		k := min(len(p), memberSize-len(w.buf))
		w.buf = append(w.buf, p[:k]...)
		p = p[k:]
		n += k
		if len(w.buf) == memberSize {
			if err := w.flush(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// Close writes the last member and the archive's end. It does not close what it writes to.
func (w *Writer) Close() error {
	if err := w.flush(); err != nil {
		return err
	}
	_, err := w.w.Write(cpio.AppendTrailer(nil))
	return err
}

func (w *Writer) flush() (err error) {
	var head []byte
	if w.members == 0 {
		for _, dir := range node.RootDirs() {
			if head, err = (&cpio.Header{Name: dir, Mode: modeDir, Links: 1}).Append(head); err != nil {
				return err
			}
		}
	}
	h := cpio.Header{Name: fmt.Sprintf("%s/%08d", node.RootDir, w.members), Mode: modeFile, Links: 1, Size: int64(len(w.buf))}
	if head, err = h.Append(head); err != nil {
		return err
	}
	w.members++
	if _, err := w.w.Write(head); err != nil {
		return err
	}
	padded := append(w.buf, make([]byte, -len(w.buf)&(align-1))...)
	_, err = w.w.Write(padded)
	w.buf = w.buf[:0]
	return err
}
