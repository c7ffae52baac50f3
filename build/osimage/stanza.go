package osimage

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"
)

// StanzaHeader is the first line of what lsdef -z prints.
const StanzaHeader = "# <xCAT data object stanza file>"

// objectType is the only one that there are definitions of here.
const objectType = "osimage"

// Assignment is a line ATTRIBUTE=VALUE of a stanza.
type Assignment struct {
	Attribute, Value string
	Line             int
}

// Stanza is what a stanza file says of one object.
type Stanza struct {
	Name        string
	File        string // where it was read; "" if it was not
	Line        int
	Assignments []Assignment
}

// ReadStanzas reads stanzas as xCAT's mkdef -z does (its lsdef -z writes them):
//
//   - empty lines and lines that begin with # are passed over
//   - a line that ends in a colon and has no = begins the object before the colon
//   - other lines are ATTRIBUTE=VALUE, with space around = and double quotes
//     around the value taken away
//   - objtype=osimage must be said of each object
//   - default-osimage: holds what all objects after it have that do not say otherwise
//
// The error is Problems in the file that name calls.
func ReadStanzas(r io.Reader, name string) ([]Stanza, error) {
	s := stanzaReader{file: name, seen: map[string]int{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20) // a value may have many paths
	for n := 1; lines.Scan(); n++ {
		s.line(n, strings.TrimSpace(lines.Text()))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading stanzas of %s: %w", name, err)
	}
	s.end()
	return s.list, s.problems.err()
}

// stanzaReader is what has been read so far.
type stanzaReader struct {
	file     string
	list     []Stanza
	seen     map[string]int
	problems Problems

	defaults    []Assignment
	defaultType string
	now         *Stanza // nil before the first header
	typeOfNow   string
}

func (s *stanzaReader) fail(line int, format string, args ...any) {
	s.problems = append(s.problems, Problem{s.file, line, fmt.Sprintf(format, args...)})
}

func (s *stanzaReader) line(n int, text string) {
	if text == "" || strings.HasPrefix(text, "#") {
		return
	}
	if header, ok := strings.CutSuffix(text, ":"); ok && !strings.Contains(header, "=") {
		s.end()
		s.now, s.typeOfNow = &Stanza{Name: strings.TrimSpace(header), File: s.file, Line: n}, ""
		return
	}
	attribute, value, ok := strings.Cut(text, "=")
	switch attribute = strings.TrimSpace(attribute); {
	case !ok || attribute == "":
		s.fail(n, "%q is neither NAME: nor ATTRIBUTE=VALUE", text)
	case s.now == nil:
		s.fail(n, "%s stands before the first NAME:", attribute)
	case attribute == "objtype":
		s.typeOfNow = unquote(value)
	default:
		s.now.Assignments = append(s.now.Assignments, Assignment{attribute, unquote(value), n})
	}
}

func unquote(value string) string {
	value = strings.TrimSpace(value)
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		return value[1 : len(value)-1]
	}
	return value
}

// end closes the stanza that is being read.
func (s *stanzaReader) end() {
	now := s.now
	if now == nil {
		return
	}
	s.now = nil
	if kind, ok := strings.CutPrefix(now.Name, "default-"); ok && (kind == objectType || s.typeOfNow != objectType) {
		if kind == objectType {
			s.defaults = merge(s.defaults, now.Assignments)
			s.defaultType = cmp.Or(s.typeOfNow, s.defaultType)
		}
		return // else it is for objects of another type
	}
	s.typeOfNow = cmp.Or(s.typeOfNow, s.defaultType)
	switch first, again := s.seen[now.Name]; {
	case again:
		s.fail(now.Line, "%s is defined already in line %d", now.Name, first)
		return
	case s.typeOfNow == "":
		s.fail(now.Line, "%s: the line objtype=osimage is missing", now.Name)
		return
	case s.typeOfNow != objectType:
		s.fail(now.Line, "%s is of type %s; rootcast has osimages alone", now.Name, s.typeOfNow)
		return
	}
	s.seen[now.Name] = now.Line
	now.Assignments = merge(s.defaults, now.Assignments)
	s.list = append(s.list, *now)
}

// merge is base with what over says in its stead.
func merge(base, over []Assignment) []Assignment {
	var list []Assignment
	for _, a := range base {
		said := false
		for _, o := range over {
			said = said || o.Attribute == a.Attribute
		}
		if !said {
			list = append(list, a)
		}
	}
	return append(list, over...)
}

// WriteStanzas writes definitions as lsdef -z prints them.
func WriteStanzas(w io.Writer, list ...*Definition) error {
	return WriteListing(w, Listing{Stanza: true}, list...)
}

// quoted is a value as ReadStanzas reads it: it takes one pair of quotes away.
func quoted(value string) string {
	if unquote(value) != value {
		return `"` + value + `"`
	}
	return value
}
