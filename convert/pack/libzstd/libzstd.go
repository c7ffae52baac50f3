package libzstd

/*
#cgo CFLAGS: -O3
#include <stddef.h>

#include "finder.h"

// What zstd.h declares. These references are weak so that this package can be
// linked by itself, as cgo does to look at it; New makes sure that the program
// has the functions.
#pragma weak ZSTD_createCCtx
#pragma weak ZSTD_freeCCtx
#pragma weak ZSTD_CCtx_setParameter
#pragma weak ZSTD_compress2
#pragma weak ZSTD_compressBound
#pragma weak ZSTD_compressStream2
#pragma weak ZSTD_CCtx_reset
#pragma weak ZSTD_isError
#pragma weak ZSTD_getErrorName
#pragma weak ZSTD_registerSequenceProducer

extern ZSTD_CCtx *ZSTD_createCCtx(void);
extern size_t ZSTD_freeCCtx(ZSTD_CCtx *);
extern size_t ZSTD_CCtx_setParameter(ZSTD_CCtx *, int parameter, int value);
extern size_t ZSTD_compress2(ZSTD_CCtx *, void *dst, size_t dstCapacity, const void *src, size_t srcSize);
extern size_t ZSTD_compressBound(size_t);
typedef struct { const void *src; size_t size; size_t pos; } ZSTD_inBuffer;
typedef struct { void *dst; size_t size; size_t pos; } ZSTD_outBuffer;
extern size_t ZSTD_compressStream2(ZSTD_CCtx *, ZSTD_outBuffer *, ZSTD_inBuffer *, int operation);
extern size_t ZSTD_CCtx_reset(ZSTD_CCtx *, int what);
extern unsigned ZSTD_isError(size_t);
extern const char *ZSTD_getErrorName(size_t);
extern void ZSTD_registerSequenceProducer(void);

static int is_linked(void) {
	return ZSTD_createCCtx && ZSTD_freeCCtx && ZSTD_CCtx_setParameter && ZSTD_compress2 &&
		ZSTD_compressBound && ZSTD_compressStream2 && ZSTD_CCtx_reset && ZSTD_isError && ZSTD_getErrorName && ZSTD_registerSequenceProducer;
}

// What one call takes and gives; result is what libzstd returns.
typedef struct { size_t result, taken, made; } step;

// compress_stream keeps the pointers to Go's memory out of Go's structures.
static step compress_stream(ZSTD_CCtx *c, void *dst, size_t room, const void *src, size_t size, int operation) {
	ZSTD_inBuffer in = { src, size, 0 };
	ZSTD_outBuffer out = { dst, room, 0 };
	size_t result = ZSTD_compressStream2(c, &out, &in, operation);
	step s = { result, in.pos, out.pos };
	return s;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"unsafe"

	_ "github.com/DataDog/zstd" // libzstd
)

// Parameter is a setting of a compression and its value.
type Parameter struct {
	id    C.int
	value int
}

// Level is the compression level. With the size of what is compressed it decides
// on all parameters that are not given.
func Level(n int) Parameter { return Parameter{100, n} } // ZSTD_c_compressionLevel

// HashLog is the size of the table of positions, as a power of two; of the long
// one where there are two.
func HashLog(n int) Parameter { return Parameter{102, n} } // ZSTD_c_hashLog

// ChainLog is the size of the second table, as a power of two.
func ChainLog(n int) Parameter { return Parameter{103, n} } // ZSTD_c_chainLog

// WindowLog is how far back a match may be, as a power of two: as much memory is
// needed to unpack a frame that is longer.
func WindowLog(n int) Parameter { return Parameter{101, n} } // ZSTD_c_windowLog

// MinMatch is how short a match may be, from 3 to 7 bytes.
func MinMatch(n int) Parameter { return Parameter{105, n} } // ZSTD_c_minMatch

// BlockSplitter is how hard it is tried to cut blocks where the data changes: 1
// not at all, up to 6.
func BlockSplitter(n int) Parameter { return Parameter{1017, n} } // ZSTD_c_blockSplitterLevel

// Encoder makes frames. One goroutine uses it at a time.
type Encoder struct {
	ctx    *C.ZSTD_CCtx
	finder *C.finder // nil: libzstd finds the matches itself
}

// New returns an encoder with the parameters. Close gives its memory back, which
// the garbage collector does not know of.
func New(parameters ...Parameter) (*Encoder, error) {
	if C.is_linked() == 0 {
		return nil, errors.New("this program is linked without libzstd")
	}
	e := &Encoder{ctx: C.ZSTD_createCCtx()}
	if e.ctx == nil {
		return nil, errors.New("no memory for libzstd")
	}
	for _, p := range parameters {
		if err := e.set(p); err != nil {
			e.Close()
			return nil, err
		}
	}
	return e, nil
}

// NewFast returns an encoder of about level 3 whose matches are found by this
// package (finder.c): its frames are as small as libzstd's of that level, in half
// to three quarters of the time, the less the more others use the processor's
// caches. A search that takes the first match it sees makes up for it by looking
// twice as far back. It makes whole frames, by Encode, and pieces of them, by EncodePiece.
func NewFast() (*Encoder, error) {
	// libzstd's tables are not used, and it codes no block in another way because of
	// what the search was.
	e, err := New(Level(3), WindowLog(22), BlockSplitter(1), HashLog(6), ChainLog(6), MinMatch(4), noSearchForRepeats())
	if err != nil {
		return nil, err
	}
	if e.finder = C.finder_new(); e.finder == nil {
		e.Close()
		return nil, errors.New("no memory for libzstd")
	}
	return e, nil
}

// noSearchForRepeats has libzstd take offsets as they are given.
func noSearchForRepeats() Parameter { return Parameter{1016, 2} } // ZSTD_c_repcodeResolution, ZSTD_ps_disable

func (e *Encoder) set(p Parameter) error {
	if _, err := check(C.ZSTD_CCtx_setParameter(e.ctx, p.id, C.int(p.value))); err != nil {
		return fmt.Errorf("parameter %d of libzstd set to %d: %w", p.id, p.value, err)
	}
	return nil
}

// Encode appends plain as one frame to dst.
func (e *Encoder) Encode(dst, plain []byte) ([]byte, error) {
	dst = slices.Grow(dst, int(C.ZSTD_compressBound(C.size_t(len(plain)))))
	room := dst[len(dst):cap(dst)]
	to, from := unsafe.Pointer(unsafe.SliceData(room)), unsafe.Pointer(unsafe.SliceData(plain))
	var made C.size_t
	if e.finder != nil {
		made = C.finder_compress(e.finder, e.ctx, to, C.size_t(len(room)), from, C.size_t(len(plain)))
	} else {
		made = C.ZSTD_compress2(e.ctx, to, C.size_t(len(room)), from, C.size_t(len(plain)))
	}
	n, err := check(made)
	if err != nil {
		return nil, err
	}
	return dst[:len(dst)+n], nil
}

// Close gives the encoder's memory back, if there is one, once.
func (e *Encoder) Close() {
	if e == nil {
		return
	}
	C.ZSTD_freeCCtx(e.ctx)
	C.finder_free(e.finder)
	e.ctx, e.finder = nil, nil
}

// check tells the two meanings of what libzstd returns from each other.
func check(n C.size_t) (int, error) {
	if C.ZSTD_isError(n) != 0 {
		return 0, errors.New(C.GoString(C.ZSTD_getErrorName(n)))
	}
	return int(n), nil
}

// Stream returns a writer of one frame to w, made by so many threads, which change
// nothing in the result. The encoder is the stream's until it is closed.
func (e *Encoder) Stream(w io.Writer, threads int) (*Stream, error) {
	if err := e.set(workers(max(1, threads))); err != nil {
		return nil, err
	}
	return &Stream{e: e, w: w, buf: make([]byte, streamBuffer)}, nil
}

// streamBuffer is how many packed bytes a stream's writer gets at a time at most.
const streamBuffer = 256 << 10

func workers(n int) Parameter { return Parameter{400, n} } // ZSTD_c_nbWorkers

// Stream makes one frame of all that is written to it.
type Stream struct {
	e   *Encoder
	w   io.Writer
	buf []byte
	err error // the first there was: the frame cannot be ended any more
}

// Values of ZSTD_EndDirective and ZSTD_ResetDirective in zstd.h.
const (
	goOn         = 0 // ZSTD_e_continue
	end          = 2 // ZSTD_e_end
	resetSession = 1 // ZSTD_reset_session_only
)

// Write implements io.Writer.
func (s *Stream) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		taken, _, err := s.step(p[done:], goOn)
		if err != nil {
			return done, err
		}
		done += taken
	}
	return done, nil
}

// Close ends the frame, unless there was an error before, and gives the encoder
// back for other use.
func (s *Stream) Close() error {
	for left := 1; left > 0 && s.err == nil; {
		_, left, _ = s.step(nil, end)
	}
	if s.err != nil {
		s.drain()
	}
	C.ZSTD_CCtx_reset(s.e.ctx, resetSession)
	return errors.Join(s.err, s.e.set(workers(0)))
}

// drain lets libzstd end a frame that nobody wants. Else its threads would be at
// work yet when the next stream, with more of them, has other contexts made for all
// (ZSTDMT_resize in zstdmt_compress.c).
func (s *Stream) drain() {
	for left := 1; left > 0; {
		r := C.compress_stream(s.e.ctx, unsafe.Pointer(unsafe.SliceData(s.buf)), C.size_t(len(s.buf)), nil, 0, end)
		var err error
		if left, err = check(r.result); err != nil {
			return
		}
	}
}

// step gives libzstd some of p, and w what comes of it. What is left is 0 once
// the frame has ended.
func (s *Stream) step(p []byte, operation C.int) (taken, left int, err error) {
	if s.err != nil {
		return 0, 0, s.err
	}
	r := C.compress_stream(s.e.ctx, unsafe.Pointer(unsafe.SliceData(s.buf)), C.size_t(len(s.buf)),
		unsafe.Pointer(unsafe.SliceData(p)), C.size_t(len(p)), operation)
	if left, s.err = check(r.result); s.err == nil && r.made > 0 {
		_, s.err = s.w.Write(s.buf[:r.made])
	}
	return int(r.taken), left, s.err
}
