package qemu

// plainText takes terminal control out of a console's output as it streams by:
// escape sequences, carriage returns and every other control character but
// line feed and tab. Where a write ends makes no difference.
type plainText struct {
	state escapeState
}

type escapeState uint8

const (
	inText       escapeState = iota
	afterEscape              // ESC seen
	inControl                // ESC [ … to a final byte: colours, cursor
	inString                 // ESC ] … to BEL or ESC \: titles, systemd's contexts
	afterCharset             // ESC ( and one byte more: character sets
)

const (
	bel = 0x07
	can = 0x18
	sub = 0x1a
	esc = 0x1b
	del = 0x7f
)

// filter appends what of p is text to dst.
func (t *plainText) filter(dst, p []byte) []byte {
	for _, c := range p {
		if t.text(c) {
			dst = append(dst, c)
		}
	}
	return dst
}

// text takes the next byte and tells whether it is text.
func (t *plainText) text(c byte) bool {
	// These break off any sequence, so that a stray escape, or a kernel message
	// in the middle of one, cannot swallow what follows.
	switch c {
	case esc:
		t.state = afterEscape
		return false
	case can, sub:
		t.state = inText
		return false
	case '\n':
		t.state = inText
		return true
	}
	switch t.state {
	case inText:
		return c == '\t' || c >= ' ' && c != del
	case afterEscape:
		t.state = escapeKind(c)
	case afterCharset:
		t.state = inText
	case inControl:
		if c >= '@' && c < del {
			t.state = inText
		}
	case inString:
		if c == bel {
			t.state = inText
		}
	}
	return false
}

// escapeKind is the state that the byte after ESC leads to (ECMA-48 §5.3, §8.3).
func escapeKind(c byte) escapeState {
	switch c {
	case '[':
		return inControl
	case ']', 'P', 'X', '^', '_':
		return inString
	case ' ', '#', '%', '(', ')', '*', '+', '-', '.', '/':
		return afterCharset
	default:
		return inText
	}
}

// plain is s without terminal control.
func plain(s string) string {
	var t plainText
	return string(t.filter(nil, []byte(s)))
}
