package initrd

import (
	_ "embed" // the table
	"slices"
	"strings"
)

//go:embed modules.list
var modulesList string

// classNIC is the class of which a node needs one at least.
const classNIC = "network cards"

// table is modules.list for one architecture.
type table struct {
	names map[string]string // the class by a module's name
	dirs  []classDir
	not   map[string]bool // names
	notIn []string        // directories
}

type classDir struct{ dir, class string }

// newTable reads the lines of text that count for the architecture.
func newTable(text, arch string) *table {
	t := &table{names: map[string]string{}, not: map[string]bool{}}
	class := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if strings.HasPrefix(line, "[") {
			class = strings.Trim(line, "[]")
			continue
		}
		if only, words, ok := strings.Cut(line, ": "); ok {
			if !slices.Contains(strings.Split(only, ","), arch) {
				continue
			}
			line = words
		}
		for word := range strings.FieldsSeq(line) {
			t.add(word, class)
		}
	}
	return t
}

func (t *table) add(word, class string) {
	word, not := strings.CutPrefix(word, "!")
	dir := strings.HasSuffix(word, "/")
	switch {
	case not && dir:
		t.notIn = append(t.notIn, word)
	case not:
		t.not[word] = true
	case dir:
		t.dirs = append(t.dirs, classDir{word, class})
	default:
		t.names[word] = class
	}
}

// class is that of a module, "" where the table does not name it. Its place is
// its file's path below kernel/, "" where that is not known.
func (t *table) class(name, place string) string {
	below := func(dir string) bool { return strings.HasPrefix(place, dir) }
	if t.not[name] || slices.ContainsFunc(t.notIn, below) {
		return ""
	}
	if class, ok := t.names[name]; ok {
		return class
	}
	for _, d := range t.dirs {
		if below(d.dir) {
			return d.class
		}
	}
	return ""
}
