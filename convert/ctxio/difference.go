package ctxio

import (
	"bytes"
	"io"
)

// Difference compares what two readers give, block by block: both give the same
// up to the byte at, and differ soon after. It is -1 where all is the same. What
// a reader fails with comes back as errA or errB, and at says nothing then.
func Difference(a, b io.Reader) (at int64, errA, errB error) {
	const block = 64 << 10
	x, y := make([]byte, block), make([]byte, block)
	for {
		n, errA := io.ReadFull(a, x)
		m, errB := io.ReadFull(b, y)
		switch endA, endB := isEnd(errA), isEnd(errB); {
		case errA != nil && !endA:
			return at, errA, nil
		case errB != nil && !endB:
			return at, nil, errB
		case n != m || !bytes.Equal(x[:n], y[:m]):
			return at, nil, nil
		case endA && endB:
			return -1, nil, nil
		}
		at += int64(n)
	}
}

// isEnd tells the end from damage: a file that ends early says so by an error of
// its own, which wraps this one.
func isEnd(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF } //nolint:errorlint // wrapped is another thing
