package extract

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

const (
	newcHeader  = 110
	newcAlign   = 4
	pathMax     = 4096 // PATH_MAX, with the NUL
	trailerName = "TRAILER!!!"
)

// The fields behind the magic, of eight digits each (cpio(5), "New ASCII Format").
const (
	fieldIno = iota
	fieldMode
	fieldUID
	fieldGID
	fieldLinks
	fieldTime
	fieldSize
	fieldDevMajor
	fieldDevMinor
	fieldMajor
	fieldMinor
	fieldNameSize
	fieldSum
	fields
)

type newcFields [fields]uint32

// newc reads a cpio archive of the formats "newc" and "crc", as strictly as the
// kernel does (init/initramfs.c), from the start of any entry on.
type newc struct {
	s     *source
	e     entry
	left  int64  // of the content
	pad   int64  // behind it
	sum   uint32 // of the content so far
	want  uint32 // of all of it, where summed
	check bool   // the format is "crc"
	ended bool   // the trailer was read
}

// next returns the next entry, which is valid until the next call, and io.EOF at
// the archive's end, or where the source ends between two entries.
func (r *newc) next() (*entry, error) {
	if err := r.s.skip(r.left + r.pad); err != nil {
		return nil, err
	}
	r.left, r.pad = 0, 0
	head, err := r.header()
	if err != nil {
		return nil, err
	}
	f, err := parseNewc(head)
	if err != nil {
		return nil, err
	}
	r.check = head[5] == '2'
	return r.entry(&f)
}

// header passes over the zeros that may stand between entries.
func (r *newc) header() ([]byte, error) {
	for len(r.s.buf) >= newcHeader && r.s.buf[0] != 0 {
		return r.s.take(newcHeader)
	}
	for {
		start, err := r.s.take(newcAlign)
		if err != nil {
			return nil, err
		}
		if allZero(start) {
			continue
		}
		head := append(make([]byte, 0, newcHeader), start...)
		rest, err := r.s.take(newcHeader - newcAlign)
		return append(head, rest...), midway(err)
	}
}

// parseNewc reads the fields of a header.
func parseNewc(head []byte) (f newcFields, err error) {
	switch string(head[:6]) {
	case "070701", "070702":
	case "070707":
		return f, errors.New("a cpio archive in an old format: the kernel reads what \"cpio --format=newc\" writes")
	default:
		return f, fmt.Errorf("no cpio header where one must be: %q", head[:6])
	}
	for i := range f {
		for _, c := range head[6+8*i:][:8] {
			v, ok := digit(c)
			if !ok {
				return f, fmt.Errorf("a cpio header has %q where a hexadecimal number must be", head[6+8*i:][:8])
			}
			f[i] = f[i]<<4 | uint32(v)
		}
	}
	return f, nil
}

func digit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// padding is what follows n bytes up to a multiple of four.
func padding(n int64) int64 { return -n & (newcAlign - 1) }

func (r *newc) entry(f *newcFields) (*entry, error) {
	name, err := r.name(int64(f[fieldNameSize]))
	if err != nil {
		return nil, err
	}
	if name == trailerName {
		r.ended = true
		if err := r.s.skip(int64(f[fieldSize]) + padding(int64(f[fieldSize]))); err != nil {
			return nil, err
		}
		if err := r.s.onlyZeros(); err != nil {
			return nil, err
		}
		return nil, io.EOF
	}
	r.left, r.pad = int64(f[fieldSize]), padding(int64(f[fieldSize]))
	r.sum, r.want = 0, f[fieldSum]
	e := entry{
		mode: f[fieldMode], uid: int(f[fieldUID]), gid: int(f[fieldGID]), major: f[fieldMajor], minor: f[fieldMinor],
		mtime: unix.Timespec{Sec: int64(f[fieldTime])},
	}
	if f[fieldLinks] > 1 && e.kind() != unix.S_IFDIR {
		e.linked, e.group = true, linkID{f[fieldIno], f[fieldDevMajor], f[fieldDevMinor], e.kind()}
	}
	if e.name, err = clean(name); err != nil {
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	switch e.kind() {
	case unix.S_IFREG:
		e.size = r.left
	case unix.S_IFLNK:
		if e.target, err = r.target(); err != nil {
			return nil, fmt.Errorf("/%s: %w", name, err)
		}
	}
	r.e = e
	return &r.e, nil
}

// name reads the name with its padding. More than one NUL may end it: that aligns
// the content (init/initramfs_test.c).
func (r *newc) name(size int64) (string, error) {
	if size < 2 || size > pathMax {
		return "", fmt.Errorf("a cpio entry has a name of %d bytes", size-1)
	}
	b, err := r.s.take(int(size + padding(newcHeader+size)))
	if err != nil {
		return "", midway(err)
	}
	name, _, ok := bytes.Cut(b[:size], []byte{0})
	if !ok || len(name) == 0 {
		return "", fmt.Errorf("the name %.50q of a cpio entry has no end", b[:size])
	}
	return string(name), nil
}

func (r *newc) target() (string, error) {
	if r.left == 0 || r.left >= pathMax {
		return "", fmt.Errorf("a symlink with a target of %d bytes", r.left)
	}
	b, err := r.next4(int(r.left))
	if err != nil {
		return "", err
	}
	target, _, _ := bytes.Cut(b, []byte{0})
	if len(target) == 0 {
		return "", errors.New("a symlink without a target")
	}
	return string(target), nil
}

// next4 takes n bytes of the content at once.
func (r *newc) next4(n int) ([]byte, error) {
	b, err := r.s.take(n)
	if err != nil {
		return nil, midway(err)
	}
	r.left -= int64(n)
	return b, nil
}

func (r *newc) body() content { return newcBody{r} }

func (r *newc) complete() bool { return r.ended }

// newcBody is the content of the entry that was read last.
type newcBody struct{ r *newc }

func (b newcBody) next() ([]byte, error) {
	r := b.r
	if r.left == 0 {
		if r.check && r.sum != r.want {
			return nil, fmt.Errorf("the sum of its bytes is %#x and should be %#x", r.sum, r.want)
		}
		return nil, nil
	}
	piece, err := r.s.piece(r.left)
	if err != nil {
		return nil, midway(err)
	}
	r.left -= int64(len(piece))
	if r.check {
		for _, c := range piece {
			r.sum += uint32(c)
		}
	}
	return piece, nil
}

// aligned says whether b is whole entries.
func aligned(b []byte) bool {
	for {
		for len(b) >= newcAlign && allZero(b[:newcAlign]) {
			b = b[newcAlign:]
		}
		if len(b) < newcHeader {
			return allZero(b)
		}
		f, err := parseNewc(b)
		if err != nil {
			return false
		}
		name, size := int64(f[fieldNameSize]), int64(f[fieldSize])
		end := newcHeader + name + padding(newcHeader+name)
		if end > int64(len(b)) {
			return false
		}
		if bytes.HasPrefix(b[newcHeader:end], []byte(trailerName+"\x00")) {
			return true // what follows is not another archive's business
		}
		if end += size + padding(size); end > int64(len(b)) {
			return false
		}
		b = b[end:]
	}
}

var _ archiveReader = &newc{}
