package libzstd

import (
	"bytes"
	"testing"
)

// What is no whole frame of libzstd's without a content size makes no piece.
func TestPieceErrors(t *testing.T) {
	t.Parallel()
	e, err := NewFast()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	sized, err := e.Encode(nil, make([]byte, 1000))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.set(contentSize(false)); err != nil {
		t.Fatal(err)
	}
	whole, err := e.Encode(nil, bytes.Repeat([]byte("0123456789"), 50_000)) // several blocks
	if err != nil {
		t.Fatal(err)
	}
	for name, frame := range map[string][]byte{
		"nothing":             nil,
		"a header alone":      whole[:headerSize],
		"a content size":      sized,
		"another magic":       append([]byte{1}, whole[1:]...),
		"cut off":             whole[:len(whole)-1],
		"cut within a header": whole[:headerSize+2],
		"more than a frame":   append(bytes.Clone(whole), 0),
		"an unknown block":    append(bytes.Clone(whole[:headerSize]), 1|blockUnknown, 0, 0),
	} {
		if got, err := piece(bytes.Clone(frame), true, true); err == nil {
			t.Errorf("%s: %d bytes for %d", name, len(got), len(frame))
		}
	}
	if got, err := piece(bytes.Clone(whole), true, true); err != nil || !bytes.Equal(got, whole) {
		t.Errorf("all of a frame: %v; same: %t", err, bytes.Equal(got, whole))
	}
}
