package unxz

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/crc64"
)

var (
	// ErrUnsupported is a file that another decoder may read: of several streams,
	// with another filter, or with another checksum.
	ErrUnsupported = errors.New("xz file of a kind that is not known here")

	errCorrupt = errors.New("corrupt xz file")
	errTooLong = errors.New("xz file with more content than its reader takes")
)

const (
	headerMagic = "\xfd7zXZ\x00"
	footerMagic = "YZ"
	headerSize  = 12 // of a stream, and of its footer

	checkNone, checkCRC32, checkCRC64 = 0, 1, 4

	filterLZMA2 = 0x21
)

// block is a record of the index.
type block struct {
	unpadded int // bytes of its header, content and check
	plain    int // bytes of what it holds
}

// Decode returns what the file data holds: up to limit bytes, more is an error.
func Decode(data []byte, limit int) ([]byte, error) {
	blocks, check, err := readIndex(data)
	if err != nil {
		return nil, err
	}
	total := 0
	for _, b := range blocks {
		if total += b.plain; total > limit {
			return nil, fmt.Errorf("%w: %d bytes", errTooLong, limit)
		}
	}
	out := make([]byte, 0, total)
	d := &decoder{in: append(append(make([]byte, 0, len(data)+slack), data...), make([]byte, slack)...)}
	at := headerSize
	for _, b := range blocks {
		if out, err = d.block(out, b, at, check); err != nil {
			return nil, err
		}
		at += (b.unpadded + 3) &^ 3
	}
	return out, nil
}

// readIndex reads the ends of the file: the headers of the only stream and its
// index (sections 2.1 and 4 of the specification).
func readIndex(data []byte) ([]block, byte, error) {
	n := len(data)
	if n < 2*headerSize+8 || n%4 != 0 || string(data[:6]) != headerMagic || string(data[n-2:]) != footerMagic {
		return nil, 0, ErrUnsupported
	}
	header, footer := data[6:headerSize], data[n-headerSize:]
	if crc32.ChecksumIEEE(header[:2]) != binary.LittleEndian.Uint32(header[2:]) ||
		crc32.ChecksumIEEE(footer[4:10]) != binary.LittleEndian.Uint32(footer) ||
		header[0] != footer[8] || header[1] != footer[9] {
		return nil, 0, errCorrupt
	}
	check := header[1]
	if header[0] != 0 || check != checkNone && check != checkCRC32 && check != checkCRC64 {
		return nil, 0, ErrUnsupported
	}
	size := 4 * (int(binary.LittleEndian.Uint32(footer[4:])) + 1)
	start := n - headerSize - size
	if start < headerSize {
		return nil, 0, errCorrupt
	}
	index := data[start : n-headerSize]
	if index[0] != 0 || crc32.ChecksumIEEE(index[:size-4]) != binary.LittleEndian.Uint32(index[size-4:]) {
		return nil, 0, errCorrupt
	}
	blocks, err := records(index[1:size-4], start-headerSize)
	return blocks, check, err
}

// records reads the index's records, whose blocks fill room bytes unless there is
// another stream.
func records(index []byte, room int) ([]block, error) {
	count, n := binary.Uvarint(index)
	if n <= 0 || count > uint64(len(index)) {
		return nil, errCorrupt
	}
	index = index[n:]
	blocks := make([]block, 0, count)
	for range count {
		unpadded, n := binary.Uvarint(index)
		plain, m := binary.Uvarint(index[max(n, 0):])
		if n <= 0 || m <= 0 || unpadded == 0 || unpadded > uint64(room) || plain > 1<<40 {
			return nil, errCorrupt
		}
		index = index[n+m:]
		blocks = append(blocks, block{int(unpadded), int(plain)}) //nolint:gosec // checked
		room -= int(unpadded+3) &^ 3                              //nolint:gosec // checked
	}
	if room != 0 {
		return nil, ErrUnsupported
	}
	return blocks, nil
}

// block appends what one block holds; it starts at data[at].
func (d *decoder) block(out []byte, b block, at int, check byte) ([]byte, error) {
	header := 4 * (int(d.in[at]) + 1)
	sizes := [...]int{checkNone: 0, checkCRC32: 4, checkCRC64: 8}
	end := at + b.unpadded - sizes[check] // of the content
	if end-at < header || header < 8 {
		return nil, errCorrupt
	}
	h := d.in[at : at+header]
	if crc32.ChecksumIEEE(h[:header-4]) != binary.LittleEndian.Uint32(h[header-4:]) {
		return nil, errCorrupt
	}
	if err := checkFilter(h[1 : header-4]); err != nil {
		return nil, err
	}
	start := len(out)
	out, err := d.lzma2(out[:start+b.plain], start, at+header, end)
	if err != nil {
		return nil, err
	}
	for ; end&3 != 0; end++ {
		if d.in[end] != 0 {
			return nil, errCorrupt // padding
		}
	}
	sum, want := out[start:], d.in[end:]
	if check == checkCRC32 && crc32.ChecksumIEEE(sum) != binary.LittleEndian.Uint32(want) ||
		check == checkCRC64 && crc64.Checksum(sum, crc64.MakeTable(crc64.ECMA)) != binary.LittleEndian.Uint64(want) {
		return nil, fmt.Errorf("%w: its checksum does not match", errCorrupt)
	}
	return out, nil
}

// checkFilter reads the block's flags, sizes and filters (section 3.1).
func checkFilter(h []byte) error {
	flags := h[0]
	if flags&^0xc0 != 0 {
		return ErrUnsupported // more than one filter, or what a later version may say
	}
	h = h[1:]
	for _, has := range []byte{0x40, 0x80} {
		if flags&has == 0 {
			continue
		}
		_, n := binary.Uvarint(h)
		if n <= 0 {
			return errCorrupt
		}
		h = h[n:]
	}
	if len(h) < 3 || h[0] != filterLZMA2 || h[1] != 1 {
		return ErrUnsupported
	}
	return nil
}
