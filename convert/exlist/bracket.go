package exlist

import (
	"strings"
	"unicode"
)

// bracket is a bracket expression that one character is matched with. Its odder
// forms mean what they mean to glibc: what cannot be read as a class, such as
// "[:" without ":]", is taken character by character; an unknown class and a
// symbol of several characters match nothing.
type bracket struct {
	chars
	char rune   // that is matched
	rest string // of the pattern, behind what was read
	in   bool   // an element holds the character; what follows hardly matters
}

// outcome is how a bracket ends.
type outcome int

const (
	failed   outcome = iota
	matched          // rest is what follows
	unclosed         // it is no bracket; "[" stands for itself
)

// match reads the bracket from behind its "[".
func (b *bracket) match() outcome {
	negated := strings.HasPrefix(b.rest, "!") || strings.HasPrefix(b.rest, "^")
	if negated {
		b.rest = b.rest[1:]
	}
	for first := true; ; first = false {
		switch {
		case b.rest == "":
			return unclosed
		case b.rest[0] == ']' && !first:
			b.rest = b.rest[1:]
			if b.in == negated {
				return failed
			}
			return matched
		case b.in:
			if !b.skip() {
				return failed
			}
		case !b.element():
			return failed
		}
	}
}

// element reads a class, a range or a character; false means that the bracket
// can match nothing.
func (b *bracket) element() bool {
	if name, ok := b.class(); ok {
		is := classOf(name)
		if is == nil {
			return false
		}
		b.in = is(b.char) && (b.chars == utf8Text || b.char < 0x80)
		return true
	}
	if char, rest, ok := b.equivalence(); ok {
		b.rest = rest
		b.in = char == b.char
		return true
	}
	low, symbol, ok := b.bound()
	if !ok {
		return false
	}
	if len(b.rest) < 2 || b.rest[0] != '-' {
		b.in = low == b.char
		// A "-" at the pattern's end asks for an upper bound that is not there.
		return b.in || b.rest != "-"
	}
	if b.rest[1] == ']' { // the "-" stands for itself
		b.in = low == b.char && !symbol
		return true
	}
	b.rest = b.rest[1:]
	high, _, ok := b.bound()
	b.in = low <= b.char && b.char <= high
	return ok
}

// skip passes over an element that cannot change anything.
func (b *bracket) skip() bool {
	if _, ok := b.class(); ok {
		return true
	}
	if strings.HasPrefix(b.rest, "[=") {
		_, rest, ok := b.equivalence()
		b.rest = rest
		return ok
	}
	if strings.HasPrefix(b.rest, "[.") {
		_, rest, ok := strings.Cut(b.rest[2:], ".]")
		b.rest = rest
		return ok
	}
	_, _, ok := b.bound()
	return ok
}

// class reads "[:name:]".
func (b *bracket) class() (name string, ok bool) {
	rest, ok := strings.CutPrefix(b.rest, "[:")
	if !ok {
		return "", false
	}
	name, rest, ok = strings.Cut(rest, ":]")
	if !ok || strings.Trim(name, "abcdefghijklmnopqrstuvwxy") != "" {
		return "", false
	}
	b.rest = rest
	return name, true
}

// equivalence reads "[=x=]", which in this locale holds x alone.
func (b *bracket) equivalence() (char rune, rest string, ok bool) {
	rest, ok = strings.CutPrefix(b.rest, "[=")
	if !ok || rest == "" {
		return 0, "", false
	}
	char, size := b.first(rest)
	rest, ok = strings.CutPrefix(rest[size:], "=]")
	return char, rest, ok
}

// bound reads a character, which may be written "\x" or as the symbol "[.x.]".
func (b *bracket) bound() (char rune, symbol, ok bool) {
	if b.rest == "" {
		return 0, false, false
	}
	if name, found := strings.CutPrefix(b.rest, "[."); found {
		if name == "" {
			return 0, true, false
		}
		var size int
		char, size = b.first(name)
		b.rest, ok = strings.CutPrefix(name[size:], ".]")
		return char, true, ok
	}
	if b.rest[0] == '\\' {
		if b.rest = b.rest[1:]; b.rest == "" {
			return 0, false, false
		}
	}
	char, size := b.first(b.rest)
	b.rest = b.rest[size:]
	return char, false, true
}

// classOf returns what tells whether a character is in a class, nil for a class
// that there is none of.
func classOf(name string) func(rune) bool {
	switch name {
	case "alpha":
		return unicode.IsLetter
	case "digit":
		return isDigit
	case "alnum":
		return isAlnum
	case "upper":
		return unicode.IsUpper
	case "lower":
		return unicode.IsLower
	case "space":
		return unicode.IsSpace
	case "blank":
		return func(c rune) bool { return c == ' ' || c == '\t' }
	case "punct":
		return func(c rune) bool { return isGraph(c) && !isAlnum(c) }
	case "cntrl":
		return unicode.IsControl
	case "print":
		return unicode.IsPrint
	case "graph":
		return isGraph
	case "xdigit":
		return func(c rune) bool { return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' }
	}
	return nil
}

func isDigit(c rune) bool { return '0' <= c && c <= '9' }
func isAlnum(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) }
func isGraph(c rune) bool { return unicode.IsGraphic(c) && !unicode.IsSpace(c) }
