package exlist

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// match is fnmatch(3) with no flags, as find's -path uses it: "*" and "?" match
// "/" and a leading dot, "\" takes the next character as it is.
func match(pattern, name string) bool {
	// On a mismatch, go on after the latest star with one more character taken by it.
	star, resume := -1, 0
	p, n := 0, 0
	for n < len(name) {
		if p < len(pattern) && pattern[p] == '*' {
			star, resume = p, n
			p++
			continue
		}
		if plen, nlen, ok := matchOne(pattern[p:], name[n:]); ok {
			p += plen
			n += nlen
			continue
		}
		if star < 0 {
			return false
		}
		_, size := utf8.DecodeRuneInString(name[resume:])
		resume += size
		p, n = star+1, resume
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// matchOne matches one character of name, which is not empty, against the
// element that pattern starts with; it returns the lengths of both.
func matchOne(pattern, name string) (plen, nlen int, ok bool) {
	if pattern == "" {
		return 0, 0, false
	}
	c, size := utf8.DecodeRuneInString(name)
	switch pattern[0] {
	case '?':
		return 1, size, true
	case '[':
		if length, in := matchClass(pattern, c); length > 0 {
			return length, size, in
		}
		return 1, 1, name[0] == '['
	case '\\':
		if len(pattern) > 1 {
			return 2, 1, name[0] == pattern[1]
		}
	}
	return 1, 1, name[0] == pattern[0]
}

// matchClass matches c against a bracket expression; its length is 0 where the
// bracket is never closed and so stands for itself.
func matchClass(pattern string, c rune) (length int, in bool) {
	i := 1
	negated := i < len(pattern) && (pattern[i] == '!' || pattern[i] == '^')
	if negated {
		i++
	}
	for first := true; ; first = false {
		switch {
		case i >= len(pattern):
			return 0, false
		case pattern[i] == ']' && !first:
			return i + 1, in != negated
		}
		if name, rest, ok := strings.Cut(strings.TrimPrefix(pattern[i:], "[:"), ":]"); ok && strings.HasPrefix(pattern[i:], "[:") {
			in = in || inNamedClass(name, c)
			i = len(pattern) - len(rest)
			continue
		}
		low, size := classRune(pattern[i:])
		i += size
		high := low
		if i+1 < len(pattern) && pattern[i] == '-' && pattern[i+1] != ']' {
			high, size = classRune(pattern[i+1:])
			i += 1 + size
		}
		in = in || low <= c && c <= high
	}
}

// classRune returns the next character of a bracket expression.
func classRune(s string) (rune, int) {
	escape := 0
	if s[0] == '\\' && len(s) > 1 {
		escape = 1
	}
	r, size := utf8.DecodeRuneInString(s[escape:])
	return r, size + escape
}

func inNamedClass(name string, c rune) bool {
	switch name {
	case "alpha":
		return unicode.IsLetter(c)
	case "digit":
		return c >= '0' && c <= '9'
	case "alnum":
		return unicode.IsLetter(c) || unicode.IsDigit(c)
	case "upper":
		return unicode.IsUpper(c)
	case "lower":
		return unicode.IsLower(c)
	case "space":
		return unicode.IsSpace(c)
	case "blank":
		return c == ' ' || c == '\t'
	case "punct":
		return unicode.IsPunct(c) || unicode.IsSymbol(c)
	case "cntrl":
		return unicode.IsControl(c)
	case "print":
		return unicode.IsPrint(c)
	case "graph":
		return unicode.IsGraphic(c) && !unicode.IsSpace(c)
	case "xdigit":
		return c < 0x80 && strings.ContainsRune("0123456789abcdefABCDEF", c)
	}
	return false
}
