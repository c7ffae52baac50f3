package kmod

import (
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
)

// parseDep reads "PATH: DEPENDENCY…" (modules.dep(5)): of the dependencies, all of
// them and not the direct ones alone, the last is loaded first.
func (s *Set) parseDep(text string) error {
	for n, line := range lines(text) {
		file, rest, ok := strings.Cut(line, ":")
		if !ok {
			return fmt.Errorf("line %d: %q is not PATH: DEPENDENCIES", n, line)
		}
		file = relative(strings.TrimSpace(file))
		m := &Module{Name: Name(file), Path: file}
		if !fs.ValidPath(file) || m.Name == "" || file == "." {
			return fmt.Errorf("line %d: %q is no path of a module", n, file)
		}
		for dep := range strings.FieldsSeq(rest) {
			m.Deps = append(m.Deps, Name(dep))
		}
		slices.Reverse(m.Deps)
		// Of two modules of one name depmod lists the one that counts.
		if s.byName[m.Name] == nil {
			s.modules = append(s.modules, m)
			s.byName[m.Name] = m
		}
	}
	return nil
}

// relative is a path below the modules' directory: module-init-tools wrote
// absolute ones.
func relative(file string) string {
	if _, below, ok := strings.Cut(file, "/lib/modules/"); ok && strings.HasPrefix(file, "/") {
		_, file, _ = strings.Cut(below, "/")
	}
	return strings.TrimLeft(file, "/")
}

// parseAliases reads "alias PATTERN MODULE" (modprobe.d(5)). depmod writes what
// the modules say, even an empty pattern or one with blanks.
func (s *Set) parseAliases(text string) error {
	for n, line := range lines(text) {
		rest, ok := strings.CutPrefix(line, "alias ")
		if !ok {
			return fmt.Errorf("line %d: %q is not alias PATTERN MODULE", n, line)
		}
		rest = strings.TrimSpace(rest)
		i := strings.LastIndexAny(rest, " \t")
		if i < 0 {
			continue
		}
		// A module may have been removed since depmod ran.
		if m := s.byName[Name(rest[i+1:])]; m != nil {
			s.aliases.add(strings.TrimSpace(rest[:i]), m)
		}
	}
	return nil
}

// parseSoftdeps reads "softdep MODULE pre: NAME… post: NAME…" (modprobe.d(5)).
func (s *Set) parseSoftdeps(text string) error {
	for n, line := range lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "softdep" {
			return fmt.Errorf("line %d: %q is not softdep MODULE pre: … post: …", n, line)
		}
		name := Name(words[1])
		d := s.softdeps[name]
		d.add(words[2:])
		s.softdeps[name] = d
	}
	return nil
}

// add takes "pre: NAME… post: NAME…".
func (d *softdep) add(words []string) {
	var to *[]string
	for _, w := range words {
		switch {
		case w == "pre:":
			to = &d.pre
		case w == "post:":
			to = &d.post
		case to != nil:
			*to = append(*to, w)
		}
	}
}

// parseBuiltin reads paths, one a line.
func (s *Set) parseBuiltin(text string) error {
	for _, line := range lines(text) {
		s.builtins = append(s.builtins, line)
		s.builtin[Name(line)] = true
	}
	return nil
}

// parseBuiltinInfo reads "MODULE.KEY=VALUE" entries, each with a NUL at its end
// (Documentation/kbuild/kbuild.rst, modules.builtin.modinfo). Patterns are left
// out: nothing needs loading for a device whose driver is there.
func (s *Set) parseBuiltinInfo(text string) error {
	for entry := range strings.SplitSeq(text, "\x00") {
		key, value, _ := strings.Cut(entry, "=")
		if !strings.HasSuffix(key, ".alias") || value == "" || hasWildcard(value) {
			continue
		}
		s.info = append(s.info, entry)
		s.provided[normalise(value)] = true
	}
	return nil
}

func (s *Set) parseOrder(text string) error {
	for _, line := range lines(text) {
		s.order = append(s.order, line)
	}
	return nil
}

// lines yields what is neither empty nor a comment, with its number.
func lines(text string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		n := 0
		for line := range strings.Lines(text) {
			n++
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			if !yield(n, line) {
				return
			}
		}
	}
}
