package exlist

import (
	"strings"
	"unicode/utf8"
)

// glob is a pattern with what can be told of the names that it matches without
// going through it.
type glob struct {
	prefix string // what they start with
	rest   string // the pattern behind that
	suffix string // what they end with
	chars         // what the characters of the pattern are
}

func compile(pattern string) glob {
	g := glob{chars: charsOf(pattern)}
	var prefix strings.Builder
	for {
		start := plain(pattern)
		prefix.WriteString(start)
		pattern = pattern[len(start):]
		if len(pattern) < 2 || pattern[0] != '\\' {
			break
		}
		prefix.WriteByte(pattern[1])
		pattern = pattern[2:]
	}
	g.prefix, g.rest = prefix.String(), pattern
	// A star within brackets has their end behind it.
	if i := strings.LastIndexByte(pattern, '*'); i >= 0 && !strings.ContainsAny(pattern[i+1:], `?[]\`) {
		g.suffix = pattern[i+1:]
	}
	return g
}

// subject is a name that patterns are matched with.
type subject struct {
	name string
	chars
}

func newSubject(name string) subject { return subject{name, charsOf(name)} }

// chars says what the characters of a string may be.
type chars int

const (
	asciiOnly chars = iota // bytes
	utf8Text               // those of UTF-8
	rawBytes               // bytes, for some are not valid UTF-8
)

func charsOf(s string) chars {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			if utf8.ValidString(s) {
				return utf8Text
			}
			return rawBytes
		}
	}
	return asciiOnly
}

// matches is fnmatch(3) with no flags, as find's -path uses it, of glibc 2.36 in
// the locale C.UTF-8: "*" and "?" match "/" and a leading dot, "\" takes the next
// character as it is. What does not match as UTF-8 may do so byte by byte.
func (g *glob) matches(s subject) bool {
	name, ok := strings.CutPrefix(s.name, g.prefix)
	switch {
	case !ok:
		return false
	case g.rest == "":
		return name == ""
	case g.rest == "*":
		return true
	case !strings.HasSuffix(name, g.suffix):
		return false
	}
	both := max(g.chars, s.chars)
	return both.match(g.rest, name) || both == utf8Text && rawBytes.match(g.rest, name)
}

// first returns the first character of a string, which is not empty.
func (c chars) first(s string) (char rune, size int) {
	if c != utf8Text || s[0] < utf8.RuneSelf {
		return rune(s[0]), 1
	}
	return utf8.DecodeRuneInString(s)
}

func (c chars) match(pattern, name string) bool {
	// On a mismatch, go on after the latest star with one more character taken by
	// it, or as many as it takes to the text that must follow.
	star, resume, after := -1, 0, ""
	p, n := 0, 0
	for n < len(name) {
		if p < len(pattern) && pattern[p] == '*' {
			p++
			star, resume, after = p, n, plain(pattern[p:])
		} else if plen, nlen, ok := c.matchOne(pattern[p:], name[n:]); ok {
			p += plen
			n += nlen
			continue
		} else if star < 0 {
			return false
		} else {
			_, size := c.first(name[resume:])
			resume += size
		}
		skip := strings.Index(name[resume:], after)
		if skip < 0 {
			return false
		}
		resume += skip
		p, n = star+len(after), resume+len(after)
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// plain is what a pattern starts with that stands for itself.
func plain(pattern string) string {
	for i := range len(pattern) {
		switch pattern[i] {
		case '*', '?', '[', '\\':
			return pattern[:i]
		}
	}
	return pattern
}

// matchOne matches one character of name, which is not empty, with the element
// that pattern starts with; it returns the lengths of both.
func (c chars) matchOne(pattern, name string) (plen, nlen int, ok bool) {
	if pattern == "" {
		return 0, 0, false
	}
	char, size := c.first(name)
	switch pattern[0] {
	case '?':
		return 1, size, true
	case '[':
		b := bracket{chars: c, char: char, rest: pattern[1:]}
		switch b.match() {
		case matched:
			return len(pattern) - len(b.rest), size, true
		case unclosed:
			return 1, 1, char == '['
		default:
			return 0, 0, false
		}
	case '\\':
		if len(pattern) == 1 {
			return 0, 0, false
		}
		want, length := c.first(pattern[1:])
		return 1 + length, size, char == want
	}
	want, length := c.first(pattern)
	return length, size, char == want
}
