package pack

import "sync"

// pool keeps buffers for those who need one next. There are never more than are
// in use at a time.
type pool struct {
	mu   sync.Mutex
	free [][]byte
}

// get returns an empty buffer, with what room it has from earlier use: the last
// that came back, which the processor's cache may still hold.
func (p *pool) get() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.free) - 1
	if last < 0 {
		return nil
	}
	b := p.free[last]
	p.free = p.free[:last]
	return b[:0]
}

func (p *pool) put(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, b)
}
