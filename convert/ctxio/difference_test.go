package ctxio_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rootcast/rootcast/convert/ctxio"
)

func TestDifference(t *testing.T) {
	t.Parallel()
	const block = 64 << 10
	long := strings.Repeat("x", 2*block)
	broken := errors.New("broken")
	cut := fmt.Errorf("the layer is cut off: %w", io.ErrUnexpectedEOF)
	failing := func(text string, err error) io.Reader {
		return io.MultiReader(strings.NewReader(text), iotest.ErrReader(err))
	}
	for _, tt := range []struct {
		name       string
		a, b       io.Reader
		at         int64
		errA, errB error
	}{
		{"both empty", strings.NewReader(""), strings.NewReader(""), -1, nil, nil},
		{"the same", strings.NewReader("abc"), iotest.OneByteReader(strings.NewReader("abc")), -1, nil, nil},
		{"the same blocks", strings.NewReader(long), iotest.HalfReader(strings.NewReader(long)), -1, nil, nil},
		{"another byte", strings.NewReader("abc"), strings.NewReader("abd"), 0, nil, nil},
		{"another byte at the end", strings.NewReader(long + "a"), strings.NewReader(long + "b"), 2 * block, nil, nil},
		{"the first is shorter", strings.NewReader(long), strings.NewReader(long + "b"), 2 * block, nil, nil},
		{"the second is shorter", strings.NewReader("ab"), strings.NewReader("a"), 0, nil, nil},
		{"the first fails", failing("a", broken), strings.NewReader("a"), 0, broken, nil},
		{"the second fails", strings.NewReader("a"), failing("a", broken), 0, nil, broken},
		{"the first is damaged where both end", failing("a", cut), strings.NewReader("a"), 0, cut, nil},
		{"the second is damaged where both end", strings.NewReader("a"), failing("a", cut), 0, nil, cut},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			at, errA, errB := ctxio.Difference(tt.a, tt.b)
			if at != tt.at || !errors.Is(errA, tt.errA) || !errors.Is(errB, tt.errB) {
				t.Errorf("got %d, %v, %v, want %d, %v, %v", at, errA, errB, tt.at, tt.errA, tt.errB)
			}
		})
	}
}
