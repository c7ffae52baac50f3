package apt

import (
	"errors"
	"fmt"
	"strings"
)

// paragraph is a row of fields, by name in lower case, and the number of its
// first line.
type paragraph struct {
	line   int
	fields map[string]string
}

// parseParagraphs parses deb822(5): FIELD: VALUE lines, continued on lines that
// begin with a blank, in paragraphs that empty lines part.
func parseParagraphs(text string) ([]paragraph, error) {
	var (
		list []paragraph
		p    paragraph
		last string // the field that a continuation line continues
	)
	end := func() {
		if p.fields != nil {
			list = append(list, p)
		}
		p, last = paragraph{}, ""
	}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, " \t\r")
		switch {
		case line == "":
			end()
		case line[0] == '#':
		case line[0] == ' ' || line[0] == '\t':
			if last == "" {
				return nil, fmt.Errorf("%d: a continuation line continues no field", i+1)
			}
			p.fields[last] = strings.TrimPrefix(p.fields[last]+"\n"+strings.TrimSpace(line), "\n")
		default:
			name, value, err := parseField(line)
			if err != nil {
				return nil, fmt.Errorf("%d: %w", i+1, err)
			}
			if p.fields == nil {
				p = paragraph{line: i + 1, fields: map[string]string{}}
			}
			if _, ok := p.fields[name]; ok {
				return nil, fmt.Errorf("%d: the field %s stands twice", i+1, name)
			}
			p.fields[name], last = value, name
		}
	}
	end()
	return list, nil
}

func parseField(line string) (name, value string, err error) {
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		return "", "", fmt.Errorf("%q is not FIELD: VALUE", line)
	}
	if name == "" || strings.ContainsAny(name, " \t") {
		return "", "", errors.New("a field has no name")
	}
	return strings.ToLower(name), strings.TrimSpace(value), nil
}
