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

// Rule is a line of a list.
type Rule struct {
	Pattern string
	Keep    bool   // it keeps what it matches, whatever the others say
	File    string // where it stands; "": in no file
	Line    int
}

// String is the rule as [New] takes it.
func (r Rule) String() string {
	switch {
	case r.Keep:
		return "+" + r.Pattern
	case strings.HasPrefix(r.Pattern, "+") || strings.HasPrefix(r.Pattern, "-"):
		return "-" + r.Pattern
	}
	return r.Pattern
}

// List is the rules of one or several files. The zero value drops nothing.
type List struct {
	drop, keep []rule
}

// rule is a rule that is ready to be asked.
type rule struct {
	Rule
	glob
}

// New makes a list of rules without a file: patterns, with "+" before those that keep.
func New(rules ...string) *List {
	l := &List{}
	for _, r := range rules {
		l.add(r, "", 0)
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
	return first(l.drop, s) >= 0 && first(l.keep, s) < 0
}

// first is the index of the first rule that matches, -1 where none does.
func first(rules []rule, s subject) int {
	for i := range rules {
		if rules[i].matches(s) {
			return i
		}
	}
	return -1
}

// Rules returns the list as [New] takes it; of a nil list there are none.
func (l *List) Rules() []string {
	if l == nil {
		return nil
	}
	var rules []string
	for _, r := range l.drop {
		rules = append(rules, r.String())
	}
	for _, r := range l.keep {
		rules = append(rules, r.String())
	}
	return rules
}

func (l *List) add(text, file string, line int) {
	if pattern, ok := strings.CutPrefix(text, "+"); ok {
		l.keep = append(l.keep, rule{Rule{pattern, true, file, line}, compile(pattern)})
		return
	}
	pattern := strings.TrimPrefix(text, "-")
	l.drop = append(l.drop, rule{Rule{pattern, false, file, line}, compile(pattern)})
}

// reader reads files that include each other.
type reader struct {
	list  *List
	stack []source // of the files that are being read
}

// source is a file that is being read.
type source struct {
	name string
	info os.FileInfo
}

func (r *reader) file(name string) error {
	clean := filepath.Clean(name)
	f, err := os.Open(clean)
	if err != nil {
		return fmt.Errorf("reading an exclude list: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("reading an exclude list: %w", err)
	}
	if err := r.refuseCycle(clean, info); err != nil {
		return err
	}
	r.stack = append(r.stack, source{clean, info})
	defer func() { r.stack = r.stack[:len(r.stack)-1] }()
	return r.read(clean, f)
}

// refuseCycle refuses a file that is being read already, by whatever name.
func (r *reader) refuseCycle(name string, info os.FileInfo) error {
	i := slices.IndexFunc(r.stack, func(s source) bool { return os.SameFile(s.info, info) })
	if i < 0 {
		return nil
	}
	var names []string
	for _, s := range r.stack[i:] {
		names = append(names, s.name)
	}
	return fmt.Errorf("the list includes itself: %s", strings.Join(append(names, name), " includes "))
}

func (r *reader) read(name string, from io.Reader) error {
	lines := bufio.NewScanner(from)
	n := 1
	for ; lines.Scan(); n++ {
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
		r.list.add(line, name, n)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s:%d: reading an exclude list: %w", name, n, err)
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
