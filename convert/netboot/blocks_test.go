package netboot

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fakeDisk is a file whose disk may do anything to it.
type fakeDisk struct {
	mu      sync.Mutex
	data    []byte
	isOn    bool
	started int  // bytes that went through the page cache
	synced  bool // all that was written

	never  bool                            // it knows nothing of going past the page cache
	unit   int                             // of what passes the page cache by; 0: one byte
	write  func(p []byte, off int64) error // before each write
	spoil  func(data []byte)               // after each write
	pause  time.Duration                   // of each write and read past the page cache
	reader func(p []byte, off int64) error // before each read
}

func (d *fakeDisk) direct(on bool) error {
	if d.never && on {
		return unix.EINVAL
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.isOn = on
	return nil
}

func (d *fakeDisk) start(_ int64, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.started += n
}

func (d *fakeDisk) Sync() error {
	d.synced = true
	return nil
}

// fits tells whether the disk takes that.
func (d *fakeDisk) fits(p []byte, off int64) error {
	d.mu.Lock()
	on := d.isOn
	d.mu.Unlock()
	if !on {
		return nil
	}
	time.Sleep(d.pause)
	unit := max(d.unit, 1)
	if len(p)%unit != 0 || int(off)%unit != 0 || uintptr(unsafe.Pointer(unsafe.SliceData(p)))%uintptr(unit) != 0 {
		return unix.EINVAL
	}
	return nil
}

func (d *fakeDisk) WriteAt(p []byte, off int64) (int, error) {
	if err := d.fits(p, off); err != nil {
		return 0, err
	}
	if d.write != nil {
		if err := d.write(p, off); err != nil {
			return 0, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if end := int(off) + len(p); end > len(d.data) { // blocks may come in any order
		d.data = append(d.data, make([]byte, end-len(d.data))...)
	}
	copy(d.data[off:], p)
	if d.spoil != nil {
		d.spoil(d.data)
	}
	return len(p), nil
}

func (d *fakeDisk) ReadAt(p []byte, off int64) (int, error) {
	if err := d.fits(p, off); err != nil {
		return 0, err
	}
	if d.reader != nil {
		if err := d.reader(p, off); err != nil {
			return 0, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n := copy(p, d.data[min(len(d.data), int(off)):])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// someBytes are so many that differ everywhere.
func someBytes(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(p)
	return p
}

// put writes content in pieces of many sizes.
func put(w io.Writer, content []byte) error {
	for size, rest := 1, content; len(rest) > 0; size = size*3%(3<<20) + 1 {
		n := min(size, len(rest))
		if _, err := w.Write(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// blocksOf has the blocks of a file written.
func blocksOf(t *testing.T, d *fakeDisk) *blocks {
	t.Helper()
	b, err := newBlocks(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// several blocks, three units of a disk, and some bytes.
const several = 6*blockSize + 3*alignment + 57

// However the disk wants it, the bytes come to lie in the file.
func TestBlocks(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		disk   *fakeDisk
		size   int
		cached int // bytes that go through the page cache
	}{
		"nothing":              {&fakeDisk{unit: 4096}, 0, 0},
		"one byte":             {&fakeDisk{unit: 4096}, 1, 1},
		"whole blocks":         {&fakeDisk{unit: 4096}, 6 * blockSize, 0},
		"whole units":          {&fakeDisk{unit: 4096}, blockSize + 8192, 0},
		"not a unit at last":   {&fakeDisk{unit: 512}, several, 57},
		"no way but the cache": {&fakeDisk{never: true}, several, several},
		"larger units":         {&fakeDisk{unit: 2 * blockSize}, several, several},
		"a slow disk":          {&fakeDisk{pause: 180 * time.Millisecond}, 16 * blockSize, 14 * blockSize},
		"a quick disk":         {&fakeDisk{pause: 8 * time.Millisecond}, 60 * blockSize, 0},
		"a hiccup": {&fakeDisk{write: func(_ []byte, off int64) error {
			time.Sleep(map[int64]time.Duration{blockSize: 200 * time.Millisecond}[off])
			return nil
		}}, several, 57},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				content := someBytes(tt.size)
				d := tt.disk
				b := blocksOf(t, d)
				err := errors.Join(put(b, content), b.finish(t.Context()))
				b.drop()
				if err != nil || !bytes.Equal(d.data, content) {
					t.Errorf("%d bytes of %d, %v", len(d.data), len(content), err)
				}
				if !d.synced {
					t.Error("nobody waited for the disk")
				}
				// How many of the blocks on their way find out that a disk is slow is open.
				if got := d.started; got != tt.cached && (d.pause == 0 || got < tt.cached || got > tt.cached+atOnce*blockSize) {
					t.Errorf("%d bytes went through the page cache, want %d", got, tt.cached)
				}
			})
		})
	}
}

// What a disk makes of the bytes is found out, and what it says gets to the caller.
func TestBlocksOfBadDisks(t *testing.T) {
	t.Parallel()
	flip := func(at int) func([]byte) {
		return func(data []byte) {
			if at < len(data) {
				data[at] = 1
			}
		}
	}
	full := func(from int64) func([]byte, int64) error {
		return func(_ []byte, off int64) error {
			if off >= from {
				return unix.ENOSPC
			}
			return nil
		}
	}
	for name, tt := range map[string]struct {
		disk *fakeDisk
		want string
	}{
		"the first byte":               {&fakeDisk{spoil: flip(0)}, "its bytes from 0 on, read back, are not those that were written"},
		"the last byte":                {&fakeDisk{spoil: flip(several - 1)}, "its bytes from 12595200 on, read back, are not those"},
		"between":                      {&fakeDisk{spoil: flip(3*blockSize + 99)}, "its bytes from 6291456 on, read back, are not those"},
		"cut short":                    {&fakeDisk{spoil: func(data []byte) { clear(data[max(0, len(data)-9):]) }}, "read back, are not those"},
		"no bytes to read":             {&fakeDisk{reader: func([]byte, int64) error { return io.EOF }}, "reading it back: unexpected EOF"},
		"unreadable":                   {&fakeDisk{reader: func(_ []byte, off int64) error { return unix.EIO }}, "reading it back: input/output error"},
		"full at once":                 {&fakeDisk{write: full(0)}, "no space left on device"},
		"full later":                   {&fakeDisk{write: full(2 * blockSize)}, "no space left on device"},
		"full at the very end":         {&fakeDisk{write: full(6 * blockSize)}, "no space left on device"},
		"refuses all that it is given": {&fakeDisk{write: func([]byte, int64) error { return unix.EINVAL }}, "invalid argument"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := blocksOf(t, tt.disk)
				put := put(b, someBytes(several)) // it may know of the error already
				err := b.finish(t.Context())
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want one with %q", err, tt.want)
				}
				if again := b.finish(t.Context()); again == nil {
					t.Error("it is good the second time")
				}
				if put != nil && !strings.Contains(put.Error(), tt.want) {
					t.Errorf("a write fails with %v, want %q", put, tt.want)
				}
				if tt.disk.synced && strings.Contains(tt.want, "space") {
					t.Error("the disk is waited for after an error")
				}
			})
		})
	}
}

// However much was written, a quick disk is quick.
func TestBlocksOfLargeFiles(t *testing.T) {
	t.Parallel()
	b := blocksOf(t, &fakeDisk{})
	defer b.drop()
	for range 100 {
		_, _ = b.try(func() (int, error) { return 1 << 40, nil })
	}
	if !b.direct.Load() {
		t.Error("the page cache is used")
	}
}

// What is in the file already is compared with what the disk has.
func TestBlocksReadFrom(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		size  int
		spoil int // which byte; -1: none
		want  string
	}{
		"nothing":       {0, -1, ""},
		"whole blocks":  {2 * blockSize, -1, ""},
		"several":       {several, -1, ""},
		"another byte":  {several, blockSize, "its bytes from 2097152 on, read back"},
		"the last byte": {several, several - 1, "its bytes from 12582912 on, read back"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				content := someBytes(tt.size)
				d := &fakeDisk{data: slices.Clone(content), unit: 4096}
				if tt.spoil >= 0 {
					d.data[tt.spoil] ^= 1
				}
				b := blocksOf(t, d)
				var seen []byte
				err := errors.Join(b.readFrom(bytes.NewReader(content), func(p []byte) { seen = append(seen, p...) }), b.finish(t.Context()))
				if tt.want == "" && (err != nil || !bytes.Equal(seen, content) || !d.synced) {
					t.Errorf("%d bytes of %d, %v", len(seen), len(content), err)
				}
				if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
					t.Errorf("error %v, want one with %q", err, tt.want)
				}
			})
		})
	}
}

// Who does not want the file any more waits for no more than what the disk is at.
func TestBlocksAreDropped(t *testing.T) {
	t.Parallel()
	slow := func() *fakeDisk {
		return &fakeDisk{write: func([]byte, int64) error { time.Sleep(time.Hour); return nil }}
	}
	t.Run("by their context", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			d, start := slow(), time.Now()
			b := blocksOf(t, d)
			if err := put(b, someBytes(3*blockSize)); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := b.finish(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v", err)
			}
			if took := time.Since(start); took > time.Hour || d.synced {
				t.Errorf("it took %v, synced: %t", took, d.synced)
			}
		})
	})
	t.Run("unfinished", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			d := slow()
			b := blocksOf(t, d)
			if err := put(b, someBytes(2*blockSize+1)); err != nil {
				t.Fatal(err)
			}
			b.drop()
			b.drop()
			if _, err := b.Write(make([]byte, several)); !errors.Is(err, errDropped) {
				t.Errorf("a write afterwards: %v", err)
			}
			if d.synced {
				t.Error("the disk is waited for")
			}
		})
	})
}
