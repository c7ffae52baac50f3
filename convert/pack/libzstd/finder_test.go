package libzstd_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/rootcast/rootcast/convert/pack/libzstd"
)

// unpack reads frames with another implementation, which keeps to their windows.
func unpack(t testing.TB, frames []byte) []byte {
	t.Helper()
	d, err := zstd.NewReader(bytes.NewReader(frames), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	plain, err := io.ReadAll(d)
	if err != nil {
		t.Fatalf("reading a frame back: %v", err)
	}
	return plain
}

func newFast(t testing.TB) *libzstd.Encoder {
	t.Helper()
	e, err := libzstd.NewFast()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func encode(t testing.TB, e *libzstd.Encoder, plain []byte) []byte {
	t.Helper()
	frame, err := e.Encode(nil, plain)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// noise returns bytes in which nothing repeats.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// TestFast packs data that is hard on the finder: each comes back, and is packed
// as far as it can be.
func TestFast(t *testing.T) {
	t.Parallel()
	const window, block = 4 << 20, 128 << 10
	random := noise(5 << 20)
	text := []byte(strings.Repeat("All work and no play makes Jack a dull boy. ", 200_000))
	words := make([]byte, 0, 20<<20) // farther than an entry of the table can tell
	for i := 0; len(words) < 20<<20; i++ {
		words = append(words, random[i*7919%(1<<16):][:24]...)
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, tc := range []struct {
		name  string
		plain []byte
		most  int // bytes of the frame
	}{
		{"nothing", nil, 20},
		{"a byte", []byte("x"), 20},
		{"less than is searched", text[:60], 80},
		{"hardly more", text[:70], 90},
		{"zeros", make([]byte, 3<<20), 2000},
		{"a repeated line", text, 5000},
		{"noise", random, len(random) + 1000},
		{"noise, and again at the end of the window", join(random[:window], random[:window]), window + 20_000},
		{"noise, and again beyond it", join(random[:window+4096], random[:window]), 2*window + 6000},
		{"text after blocks that are not compressed", join(text[:block], random[:3*block], text[:block], random[:block], text[:block]), 4*block + 3000},
		{"noise in pairs of bytes", bytes.Repeat(random[:2], 1<<20), 2000},
		{"words of 20 MiB", words, len(words) * 2 / 3},
		{"a block less a byte", text[:block-1], 1000},
		{"a block and a byte", text[:block+1], 1000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e := newFast(t)
			frame := encode(t, e, tc.plain)
			if got := unpack(t, frame); !bytes.Equal(got, tc.plain) {
				t.Error("it does not come back")
			}
			if len(frame) > tc.most {
				t.Errorf("%d bytes became %d, more than %d", len(tc.plain), len(frame), tc.most)
			}
			if again := encode(t, e, tc.plain); !bytes.Equal(again, frame) {
				t.Error("the second frame is another")
			}
			if other := encode(t, newFast(t), tc.plain); !bytes.Equal(other, frame) {
				t.Error("another encoder makes another frame")
			}
		})
	}
}

// A frame knows nothing of the one before, though that ends in memory where it begins.
func TestFastFramesApart(t *testing.T) {
	t.Parallel()
	e, plain := newFast(t), append(noise(100_000), noise(100_000)...)
	var frames []byte
	for _, part := range [][]byte{plain[:100_000], plain[100_000:]} {
		frame := encode(t, e, part)
		if want := encode(t, newFast(t), part); !bytes.Equal(frame, want) {
			t.Error("a frame depends on what was packed before")
		}
		frames = append(frames, frame...)
	}
	if got := unpack(t, frames); !bytes.Equal(got, plain) {
		t.Error("they do not come back")
	}
}

// A program's own bytes take about what they take by libzstd's level 3.
func TestFastSize(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	plain, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	other, err := libzstd.New(libzstd.Level(3))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	ours, theirs := len(encode(t, newFast(t), plain)), len(encode(t, other, plain))
	t.Logf("%d bytes: %d, by libzstd's own search %d (%.3f)", len(plain), ours, theirs, float64(ours)/float64(theirs))
	if ours > theirs+theirs/33 {
		t.Errorf("%d bytes became %d; by libzstd's own search %d", len(plain), ours, theirs)
	}
}

// FuzzFast packs the data, and the data with itself.
func FuzzFast(f *testing.F) {
	f.Add([]byte(strings.Repeat("abcdefg", 30)), uint16(3))
	f.Add(noise(300), uint16(1000))
	f.Fuzz(func(t *testing.T, data []byte, times uint16) {
		e := newFast(t)
		var plain []byte
		for i := range int(times) % 2000 { // rotated, so that there are long matches and short ones
			at := 0
			if len(data) > 0 {
				at = i * 31 % len(data)
			}
			plain = append(append(plain, data[at:]...), byte(i))
			if len(plain) > 1<<20 {
				break
			}
		}
		for _, p := range [][]byte{data, plain} {
			if got := unpack(t, encode(t, e, p)); !bytes.Equal(got, p) {
				t.Errorf("%d bytes do not come back", len(p))
			}
		}
	})
}

// Pieces that encoders made apart are one frame.
func TestEncodePiece(t *testing.T) {
	t.Parallel()
	text := []byte(strings.Repeat("All work and no play makes Jack a dull boy. ", 30_000))
	plain := bytes.Join([][]byte{text, noise(700_000), text, make([]byte, 500_000), text[:9]}, nil)
	for _, size := range []int{len(plain), len(plain) - 1, 400_000, 131_072, 50_001} {
		var frame []byte
		for at := 0; at < len(plain); at += size {
			end := min(at+size, len(plain))
			piece, err := newFast(t).EncodePiece([]byte("before"), plain[at:end], int64(at), int64(len(plain)))
			if err != nil {
				t.Fatal(err)
			}
			frame = append(frame, bytes.TrimPrefix(piece, []byte("before"))...)
		}
		other := encode(t, newFast(t), []byte("the next frame"))
		if got := unpack(t, append(frame, other...)); string(got) != string(plain)+"the next frame" {
			t.Errorf("pieces of %d bytes do not come back", size)
		}
		var h zstd.Header
		if err := h.Decode(frame); err != nil || h.WindowSize > 4<<20 || h.FrameContentSize != uint64(len(plain)) {
			t.Errorf("pieces of %d bytes: header %+v, %v", size, h, err)
		}
	}
}

// An encoder is the same after a piece.
func TestEncodeAfterPiece(t *testing.T) {
	t.Parallel()
	e, plain := newFast(t), noise(1000)
	before := encode(t, e, plain)
	if _, err := e.EncodePiece(nil, plain, 5, 5000); err != nil {
		t.Fatal(err)
	}
	if after := encode(t, e, plain); !bytes.Equal(before, after) {
		t.Error("a frame is another after a piece")
	}
	other, err := libzstd.New(libzstd.Level(3))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.EncodePiece(nil, plain, 0, 1000); err == nil {
		t.Error("an encoder whose blocks build on each other makes pieces")
	}
}
