package libzstd

import (
	"encoding/binary"
	"errors"
)

// contentSize is whether a frame says how long its content is.
func contentSize(say bool) Parameter {
	if say {
		return Parameter{200, 1} // ZSTD_c_contentSizeFlag
	}
	return Parameter{200, 0}
}

var errPiece = errors.New("a piece of a frame is not as libzstd writes it")

// EncodePiece appends to dst a piece of a frame of whole bytes, which begins at
// from. Pieces are made apart, by any number of encoders of [NewFast]; behind each
// other they are one frame. Its first piece must not be smaller than the others,
// whose window it declares.
//
// That is allowed because no piece builds on what was before it: no match leads
// there, the first block has its own entropy tables, as that of every frame, and
// the finder begins each block without the offsets before (RFC 8878, section 3.1.1).
func (e *Encoder) EncodePiece(dst, plain []byte, from, whole int64) ([]byte, error) {
	if e.finder == nil {
		return nil, errors.New("only encoders of NewFast make pieces")
	}
	if err := e.set(contentSize(false)); err != nil {
		return nil, err
	}
	made, err := e.Encode(dst, plain)
	if err := errors.Join(err, e.set(contentSize(true))); err != nil {
		return nil, err
	}
	frame, err := piece(made[len(dst):], from == 0, from+int64(len(plain)) == whole)
	if err != nil {
		return nil, err
	}
	if from == 0 {
		return append(made[:len(dst)], declare(frame, whole)...), nil
	}
	return made[:len(dst)+len(frame)], nil // where it lies already
}

// What a frame without dictionary, checksum and content size consists of (RFC
// 8878, sections 3.1.1 and 3.1.1.2): a magic number, an empty descriptor and the
// window's size, and then blocks, each of which has a header.
const (
	magic        = 0xFD2FB528
	headerSize   = 6
	blockHeader  = 3
	lastBlock    = 1 // bits of a block's header
	blockType    = 3 << 1
	blockRLE     = 1 << 1
	blockUnknown = 3 << 1
	sizeShift    = 3
)

// declare writes into the header of a frame how long its content is.
func declare(frame []byte, size int64) []byte {
	const sizeOf8Bytes = 3 << 6 // in the descriptor
	blocks := len(frame) - headerSize
	frame = append(frame, make([]byte, 8)...)
	copy(frame[headerSize+8:], frame[headerSize:][:blocks])
	frame[4] = sizeOf8Bytes
	binary.LittleEndian.PutUint64(frame[headerSize:], uint64(size)) //nolint:gosec // a size is not negative
	return frame
}

// piece makes a piece of a whole frame, in its place.
func piece(frame []byte, first, last bool) ([]byte, error) {
	if len(frame) < headerSize || binary.LittleEndian.Uint32(frame) != magic || frame[4] != 0 {
		return nil, errPiece
	}
	for at := headerSize; ; {
		if len(frame)-at < blockHeader {
			return nil, errPiece
		}
		header := int(frame[at]) | int(frame[at+1])<<8 | int(frame[at+2])<<16
		size := header >> sizeShift
		switch header & blockType {
		case blockRLE:
			size = 1
		case blockUnknown:
			return nil, errPiece
		}
		end := at + blockHeader + size
		if header&lastBlock == 0 {
			at = end
			continue
		}
		if end != len(frame) {
			return nil, errPiece
		}
		if !last {
			frame[at] &^= lastBlock
		}
		if !first {
			frame = frame[:copy(frame, frame[headerSize:])]
		}
		return frame, nil
	}
}
