package kmod

import (
	"maps"
	"slices"
	"strings"
)

// aliasIndex finds the aliases that may match. They are kept by what comes before
// their first wildcard: nearly all begin with a bus, a vendor and a device, so
// that few of 25,000 are left to compare.
type aliasIndex struct {
	all      []alias            // in file order
	byPrefix map[string][]int32 // indices into all
	lengths  []int              // of the prefixes, ascending
}

type alias struct {
	text    string // as modules.alias has it
	pattern string // normalised
	module  *Module
}

func (x *aliasIndex) add(text string, m *Module) {
	x.all = append(x.all, alias{text, normalise(text), m})
}

func (x *aliasIndex) build() {
	x.byPrefix = make(map[string][]int32, len(x.all))
	lengths := map[int]bool{}
	for i, a := range x.all {
		prefix := literalPrefix(a.pattern)
		x.byPrefix[prefix] = append(x.byPrefix[prefix], int32(i)) //nolint:gosec // a file of some MiB has fewer lines
		lengths[len(prefix)] = true
	}
	x.lengths = slices.Sorted(maps.Keys(lengths))
}

// exact returns the first module whose alias is name to the letter.
func (x *aliasIndex) exact(name string) *Module {
	for _, i := range x.byPrefix[name] {
		if x.all[i].pattern == name {
			return x.all[i].module
		}
	}
	return nil
}

func (x *aliasIndex) match(modalias string) (modules []*Module) {
	modalias = normalise(modalias)
	var found []int32
	for _, n := range x.lengths {
		if n > len(modalias) {
			break
		}
		for _, i := range x.byPrefix[modalias[:n]] {
			if match(x.all[i].pattern[n:], modalias[n:]) {
				found = append(found, i)
			}
		}
	}
	slices.Sort(found)
	for _, i := range found {
		if m := x.all[i].module; !slices.Contains(modules, m) {
			modules = append(modules, m)
		}
	}
	return modules
}

// Match returns the names of the modules that have an alias for the modalias of
// a device, in the order of modules.alias.
func (s *Set) Match(modalias string) (names []string) {
	for _, m := range s.aliases.match(strings.TrimSpace(modalias)) {
		names = append(names, m.Name)
	}
	return names
}
