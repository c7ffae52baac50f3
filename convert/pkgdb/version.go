package pkgdb

import (
	"cmp"
	"strings"
)

// Compare tells how two versions stand to each other in the package manager's
// own order: negative where a is the older.
func Compare(f Format, a, b string) int {
	order, split := dpkgOrder, "-"
	if f == RPM {
		order = rpmOrder
	}
	epochA, a := cutEpoch(a)
	epochB, b := cutEpoch(b)
	versionA, releaseA := cutLast(a, split)
	versionB, releaseB := cutLast(b, split)
	return cmp.Or(compareNumbers(epochA, epochB), order(versionA, versionB), order(releaseA, releaseB))
}

// cutEpoch takes the number off that both formats put before a colon.
func cutEpoch(v string) (epoch, rest string) {
	if epoch, rest, ok := strings.Cut(v, ":"); ok {
		return epoch, rest
	}
	return "", v
}

func cutLast(v, sep string) (version, release string) {
	if i := strings.LastIndex(v, sep); i >= 0 {
		return v[:i], v[i+1:]
	}
	return v, ""
}

// dpkgOrder compares by the Debian Policy Manual, §5.6.12: by turns a part
// without digits, in which "~" comes before the end and letters before all
// else, and a number.
func dpkgOrder(a, b string) int {
	for a != "" || b != "" {
		for a != "" && !isDigit(a[0]) || b != "" && !isDigit(b[0]) {
			if c := cmp.Compare(weight(a), weight(b)); c != 0 {
				return c
			}
			a, b = rest(a), rest(b)
		}
		numA, moreA := cutDigits(a)
		numB, moreB := cutDigits(b)
		if c := compareNumbers(numA, numB); c != 0 {
			return c
		}
		a, b = moreA, moreB
	}
	return 0
}

// weight is where the first byte of a part without digits stands in the order.
func weight(s string) int {
	switch {
	case s == "" || isDigit(s[0]):
		return 0
	case s[0] == '~':
		return -1
	case isLetter(s[0]):
		return int(s[0])
	default:
		return int(s[0]) + 256
	}
}

func rest(s string) string {
	if s == "" {
		return ""
	}
	return s[1:]
}

// rpmOrder compares as rpm's rpmvercmp does: numbers and words by turns,
// whatever stands between them; "~" comes before the end and "^" right after it.
func rpmOrder(a, b string) int {
	for a != "" || b != "" {
		a, b = strings.TrimLeftFunc(a, isSeparator), strings.TrimLeftFunc(b, isSeparator)
		if c, decided := rpmMark(&a, &b); decided {
			return c
		} else if c != 0 {
			continue
		}
		if a == "" || b == "" {
			break
		}
		cut, digits := cutLetters, isDigit(a[0])
		if digits {
			cut = cutDigits
		}
		partA, moreA := cut(a)
		partB, moreB := cut(b)
		switch {
		case partB == "" && digits: // a number is newer than a word
			return 1
		case partB == "":
			return -1
		}
		c := strings.Compare(partA, partB)
		if digits {
			c = compareNumbers(partA, partB)
		}
		if c != 0 {
			return c
		}
		a, b = moreA, moreB
	}
	return cmp.Compare(len(a), len(b)) // the one that has something left is the newer
}

// rpmMark deals with "~" and "^" at the start. decided: c is the order of the
// whole; else c is 1 where both had the mark, which is cut off, and 0 where none had.
func rpmMark(a, b *string) (c int, decided bool) {
	markA, markB := strings.HasPrefix(*a, "~"), strings.HasPrefix(*b, "~")
	switch {
	case markA && markB:
		*a, *b = (*a)[1:], (*b)[1:]
		return 1, false
	case markA:
		return -1, true
	case markB:
		return 1, true
	}
	markA, markB = strings.HasPrefix(*a, "^"), strings.HasPrefix(*b, "^")
	switch {
	case markA && markB:
		*a, *b = (*a)[1:], (*b)[1:]
		return 1, false
	case markA && *b == "", markB && *a != "":
		return 1, true
	case markB, markA:
		return -1, true
	}
	return 0, false
}

func isSeparator(r rune) bool {
	return r > 127 || !isDigit(byte(r)) && !isLetter(byte(r)) && r != '~' && r != '^'
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func cutDigits(s string) (digits, rest string)   { return cutWhile(s, isDigit) }
func cutLetters(s string) (letters, rest string) { return cutWhile(s, isLetter) }

func cutWhile(s string, is func(byte) bool) (part, rest string) {
	i := 0
	for i < len(s) && is(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

// compareNumbers compares numbers of any length; none is 0.
func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}
