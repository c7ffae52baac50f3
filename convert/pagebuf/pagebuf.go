package pagebuf

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Buffer is room that takes the memory of what has been in it, and gives it back
// when it is told to. It begins at the start of a page; where it is larger than huge
// pages are, of a huge one.
type Buffer []byte

// New returns a buffer of so many bytes, which may be more than the machine has
// memory for, until they are used.
func New(size int) (Buffer, error) {
	huge := hugePage()
	if huge > size { // it would take memory for all of one
		huge = 0
	}
	const protection, kind = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_NORESERVE
	p, err := unix.MmapPtr(-1, 0, nil, uintptr(size+huge), protection, kind)
	if err != nil {
		return nil, fmt.Errorf("making room for %d bytes: %w", size, err)
	}
	if huge == 0 {
		return unsafe.Slice((*byte)(p), size), nil
	}
	before := -int(uintptr(p)) & (huge - 1)
	b := Buffer(unsafe.Slice((*byte)(unsafe.Add(p, before)), size))
	if before > 0 {
		_ = unix.MunmapPtr(p, uintptr(before)) // else it is addresses that are lost, and nothing else
	}
	// The rest ends with the buffer's last page.
	if end := (before + size + os.Getpagesize() - 1) &^ (os.Getpagesize() - 1); end < size+huge {
		_ = unix.MunmapPtr(unsafe.Add(p, end), uintptr(size+huge-end))
	}
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE)
	return b, nil
}

// hugePage is the size of the pages that the kernel takes for large buffers when it
// is advised to; 0: it has none (Documentation/admin-guide/mm/transhuge.rst).
func hugePage() int {
	text, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size")
	if err != nil {
		return 0
	}
	size, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || size <= 0 || size&(size-1) != 0 {
		return 0
	}
	return size
}

// Free gives back all of a buffer, which nobody may use any more; of nil, nothing.
func (b Buffer) Free() {
	if b != nil {
		_ = unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(b))) // it is mapped
	}
}

// Release gives back the memory from so many bytes on, which read as zeros then.
func (b Buffer) Release(from int) { _ = unix.Madvise(b[from:], unix.MADV_DONTNEED) }
