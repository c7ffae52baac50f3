package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/docker/go-units"

	"github.com/rootcast/rootcast/convert/exlist"
)

// sayExcluded tells what the rules of exclude lists do. Who asks for it gets it,
// even with -q.
func (e *env) sayExcluded(r *exlist.Report) {
	w := tabwriter.NewWriter(e.stderr, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "RULE\tLINE\tMATCHES\tEFFECT")
	idle := 0
	for _, f := range r.Effects {
		if f.Matched == 0 {
			idle++
		}
		fmt.Fprintf(w, "%s\t%s:%d\t%d\t%s\n", printable(f.String()), filepath.Base(f.File), f.Line, f.Matched, effectOf(f))
	}
	_ = w.Flush() // nobody can be told that stderr fails
	fmt.Fprintf(e.stderr, "left out: %s, %s; rules that match nothing: %d of %d\n", filesOf(r.Files), units.BytesSize(float64(r.Bytes)), idle, len(r.Effects))
}

func filesOf(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}

func effectOf(f exlist.Effect) string {
	size := units.BytesSize(float64(f.Bytes))
	switch {
	case f.Matched == 0:
		return "matches nothing"
	case f.Files == 0 && f.Keep:
		return "no other rule drops what it keeps"
	case f.Files == 0:
		return "nothing more than the rules before it"
	case f.Keep:
		return "keeps " + filesOf(f.Files) + ", " + size
	}
	return "leaves out " + filesOf(f.Files) + ", " + size
}

// printable is text as it is, or quoted where it would harm a terminal or a table.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return strconv.Quote(text)
	}
	return text
}
