package osimage

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Definition is an osimage: a name, and what is set of its attributes.
type Definition struct {
	Name string
	// Path is the file that it was read from; "" if none.
	Path string

	values   map[string]string
	lines    map[string]int // where in the file each attribute stands
	text     *yaml.Node     // the file's document as it was read; nil if it had none
	comments string         // of a file that had nothing else
}

// AttributeError is about a name that no attribute has.
type AttributeError struct{ Name string }

// Error is what xCAT says, to the letter, and which attribute may be meant.
func (e *AttributeError) Error() string {
	text := fmt.Sprintf("'%s' is not a valid attribute name for an object type of 'osimage'.", e.Name)
	if near := nearestAttribute(e.Name); near != "" {
		text += " Did you mean " + near + "?"
	}
	return text
}

// Problem is a mistake in a definition or in a file that it names.
type Problem struct {
	File string
	Line int // 0 if the file as a whole is meant
	Text string
}

func (p Problem) Error() string {
	switch {
	case p.File == "":
		return p.Text
	case p.Line == 0:
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}

// Problems are all the mistakes that were found, in the order of the text.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// err is p as an error, nil if there is none.
func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return p
}

// Get returns the value of an attribute, "" where it is not set.
func (d *Definition) Get(attribute string) string { return d.values[attribute] }

// Set sets an attribute, and with the value "" unsets it. Paths in it that are
// relative are meant from the directory dir. An error means that there is no such
// attribute, or that its value can never be right.
func (d *Definition) Set(attribute, value, dir string) error {
	a, ok := FindAttribute(attribute)
	if !ok {
		return &AttributeError{attribute}
	}
	value = strings.TrimSpace(value)
	if strings.ContainsAny(value, "\n\r\x00") {
		return fmt.Errorf("the value of %s has a line break or a zero byte in it", attribute)
	}
	if value == "" {
		delete(d.values, attribute)
		return nil
	}
	if a.Kind == Word && !slices.Contains(a.Values, value) {
		return fmt.Errorf("%s=%s: it can be %s", attribute, value, strings.Join(a.Values, ", "))
	}
	if d.values == nil {
		d.values = map[string]string{}
	}
	d.values[attribute] = a.mapPaths(value, func(path string) string {
		if filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(dir, path)
	})
	return nil
}

// Attributes returns the names of what is set, sorted.
func (d *Definition) Attributes() []string { return slices.Sorted(maps.Keys(d.values)) }

// Clone returns a copy under another name, which is in no file yet.
func (d *Definition) Clone(name string) *Definition {
	return &Definition{Name: name, values: maps.Clone(d.values)}
}

// Public is the definition without the names and passwords in the URLs of
// repositories, for what others read.
func (d *Definition) Public() *Definition {
	public := d.Clone(d.Name)
	userinfo := regexp.MustCompile(`(://)[^/\s]*@`)
	for _, name := range []string{"pkgdir", "otherpkgdir", "kerneldir"} {
		if value, ok := public.values[name]; ok {
			public.values[name] = userinfo.ReplaceAllString(value, "$1")
		}
	}
	return public
}

// Items returns the items of a list, without the space around them.
func (d *Definition) Items(attribute string) []string { return split(d.values[attribute], ",") }

// Environment returns the pairs of environvar.
func (d *Definition) Environment() map[string]string {
	env := map[string]string{}
	for _, item := range d.Items("environvar") {
		if name, value, ok := strings.Cut(item, "="); ok {
			env[name] = value
		}
	}
	return env
}

// problem is a mistake in the value of an attribute.
func (d *Definition) problem(attribute, format string, args ...any) Problem {
	return Problem{cmp.Or(d.Path, d.Name), d.lines[attribute], attribute + ": " + fmt.Sprintf(format, args...)}
}

// mapPaths returns value with each path in it changed, and all else as it was.
func (a Attribute) mapPaths(value string, change func(string) string) string {
	if !a.hasPaths() {
		return value
	}
	items := strings.Split(value, ",")
	for i, item := range items {
		path := strings.TrimSpace(item)
		rest := ""
		if a.Kind == Scripts { // its arguments stay
			path, rest, _ = strings.Cut(path, " ")
		}
		if path == "" || a.Kind == Places && !isPath(path) {
			continue
		}
		if changed := change(path); changed != path {
			items[i] = strings.TrimRight(changed+" "+rest, " ")
		}
	}
	return strings.Join(items, ",")
}

// isPath tells a directory from the URL of a repository, which may have a suite
// and components behind it ("http://host/ubuntu noble main").
func isPath(place string) bool { return !strings.Contains(place, "://") }
