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
	page := os.Getpagesize()
	b, err := pagebuf.New(64 * page)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Free()
	if at := uintptr(unsafe.Pointer(unsafe.SliceData(b))); len(b) != 64*page || at%uintptr(page) != 0 {
		t.Errorf("%d bytes at %x", len(b), at)
	}
	for i := range b {
		if b[i] != 0 {
			t.Fatalf("byte %d is %d before anybody wrote it", i, b[i])
		}
		b[i] = 7
	}
	b.Release(16 * page)
	if b[16*page-1] != 7 || b[16*page] != 0 || b[64*page-1] != 0 {
		t.Error("the wrong part was given back")
	}
}

func TestNoBuffer(t *testing.T) {
	t.Parallel()
	if b, err := pagebuf.New(math.MaxInt64 / 2); err == nil {
		b.Free()
		t.Error("there is a buffer of more bytes than addresses")
	}
	pagebuf.Buffer(nil).Free()
}
