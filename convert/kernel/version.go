package kernel

import (
	"cmp"
	"strings"
)

// Compare orders two kernel versions as people count: 6.1.0-9 comes before
// 6.1.0-37, and a release candidate (6.2~rc1, 6.2-rc1) before its release. The
// versions are cut into runs of digits, compared as numbers, and runs of
// letters, compared by their bytes; what separates them does not matter. It
// returns a negative number, 0 or a positive one.
func Compare(a, b string) int {
	x, y := split(a), split(b)
	for i := range max(len(x), len(y)) {
		if c := comparePart(at(x, i), at(y, i)); c != 0 {
			return c
		}
	}
	return strings.Compare(a, b)
}

func at(parts []string, i int) string {
	if i < len(parts) {
		return parts[i]
	}
	return ""
}

// comparePart: a release candidate is older than nothing at all, every other
// part is newer than nothing, and a number is newer than a word.
func comparePart(a, b string) int {
	if c := cmp.Compare(rank(a), rank(b)); c != 0 {
		return c
	}
	if isDigit(first(a)) {
		a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
		if c := cmp.Compare(len(a), len(b)); c != 0 {
			return c
		}
	}
	return strings.Compare(a, b)
}

func rank(part string) int {
	switch {
	case part == "rc" || part == "pre":
		return 0
	case part == "":
		return 1
	case isDigit(first(part)):
		return 3
	default:
		return 2
	}
}

func first(s string) byte {
	if s == "" {
		return 0
	}
	return s[0]
}

// split returns the runs of digits and of letters.
func split(v string) []string {
	var parts []string
	for i := 0; i < len(v); {
		j := i + 1
		for j < len(v) && class(v[j]) == class(v[i]) {
			j++
		}
		if class(v[i]) != 0 {
			parts = append(parts, v[i:j])
		}
		i = j
	}
	return parts
}

func class(c byte) int {
	switch {
	case isDigit(c):
		return 1
	case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80:
		return 2
	default:
		return 0
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
