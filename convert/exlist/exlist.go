package exlist

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// List is the rules of one or several files. The zero value drops nothing.
type List struct {
	drop, keep []string
}

// New makes a list of rules without a file: patterns, with "+" before those that keep.
func New(rules ...string) *List {
	l := &List{}
	for _, r := range rules {
		l.add(r)
	}
	return l
}

// Read reads the list in the file name, and all that it includes, into one.
func Read(names ...string) (*List, error) {
	r := reader{list: &List{}}
	for _, name := range names {
		if err := r.file(name); err != nil {
			return nil, err
		}
	}
	return r.list, nil
}

// Drops tells whether a file stays out; name is relative, without "./". The
// root never does.
func (l *List) Drops(name string) bool {
	if name == "." {
		return false
	}
	s := newSubject("./" + name)
	matches := func(pattern string) bool { g := compile(pattern); return g.matches(s) }
	return slices.ContainsFunc(l.drop, matches) && !slices.ContainsFunc(l.keep, matches)
}

// Rules returns the list as [New] takes it; of a nil list there are none.
func (l *List) Rules() []string {
	if l == nil {
		return nil
	}
	rules := slices.Clone(l.drop)
	for _, p := range l.keep {
		rules = append(rules, "+"+p)
	}
	return rules
}

func (l *List) add(rule string) {
	if pattern, ok := strings.CutPrefix(rule, "+"); ok {
		l.keep = append(l.keep, pattern)
		return
	}
	l.drop = append(l.drop, strings.TrimPrefix(rule, "-"))
}

// reader reads files that include each other.
type reader struct {
	list  *List
	stack []string // of the files that are being read
}

func (r *reader) file(name string) error {
	clean := filepath.Clean(name)
	if slices.Contains(r.stack, clean) {
		return fmt.Errorf("the list includes itself: %s", strings.Join(append(r.stack, clean), " includes "))
	}
	f, err := os.Open(clean)
	if err != nil {
		return fmt.Errorf("reading an exclude list: %w", err)
	}
	defer f.Close()
	r.stack = append(r.stack, clean)
	defer func() { r.stack = r.stack[:len(r.stack)-1] }()
	return r.read(clean, f)
}

func (r *reader) read(name string, from io.Reader) error {
	lines := bufio.NewScanner(from)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if include, ok := strings.CutPrefix(line, "#INCLUDE:"); ok {
			if err := r.include(name, include); err != nil {
				return fmt.Errorf("%s:%d: %w", name, n, err)
			}
			continue
		}
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if strings.Trim(line, "+-") == "" {
			if line != "" {
				return fmt.Errorf("%s:%d: %q without a pattern", name, n, line)
			}
			continue
		}
		r.list.add(line)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading exclude list %s: %w", name, err)
	}
	return nil
}

// include reads the list that "#INCLUDE:path#" names.
func (r *reader) include(from, rest string) error {
	path, _, closed := strings.Cut(rest, "#")
	if path = strings.TrimSpace(path); !closed || path == "" {
		return fmt.Errorf("an include is written #INCLUDE:FILE#")
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(from), path)
	}
	return r.file(path)
}
