package pack

import (
	"slices"
	"sync"
)

// pool keeps buffers for those who need one next.
type pool struct {
	mu   sync.Mutex
	free [][]byte
}

// step is the unit of sizes of buffers: with few different ones most fit.
const step = 1 << 20

// get returns an empty buffer with room for so many bytes: the last that came
// back of those that have it, which the processor's cache may still hold.
func (p *pool) get(size int) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, b := range slices.Backward(p.free) {
		if cap(b) >= size {
			p.free = slices.Delete(p.free, i, i+1)
			return b[:0]
		}
	}
	if len(p.free) > 0 { // the one that comes takes the place of one that is too small
		p.free = p.free[1:]
	}
	return make([]byte, 0, (size+step-1)/step*step)
}

func (p *pool) put(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, b)
}
