package pagebuf_test

import (
	"math"
	"os"
	"testing"
	"unsafe"

	"github.com/rootcast/rootcast/convert/pagebuf"
)

func TestBuffer(t *testing.T) {
	t.Parallel()
	const huge = 2 << 20
	page := os.Getpagesize()
	for _, size := range []int{64 * page, 64*page + 1, huge, huge + 1, 5*huge + 100} {
		testBuffer(t, size, page)
	}
}

// testBuffer: what lies behind a buffer is nobody's, so that each size is tried.
func testBuffer(t *testing.T, size, page int) {
	t.Helper()
	b, err := pagebuf.New(size)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Free()
	if at := uintptr(unsafe.Pointer(unsafe.SliceData(b))); len(b) != size || at%uintptr(page) != 0 {
		t.Errorf("%d bytes at %x", len(b), at)
	}
	for i := range b {
		if b[i] != 0 {
			t.Fatalf("byte %d is %d before anybody wrote it", i, b[i])
		}
		b[i] = 7
	}
	b.Release(16 * page)
	if b[16*page-1] != 7 || b[16*page] != 0 || b[size-1] != 0 {
		t.Error("the wrong part was given back")
	}
}

func TestNoBuffer(t *testing.T) {
	t.Parallel()
	if b, err := pagebuf.New(math.MaxInt / 2); err == nil {
		b.Free()
		t.Error("there is a buffer of more bytes than addresses")
	}
	pagebuf.Buffer(nil).Free()
}
