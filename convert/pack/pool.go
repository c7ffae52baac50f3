package pack

import (
	"sync"

	"github.com/rootcast/rootcast/convert/pagebuf"
)

// pool keeps buffers of packed bytes for those who need one next, in few sizes, so
// that a buffer fits nearly everybody. It takes the memory of what has been in it.
type pool struct {
	mu   sync.Mutex
	free [2][][]byte // by size
	made []pagebuf.Buffer
}

// poolSizes are those of the buffers: a chunk of a large segment, and a segment of
// maxSegment bytes, were it ever so incompressible.
func poolSizes() [2]int { return [2]int{chunkSize, expansion(maxSegment)} }

// get returns an empty buffer with room for so many bytes: the last that came
// back, which the processor's cache may still hold. One that is larger than those
// of the pool comes from the heap, and goes there again.
func (p *pool) get(size int) []byte {
	for i, room := range poolSizes() {
		if size <= room {
			return p.pop(i, room)
		}
	}
	return make([]byte, 0, size)
}

func (p *pool) pop(i, room int) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.free[i]) - 1
	if last < 0 {
		return p.make(room)
	}
	b := p.free[i][last]
	p.free[i] = p.free[i][:last]
	return b
}

// make returns a new buffer; one from the heap where no other can be had.
func (p *pool) make(size int) []byte {
	b, err := pagebuf.New(size)
	if err != nil {
		return make([]byte, 0, size)
	}
	p.made = append(p.made, b)
	return b[:0]
}

// close gives the memory back. No buffer that was ever got may be in use any more.
func (p *pool) close() {
	for _, b := range p.made {
		b.Free()
	}
}

func (p *pool) put(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, room := range poolSizes() {
		if cap(b) == room {
			p.free[i] = append(p.free[i], b[:0])
		}
	}
}
