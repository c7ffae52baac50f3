package pkgdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The format of Packages, a hash database of Berkeley DB (libdb's
// src/dbinc/db_page.h), in the byte order of the machine that made it.
const (
	bdbHashMagic = 0x061561

	bdbPageHeader = 26 // bytes
	bdbMinPage    = 512
	bdbMaxPage    = 64 << 10

	bdbUnsortedHash = 2 // page types
	bdbOverflow     = 7
	bdbMeta         = 8
	bdbHash         = 13

	bdbInline  = 1 // types of an item on a page: the value itself
	bdbOffPage = 3 // or the page where it starts
	bdbOffSize = 12
)

var errBDB = errors.New("damaged Berkeley DB database")

// bdb is a hash database while it is read.
type bdb struct {
	r     io.ReaderAt
	order binary.ByteOrder
	page  int64 // bytes
	last  uint32
}

// readBDB calls do with each header of a database of size bytes.
func readBDB(r io.ReaderAt, size int64, do func(blob []byte) error) error {
	d, err := openBDB(r, size)
	if err != nil {
		return err
	}
	page := make([]byte, d.page)
	for number := range d.last + 1 {
		if err := d.read(page, number); err != nil {
			return err
		}
		if kind := page[25]; kind != bdbHash && kind != bdbUnsortedHash {
			continue
		}
		if err := d.items(page, number, do); err != nil {
			return err
		}
	}
	return nil
}

func openBDB(r io.ReaderAt, size int64) (*bdb, error) {
	var head [72]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return nil, fmt.Errorf("%w: its header: %w", errBDB, err)
	}
	d := &bdb{r: r, order: binary.LittleEndian}
	if d.order.Uint32(head[12:]) != bdbHashMagic {
		d.order = binary.BigEndian
	}
	d.page, d.last = int64(d.order.Uint32(head[20:])), d.order.Uint32(head[32:])
	switch {
	case d.order.Uint32(head[12:]) != bdbHashMagic || head[25] != bdbMeta:
		return nil, fmt.Errorf("%w: it is no hash", errBDB)
	case d.page < bdbMinPage || d.page > bdbMaxPage || d.page&(d.page-1) != 0:
		return nil, fmt.Errorf("%w: pages of %d bytes", errBDB, d.page)
	case (int64(d.last)+1)*d.page > size:
		return nil, fmt.Errorf("%w: %d bytes hold no page %d", errBDB, size, d.last)
	}
	return d, nil
}

func (d *bdb) read(page []byte, number uint32) error {
	if number > d.last {
		return fmt.Errorf("%w: there is no page %d", errBDB, number)
	}
	if _, err := d.r.ReadAt(page, int64(number)*d.page); err != nil {
		return fmt.Errorf("%w: page %d: %w", errBDB, number, err)
	}
	return nil
}

// items calls do with the values of a page, whose items are keys and values by
// turns. Offsets stand at its start, items fill it from its end.
func (d *bdb) items(page []byte, number uint32, do func(blob []byte) error) error {
	bad := fmt.Errorf("%w: the items of page %d", errBDB, number)
	n := int(d.order.Uint16(page[20:]))
	if n%2 != 0 || bdbPageHeader+2*n > len(page) {
		return bad
	}
	at := func(i int) int { return int(d.order.Uint16(page[bdbPageHeader+2*i:])) }
	for i := 1; i < n; i += 2 {
		start, end := at(i), at(i-1)
		if start < bdbPageHeader || start >= end || end > len(page) {
			return bad
		}
		item := page[start:end]
		var blob []byte
		switch item[0] {
		case bdbInline:
			blob = item[1:]
			if len(blob) == 4 { // rpm's own counter, whose key is 0
				continue
			}
		case bdbOffPage:
			if len(item) < bdbOffSize {
				return bad
			}
			var err error
			if blob, err = d.value(d.order.Uint32(item[4:]), int64(d.order.Uint32(item[8:]))); err != nil {
				return err
			}
		default:
			return bad
		}
		if err := do(blob); err != nil {
			return err
		}
	}
	return nil
}

// value joins a value of size bytes from the pages that lead from one to the next.
func (d *bdb) value(number uint32, size int64) ([]byte, error) {
	if size > (int64(d.last)+1)*d.page {
		return nil, fmt.Errorf("%w: a value of %d bytes", errBDB, size)
	}
	blob := make([]byte, 0, size)
	page := make([]byte, d.page)
	for int64(len(blob)) < size {
		if err := d.read(page, number); err != nil {
			return nil, err
		}
		length := int(d.order.Uint16(page[22:]))
		if page[25] != bdbOverflow || length == 0 || bdbPageHeader+length > len(page) {
			return nil, fmt.Errorf("%w: page %d holds no part of a value", errBDB, number)
		}
		blob = append(blob, page[bdbPageHeader:bdbPageHeader+length]...)
		number = d.order.Uint32(page[16:])
	}
	if int64(len(blob)) > size {
		return nil, fmt.Errorf("%w: a value of more than %d bytes", errBDB, size)
	}
	return blob, nil
}
