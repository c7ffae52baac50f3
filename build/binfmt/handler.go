package binfmt

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Limits of a registration (binfmt-misc.rst).
const (
	maxRule        = 1920
	maxInterpreter = 127
	maxHead        = 128 // the magic lies in so much of a file's beginning
)

// Handler is one entry of binfmt_misc that knows programs by their first bytes.
type Handler struct {
	Name        string   `json:"name"`
	Enabled     bool     `json:"enabled"`
	Interpreter string   `json:"interpreter"`
	Flags       string   `json:"flags"`
	Offset      int      `json:"offset"`
	Magic       hexBytes `json:"magic"`
	Mask        hexBytes `json:"mask,omitempty"` // none: all bits count
}

// hexBytes are shown as binfmt_misc shows them.
type hexBytes []byte

// MarshalText implements encoding.TextMarshaler.
func (b hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, b), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *hexBytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.AppendDecode(nil, text)
	return err
}

// parseHandler reads what binfmt_misc shows of an entry (bm_entry_read). One
// that goes by the end of a file's name has no magic.
func parseHandler(name, text string) (Handler, error) {
	h := Handler{Name: name}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	switch lines[0] {
	case "enabled":
		h.Enabled = true
	case "disabled":
	default:
		return h, fmt.Errorf("handler %s of binfmt_misc begins with %q, neither enabled nor disabled", name, lines[0])
	}
	for _, line := range lines[1:] {
		key, value, _ := strings.Cut(line, " ")
		var err error
		switch key {
		case "interpreter":
			h.Interpreter = value
		case "flags:":
			h.Flags = value
		case "offset":
			h.Offset, err = strconv.Atoi(value)
		case "magic":
			err = h.Magic.UnmarshalText([]byte(value))
		case "mask":
			err = h.Mask.UnmarshalText([]byte(value))
		}
		if err != nil {
			return h, fmt.Errorf("handler %s of binfmt_misc, line %q: %w", name, line, err)
		}
	}
	if h.Mask != nil && len(h.Mask) != len(h.Magic) || h.Offset < 0 {
		return h, fmt.Errorf("handler %s of binfmt_misc has a mask or an offset that its magic does not go with", name)
	}
	return h, nil
}

// matches tells whether the kernel gives a program that begins so to h, were h
// switched on (search_binfmt_handler).
func (h Handler) matches(head []byte) bool {
	if len(h.Magic) == 0 || len(head) < h.Offset+len(h.Magic) {
		return false
	}
	for i, m := range h.Magic {
		mask := byte(0xff)
		if h.Mask != nil {
			mask = h.Mask[i]
		}
		if (head[h.Offset+i]^m)&mask != 0 {
			return false
		}
	}
	return true
}

// serves tells whether h takes plain programs of a; takesAll, whether all of
// them and no other architecture's.
func (h Handler) serves(a Arch) bool { return h.matches(a.magic()) }

func (h Handler) takesAll(a Arch) bool {
	for _, other := range Architectures() {
		for _, head := range other.heads() {
			if h.matches(head) != (other.Name == a.Name) {
				return false
			}
		}
	}
	return true
}

// isFor tells from h's name whether it is meant for a.
func (h Handler) isFor(a Arch) bool {
	return h.Name == ownPrefix+a.QEMU || h.Name == "qemu-"+a.QEMU || h.Name == a.QEMU
}

// fixed tells whether the kernel holds the emulator open: flag F.
func (h Handler) fixed() bool { return strings.Contains(h.Flags, "F") }

// rule is h as it is registered, :name:type:offset:magic:mask:interpreter:flags.
// Each byte of magic and mask is written as \xHH: the kernel ends a string at a
// NUL, and a field at a colon.
func (h Handler) rule() (string, error) {
	switch {
	case !strings.HasPrefix(h.Interpreter, "/"):
		return "", fmt.Errorf("the emulator's path %q does not begin with /", h.Interpreter)
	case len(h.Interpreter) > maxInterpreter:
		return "", fmt.Errorf("the emulator's path %s is longer than the %d bytes that binfmt_misc takes", h.Interpreter, maxInterpreter)
	case strings.ContainsFunc(h.Name+h.Interpreter, func(r rune) bool { return r <= ' ' || r == ':' || r == '\\' || r == 0x7f }):
		return "", fmt.Errorf("the emulator's path %q has a character that binfmt_misc does not take", h.Interpreter)
	case h.Offset+len(h.Magic) >= maxHead || len(h.Magic) == 0:
		return "", errors.New("the magic does not lie in the first 128 bytes of a file")
	}
	rule := fmt.Sprintf(":%s:M:%d:%s:%s:%s:%s", h.Name, h.Offset, escape(h.Magic), escape(h.Mask), h.Interpreter, h.Flags)
	if len(rule) > maxRule {
		return "", fmt.Errorf("the registration of %s has %d bytes; binfmt_misc takes %d", h.Name, len(rule), maxRule)
	}
	return rule, nil
}

func escape(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		fmt.Fprintf(&s, `\x%02x`, c)
	}
	return s.String()
}
