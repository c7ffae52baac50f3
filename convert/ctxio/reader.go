package ctxio

import (
	"context"
	"io"
)

// NewReader returns a reader of r that fails with ctx's error once ctx has
// ended. It does not break off a read that is under way. Each read's bytes are
// given to count, unless that is nil.
func NewReader(ctx context.Context, r io.Reader, count func(n int)) io.Reader {
	return &reader{ctx, r, count}
}

type reader struct {
	ctx   context.Context //nolint:containedctx // io.Reader has no place for it
	r     io.Reader
	count func(n int)
}

func (c *reader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	if c.count != nil {
		c.count(n)
	}
	return n, err
}
