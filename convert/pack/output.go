package pack

import (
	"context"
	"io"
	"sync/atomic"
)

// output writes chunks of packed bytes to one or two writers. None of them waits
// for the other, unless that falls behind by more than a few chunks.
type output struct {
	w, also io.Writer // also may be nil
	free    *pool     // for chunks that both have
	behind  chan *chunk
}

// chunk is some packed bytes, and how many writers have yet to take them.
type chunk struct {
	data    []byte
	waiting atomic.Int32
}

// lag is how many chunks the second writer may be behind.
const lag = 4

func (p *packer) newOutput(w io.Writer) *output {
	return &output{w: w, also: p.o.Also, free: &p.free, behind: make(chan *chunk, lag)}
}

// write puts data down, which is the output's from now on.
func (o *output) write(ctx context.Context, data []byte) error {
	c := &chunk{data: data}
	c.waiting.Store(1)
	if o.also != nil {
		c.waiting.Store(2)
		if err := send(ctx, o.behind, c); err != nil {
			return err
		}
	}
	if _, err := o.w.Write(data); err != nil {
		return err
	}
	o.taken(c)
	return nil
}

func (o *output) taken(c *chunk) {
	if c.waiting.Add(-1) == 0 {
		o.free.put(c.data)
	}
}

// copy writes to the second writer until close.
func (o *output) copy(ctx context.Context) error {
	for c := range o.behind {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := o.also.Write(c.data); err != nil {
			return err
		}
		o.taken(c)
	}
	return nil
}

func (o *output) close() { close(o.behind) }
