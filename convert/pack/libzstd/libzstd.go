package libzstd

/*
#include <stddef.h>

// What zstd.h declares. These references are weak so that this package can be
// linked by itself, as cgo does to look at it; New makes sure that the program
// has the functions.
#pragma weak ZSTD_createCCtx
#pragma weak ZSTD_freeCCtx
#pragma weak ZSTD_CCtx_setParameter
#pragma weak ZSTD_compress2
#pragma weak ZSTD_compressBound
#pragma weak ZSTD_isError
#pragma weak ZSTD_getErrorName

typedef struct ZSTD_CCtx_s ZSTD_CCtx;
extern ZSTD_CCtx *ZSTD_createCCtx(void);
extern size_t ZSTD_freeCCtx(ZSTD_CCtx *);
extern size_t ZSTD_CCtx_setParameter(ZSTD_CCtx *, int parameter, int value);
extern size_t ZSTD_compress2(ZSTD_CCtx *, void *dst, size_t dstCapacity, const void *src, size_t srcSize);
extern size_t ZSTD_compressBound(size_t);
extern unsigned ZSTD_isError(size_t);
extern const char *ZSTD_getErrorName(size_t);

static int is_linked(void) {
	return ZSTD_createCCtx && ZSTD_freeCCtx && ZSTD_CCtx_setParameter && ZSTD_compress2 &&
		ZSTD_compressBound && ZSTD_isError && ZSTD_getErrorName;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"

	_ "github.com/DataDog/zstd" // libzstd
)

// Parameter is a setting of a compression and its value.
type Parameter struct {
	id    C.int
	value int
}

// The parameters, which zstd.h describes. Of those that are not given, the level
// decides, and of that the size of what is compressed.
func Level(n int) Parameter    { return Parameter{100, n} } // ZSTD_c_compressionLevel
func HashLog(n int) Parameter  { return Parameter{102, n} } // ZSTD_c_hashLog
func ChainLog(n int) Parameter { return Parameter{103, n} } // ZSTD_c_chainLog

// BlockSplitter is how hard it is tried to cut blocks where the data changes: 1
// not at all, up to 6.
func BlockSplitter(n int) Parameter { return Parameter{1017, n} } // ZSTD_c_blockSplitterLevel

// Encoder makes frames. One goroutine uses it at a time.
type Encoder struct {
	ctx *C.ZSTD_CCtx
}

// New returns an encoder with the parameters. Close gives its memory back, which
// the garbage collector does not know of.
func New(parameters ...Parameter) (*Encoder, error) {
	if C.is_linked() == 0 {
		return nil, errors.New("this program is linked without libzstd")
	}
	e := &Encoder{C.ZSTD_createCCtx()}
	if e.ctx == nil {
		return nil, errors.New("no memory for libzstd")
	}
	for _, p := range parameters {
		if _, err := check(C.ZSTD_CCtx_setParameter(e.ctx, p.id, C.int(p.value))); err != nil {
			e.Close()
			return nil, fmt.Errorf("parameter %d of libzstd set to %d: %w", p.id, p.value, err)
		}
	}
	return e, nil
}

// Encode appends plain as one frame to dst.
func (e *Encoder) Encode(dst, plain []byte) ([]byte, error) {
	dst = slices.Grow(dst, int(C.ZSTD_compressBound(C.size_t(len(plain)))))
	room := dst[len(dst):cap(dst)]
	n, err := check(C.ZSTD_compress2(e.ctx, unsafe.Pointer(unsafe.SliceData(room)), C.size_t(len(room)),
		unsafe.Pointer(unsafe.SliceData(plain)), C.size_t(len(plain))))
	if err != nil {
		return nil, err
	}
	return dst[:len(dst)+n], nil
}

// Close gives the encoder's memory back.
func (e *Encoder) Close() {
	C.ZSTD_freeCCtx(e.ctx)
	e.ctx = nil
}

// check tells the two meanings of what libzstd returns from each other.
func check(n C.size_t) (int, error) {
	if C.ZSTD_isError(n) != 0 {
		return 0, errors.New(C.GoString(C.ZSTD_getErrorName(n)))
	}
	return int(n), nil
}
