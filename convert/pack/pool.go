package pack

import "sync"

// pool keeps buffers of packed bytes for those who need one next. All have room
// for a segment of maxSegment bytes, were it ever so incompressible, so that each
// fits nearly everybody; a buffer takes the memory of what has been in it.
type pool struct {
	mu   sync.Mutex
	free [][]byte
}

// get returns an empty buffer with room for so many bytes: the last that came
// back, which the processor's cache may still hold. One that is larger than those
// of the pool comes from the heap, and goes there again.
func (p *pool) get(size int) []byte {
	if size > expansion(maxSegment) {
		return make([]byte, 0, size)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.free) - 1
	if last < 0 {
		return make([]byte, 0, expansion(maxSegment))
	}
	b := p.free[last]
	p.free = p.free[:last]
	return b
}

func (p *pool) put(b []byte) {
	if cap(b) != expansion(maxSegment) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, b[:0])
}
