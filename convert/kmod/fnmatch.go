package kmod

import "strings"

const wildcards = `*?[\`

func hasWildcard(s string) bool { return strings.ContainsAny(s, wildcards) }

// literalPrefix is a pattern up to its first wildcard.
func literalPrefix(pattern string) string {
	if i := strings.IndexAny(pattern, wildcards); i >= 0 {
		return pattern[:i]
	}
	return pattern
}

// normalise writes an alias, or a pattern of some, as modprobe compares it: with
// underscores for dashes, but for those in brackets, which stand for ranges
// (libkmod-util.c of kmod, alias_normalize).
func normalise(s string) string {
	if strings.IndexByte(s, '-') < 0 {
		return s
	}
	b := []byte(s)
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '-':
			b[i] = '_'
		case '[':
			if end := strings.IndexByte(s[i:], ']'); end > 0 {
				i += end
			}
		}
	}
	return string(b)
}

// match is fnmatch(3) without flags and in the locale C, as modprobe uses it: a
// star crosses everything.
func match(pattern, s string) bool {
	// After a star, what follows is tried at each place; an earlier star need not
	// be tried again once a later one was reached.
	star, from := -1, 0
	p, i := 0, 0
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			p++
			if p == len(pattern) {
				return true
			}
			star, from = p, i
			i = nextPlace(pattern[p:], s, i)
			continue
		}
		if n, ok := matchOne(pattern[p:], s[i]); ok {
			p += n
			i++
			continue
		}
		if star < 0 {
			return false
		}
		p, from = star, max(from, nextPlace(pattern[star:], s, from))+1
		i = nextPlace(pattern[star:], s, from)
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// nextPlace is the first place in s, not before i, where a pattern that starts with a
// plain character may match: this is where nearly all the time goes.
func nextPlace(pattern, s string, i int) int {
	if i >= len(s) || strings.IndexByte(wildcards, pattern[0]) >= 0 {
		return i
	}
	if n := strings.IndexByte(s[i:], pattern[0]); n >= 0 {
		return i + n
	}
	return len(s)
}

// matchOne matches one character and returns the length of its pattern.
func matchOne(pattern string, c byte) (n int, ok bool) {
	if pattern == "" {
		return 0, false
	}
	switch pattern[0] {
	case '?':
		return 1, true
	case '\\':
		if len(pattern) == 1 {
			return 0, false
		}
		return 2, pattern[1] == c
	case '[':
		if class, ok := classOf(pattern); ok {
			return len(class) + len("[]"), inClass(class, c)
		}
	}
	return 1, pattern[0] == c
}

// classOf is what stands in the brackets at the start of a pattern. A closing one
// that comes first, or first after the inverting mark, belongs to it.
func classOf(pattern string) (class string, ok bool) {
	first := 1
	if len(pattern) > 1 && (pattern[1] == '!' || pattern[1] == '^') {
		first++
	}
	if first >= len(pattern) {
		return "", false
	}
	end := strings.IndexByte(pattern[first+1:], ']')
	if end < 0 {
		return "", false
	}
	return pattern[1 : first+1+end], true
}

// inClass tells whether c is among the characters and ranges of a class.
func inClass(class string, c byte) bool {
	inverted := class[0] == '!' || class[0] == '^'
	if inverted {
		class = class[1:]
	}
	found := false
	for i := 0; i < len(class); i++ {
		first, last := class[i], class[i]
		if i+2 < len(class) && class[i+1] == '-' {
			last = class[i+2]
			i += 2
		}
		found = found || first <= c && c <= last
	}
	return found != inverted
}
