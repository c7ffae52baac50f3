package pagebuf

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Buffer is room that takes the memory of what has been in it, and gives it back
// when it is told to. It begins at the start of a page.
type Buffer []byte

// New returns a buffer of so many bytes, which may be more than the machine has
// memory for, until they are used.
func New(size int) (Buffer, error) {
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("making room for %d bytes: %w", size, err)
	}
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // it saves page faults, where the kernel has such pages
	return b, nil
}

// Free gives back all of a buffer, which nobody may use any more; of nil, nothing.
func (b Buffer) Free() {
	if b != nil {
		_ = unix.Munmap(b) // it is mapped
	}
}

// Release gives back the memory from so many bytes on, which read as zeros then.
func (b Buffer) Release(from int) { _ = unix.Madvise(b[from:], unix.MADV_DONTNEED) }
