package statelite

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPath is the longest path that the kernel takes (PATH_MAX without its NUL, linux/limits.h).
const maxPath = 4095

// check refuses a path that no rule can have.
func (r Rule) check() error {
	switch name := r.Name(); {
	case !strings.HasPrefix(r.Path, "/"):
		return fmt.Errorf("%q is not an absolute path", r.Path)
	case name == "":
		return errors.New("a rule for / itself: the root is in memory anyway")
	case !utf8.ValidString(r.Path) || strings.ContainsFunc(r.Path, unicode.IsControl):
		return fmt.Errorf("%q has characters that do not belong into a path", r.Path)
	case len(r.Path) > maxPath:
		return fmt.Errorf("a path of %d bytes is too long", len(r.Path))
	case strings.TrimSuffix(r.Path, "/") != path.Clean(r.Path):
		return fmt.Errorf("%q is not a clean path: write %s", r.Path, cleaned(r))
	case Volatile(name):
		return fmt.Errorf("%s: the booted system mounts /proc, /sys, /dev and /run anew: leave the rule out", r.Path)
	case slices.Contains([]string{".statelite", ".sllocal", ".default"}, top(name)):
		return fmt.Errorf("%s is where statelite keeps its own files", r.Path)
	}
	if r.Option.Plain() == Concat && r.IsDir() {
		return fmt.Errorf("%s is a directory, which option %s cannot be for", r.Path, r.Option)
	}
	return nil
}

func top(name string) string {
	first, _, _ := strings.Cut(name, "/")
	return first
}

func cleaned(r Rule) string {
	clean := path.Clean(r.Path)
	if r.IsDir() && clean != "/" {
		clean += "/"
	}
	return clean
}

// sort puts directories before what is in them; a slash at the end does not count.
func (s *Rules) sort() {
	slices.SortStableFunc(s.Rules, func(a, b Rule) int {
		return cmp.Or(slices.Compare(strings.Split(a.Name(), "/"), strings.Split(b.Name(), "/")), cmp.Compare(a.Line, b.Line))
	})
}

// relations finds what is wrong between the rules, which are sorted.
func (s *Rules) relations(fail func(Rule, error)) {
	byName := map[string]Rule{}
	for _, r := range s.Rules {
		name := r.Name()
		if other, ok := byName[name]; ok {
			fail(r, fmt.Errorf("%s has a rule already%s", r.Path, at(other)))
			continue
		}
		byName[name] = r
		if above, ok := s.Above(r); ok {
			if err := r.below(above); err != nil {
				fail(r, err)
			}
		}
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if above, ok := byName[dir]; ok && !above.IsDir() {
				fail(r, fmt.Errorf("%s is below %s%s, a directory, whose rule must end with a slash", r.Path, above.Path, at(above)))
			}
		}
	}
}

// below applies liteimg's rules for a directory and what is in it.
func (r Rule) below(above Rule) error {
	where := fmt.Sprintf("%s is %s, and %s above it is %s%s", r.Path, r.Option, above.Path, above.Option, at(above))
	switch {
	case above.Option.Plain() == ReadOnly || above.Option.Plain() == Concat:
		return fmt.Errorf("%s: such a directory can have no rules in it", where)
	case above.Option.isLink() && r.Option == LinkReadOnly:
		return fmt.Errorf("%s: link,ro cannot be in it", where)
	case above.Option.isLink() && !r.Option.isLink():
		return fmt.Errorf("%s: only options with link can be in it", where)
	case !above.Option.isLink() && r.Option.isLink() && r.Path != "/etc/mtab":
		return fmt.Errorf("%s: no option with link can be in it", where)
	case above.Option.Plain() == Persistent && r.Option.Plain() != Persistent:
		return fmt.Errorf("%s: what is in a persistent directory must be persistent", where)
	}
	return nil
}

// at tells where a rule stands, if it does.
func at(r Rule) string {
	if r.Line == 0 {
		return ""
	}
	return fmt.Sprintf(" (line %d)", r.Line)
}
