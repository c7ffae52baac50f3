package osimage

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// Listing says how WriteListing shows definitions; the zero value shows all that
// is set, as lsdef -l does.
type Listing struct {
	// Short shows names and the type alone (lsdef -s).
	Short bool
	// Stanza writes a stanza file, which ReadStanzas reads (-z).
	Stanza bool
	// Attributes shows these, also where they are not set (-i).
	Attributes []string
	// Compress puts the name before each of Attributes (-c).
	Compress bool
	// Where adds where xCAT keeps each attribute (-V).
	Where bool
}

// WriteListing writes definitions as lsdef prints them.
func WriteListing(w io.Writer, l Listing, list ...*Definition) error {
	var b strings.Builder
	if l.Stanza {
		b.WriteString(StanzaHeader + "\n")
	}
	for _, d := range list {
		switch {
		case l.Stanza:
			fmt.Fprintf(&b, "\n%s:\n    objtype=%s\n", d.Name, objectType)
		case l.Short:
			fmt.Fprintf(&b, "%s  (%s)\n", d.Name, objectType)
			continue
		case !l.Compress:
			fmt.Fprintf(&b, "Object name: %s\n", d.Name)
		}
		names := l.Attributes
		if names == nil {
			names = d.Attributes()
		}
		for _, name := range slices.Sorted(slices.Values(names)) {
			prefix := "    "
			if l.Compress {
				prefix = d.Name + ": "
			}
			value := d.Get(name)
			if l.Stanza {
				value = quoted(value)
			}
			fmt.Fprintf(&b, "%s%s=%s%s\n", prefix, name, value, l.place(d, name))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (l Listing) place(d *Definition, name string) string {
	a, ok := FindAttribute(name)
	if !l.Where || !ok || l.Stanza {
		return ""
	}
	return fmt.Sprintf("\t(Table:%s - Key:imagename=%s - Column:%s)", a.Table, d.Name, a.Column)
}

// Filter is a condition on an attribute: NAME==VALUE, NAME!=VALUE, or by a
// regular expression NAME=~PATTERN and NAME!~PATTERN.
type Filter struct {
	attribute string
	negative  bool
	match     func(value string) bool
}

// ParseFilter reads a condition. A pattern may stand between slashes, as in Perl.
func ParseFilter(text string) (Filter, error) {
	i := strings.IndexAny(text, "=!")
	if i <= 0 || i+1 >= len(text) {
		return Filter{}, fmt.Errorf("%q is no condition such as osarch==x86_64", text)
	}
	operator, value := text[i:i+2], text[i+2:]
	f := Filter{attribute: text[:i], negative: operator[0] == '!'}
	if _, ok := FindAttribute(f.attribute); !ok {
		return Filter{}, &AttributeError{f.attribute}
	}
	switch operator {
	case "==", "!=":
		f.match = func(have string) bool { return have == value }
	case "=~", "!~":
		if len(value) > 1 && strings.HasPrefix(value, "/") && strings.HasSuffix(value, "/") {
			value = value[1 : len(value)-1]
		}
		pattern, err := regexp.Compile(value)
		if err != nil {
			return Filter{}, fmt.Errorf("%q: %w", text, err)
		}
		f.match = pattern.MatchString
	default:
		return Filter{}, fmt.Errorf("%q: the operators are ==, !=, =~ and !~", text)
	}
	return f, nil
}

// Holds tells whether the condition holds for d.
func (f Filter) Holds(d *Definition) bool { return f.match(d.Get(f.attribute)) != f.negative }
