package pack

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// buffer is room for a segment outside the heap: it takes the memory of what has
// been in it, and gives it back when it is told to.
type buffer []byte

func newBuffer(size int) (buffer, error) {
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("making room for segments: %w", err)
	}
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // it saves page faults, where the kernel has such pages
	return b, nil
}

func (b buffer) free() {
	if b != nil {
		_ = unix.Munmap(b) // it is mapped
	}
}

// release gives back the memory from so many bytes on.
func (b buffer) release(from int) { _ = unix.Madvise(b[from:], unix.MADV_DONTNEED) }
