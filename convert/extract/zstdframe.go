package extract

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// The format of a zstd file, RFC 8878 section 3.1.
const (
	frameMagic    = 0xfd2fb528
	skipMagic     = 0x184d2a50 // and the fifteen that follow
	skipMask      = 0xfffffff0
	blockMax      = 128 << 10
	blockRLE      = 1
	blockReserved = 3
)

// frames walks the frames of a zstd file, which says how long each block is, so
// that nothing need be decompressed to find the next frame.
type frames struct {
	r      *bufio.Reader
	offset int64 // of the byte to be read next
	head   [18]byte
}

// frame is a frame whose header was read.
type frame struct {
	offset   int64
	head     []byte // valid until the next frame
	unpacked int64  // -1: it does not say
	checksum bool
}

// next reads the header of the next frame that has data, and returns io.EOF
// behind the last one.
func (f *frames) next() (frame, error) {
	for {
		fr := frame{offset: f.offset}
		err := f.read(f.head[:4])
		if errors.Is(err, io.EOF) {
			return fr, io.EOF
		}
		if err != nil {
			return fr, f.wrong(fr.offset, err)
		}
		switch magic := binary.LittleEndian.Uint32(f.head[:]); {
		case magic == frameMagic:
			err = f.header(&fr)
		case magic&skipMask == skipMagic:
			if err = f.skip(); err == nil {
				continue
			}
		case magic == 0:
			return fr, f.wrong(fr.offset, f.zeros())
		default:
			err = fmt.Errorf("no zstd frame starts with %q", f.head[:4])
		}
		return fr, f.wrong(fr.offset, err)
	}
}

func (f *frames) wrong(offset int64, err error) error {
	if err == nil || err == io.EOF { //nolint:errorlint // our own
		return err
	}
	return fmt.Errorf("frame at offset %d: %w", offset, err)
}

// read fills p. The error is io.EOF where there is nothing.
func (f *frames) read(p []byte) error {
	n, err := io.ReadFull(f.r, p)
	f.offset += int64(n)
	return err
}

func (f *frames) skip() error {
	if err := f.read(f.head[:4]); err != nil {
		return midway(err)
	}
	n, err := io.CopyN(io.Discard, f.r, int64(binary.LittleEndian.Uint32(f.head[:])))
	f.offset += n
	return midway(err)
}

// zeros reads the padding behind the last frame.
func (f *frames) zeros() error {
	buf := make([]byte, 4<<10)
	for {
		n, err := f.r.Read(buf)
		if !allZero(buf[:n]) {
			return errTrailing
		}
		if err != nil {
			return err
		}
	}
}

// header reads what follows the magic (section 3.1.1.1).
func (f *frames) header(fr *frame) error {
	if err := f.read(f.head[4:5]); err != nil {
		return midway(err)
	}
	d := f.head[4]
	if d&8 != 0 {
		return fmt.Errorf("its header %#x has a reserved bit set", d)
	}
	single := d&0x20 != 0
	window := 1
	if single {
		window = 0
	}
	dict := [4]int{0, 1, 2, 4}[d&3]
	size := [4]int{0, 2, 4, 8}[d>>6]
	if size == 0 && single {
		size = 1
	}
	end := 5 + window + dict + size
	if err := f.read(f.head[5:end]); err != nil {
		return midway(err)
	}
	fr.head, fr.checksum, fr.unpacked = f.head[:end], d&4 != 0, -1
	b := f.head[end-size : end]
	var n uint64
	switch size {
	case 0:
		return nil
	case 1:
		n = uint64(b[0])
	case 2:
		n = uint64(binary.LittleEndian.Uint16(b)) + 256
	case 4:
		n = uint64(binary.LittleEndian.Uint32(b))
	case 8:
		n = binary.LittleEndian.Uint64(b)
	}
	if n > math.MaxInt64 {
		return fmt.Errorf("it says that it unpacks to %d bytes", n)
	}
	fr.unpacked = int64(n)
	return nil
}

// copy gives the whole frame to w, some bytes at a time.
func (f *frames) copy(fr *frame, w io.Writer) error {
	if _, err := w.Write(fr.head); err != nil {
		return err
	}
	for last := false; !last; {
		var b [3]byte
		if err := f.read(b[:]); err != nil {
			return f.wrong(fr.offset, midway(err))
		}
		if _, err := w.Write(b[:]); err != nil {
			return err
		}
		h := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
		last = h&1 != 0
		n, err := blockLength(h)
		if err == nil {
			err = f.move(w, n)
		}
		if err != nil {
			return f.wrong(fr.offset, err)
		}
	}
	if fr.checksum {
		return f.wrong(fr.offset, f.move(w, 4))
	}
	return nil
}

// blockLength is how many bytes follow a block's header (section 3.1.1.2).
func blockLength(h uint32) (int64, error) {
	size := int64(h >> 3)
	switch kind := h >> 1 & 3; {
	case kind == blockReserved:
		return 0, errors.New("a block of a reserved type")
	case size > blockMax:
		return 0, fmt.Errorf("a block of %d bytes", size)
	case kind == blockRLE:
		return 1, nil
	default:
		return size, nil
	}
}

func (f *frames) move(w io.Writer, n int64) error {
	n, err := io.CopyN(w, f.r, n)
	f.offset += n
	return midway(err)
}
