package pkgdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The format of Packages.db (rpm's lib/backend/ndb/rpmpkg.c), all in
// little-endian order: a header, pages of slots, and blobs that slots lead to.
const (
	ndbHeaderMagic = 'R' | 'p'<<8 | 'm'<<16 | 'P'<<24
	ndbSlotMagic   = 'S' | 'l'<<8 | 'o'<<16 | 't'<<24
	ndbBlobMagic   = 'B' | 'l'<<8 | 'b'<<16 | 'S'<<24

	ndbVersion    = 0
	ndbPage       = 4096
	ndbSlot       = 16
	ndbHeaderSize = 2 * ndbSlot // it stands where the first page's first slots would
	ndbBlock      = 16
	ndbBlobHeader = 16
)

var errNDB = errors.New("damaged ndb database")

// readNDB calls do with each header of a database of size bytes.
func readNDB(r io.ReaderAt, size int64, do func(blob []byte) error) error {
	var head [ndbHeaderSize]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return fmt.Errorf("%w: its header: %w", errNDB, err)
	}
	word := func(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }
	if word(head[:], 0) != ndbHeaderMagic || word(head[:], 1) != ndbVersion {
		return fmt.Errorf("%w: unknown magic number or version", errNDB)
	}
	pages := int64(word(head[:], 3))
	if pages*ndbPage > size {
		return fmt.Errorf("%w: %d pages of slots in %d bytes", errNDB, pages, size)
	}
	page := make([]byte, ndbPage)
	for at := range pages {
		if _, err := r.ReadAt(page, at*ndbPage); err != nil {
			return fmt.Errorf("%w: page %d: %w", errNDB, at, err)
		}
		slots := page
		if at == 0 {
			slots = page[ndbHeaderSize:]
		}
		for ; len(slots) > 0; slots = slots[ndbSlot:] {
			number := word(slots, 1)
			if word(slots, 0) != ndbSlotMagic {
				return fmt.Errorf("%w: page %d holds no slot", errNDB, at)
			}
			if number == 0 { // free
				continue
			}
			blob, err := readNDBBlob(r, size, number, int64(word(slots, 2))*ndbBlock)
			if err != nil {
				return err
			}
			if err := do(blob); err != nil {
				return err
			}
		}
	}
	return nil
}

func readNDBBlob(r io.ReaderAt, size int64, number uint32, off int64) ([]byte, error) {
	var head [ndbBlobHeader]byte
	if _, err := r.ReadAt(head[:], off); err != nil {
		return nil, fmt.Errorf("%w: package %d: %w", errNDB, number, err)
	}
	length := int64(binary.LittleEndian.Uint32(head[12:]))
	if binary.LittleEndian.Uint32(head[:]) != ndbBlobMagic || binary.LittleEndian.Uint32(head[4:]) != number || length > size-off-ndbBlobHeader {
		return nil, fmt.Errorf("%w: package %d is not where its slot says", errNDB, number)
	}
	blob := make([]byte, length)
	if _, err := r.ReadAt(blob, off+ndbBlobHeader); err != nil {
		return nil, fmt.Errorf("%w: package %d: %w", errNDB, number, err)
	}
	return blob, nil
}
