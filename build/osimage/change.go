package osimage

import (
	"fmt"
	"slices"
	"strings"
)

// Change says how a value joins what an attribute has.
type Change int

// The changes that chdef makes.
const (
	Assign   Change = iota
	Add             // to a list, what is not in it yet
	Subtract        // from a list
)

// Apply changes an attribute; dir is what relative paths in value are meant from.
func (d *Definition) Apply(how Change, attribute, value, dir string) error {
	if how == Assign {
		return d.Set(attribute, value, dir)
	}
	a, ok := FindAttribute(attribute)
	if !ok {
		return &AttributeError{attribute}
	}
	separator := ","
	switch {
	case attribute == "addkcmdline": // kernel arguments
		if how == Add {
			return d.Set(attribute, addArguments(d.Get(attribute), value), dir)
		}
		separator = " "
	case a.Kind == Text || a.Kind == Word:
		return fmt.Errorf("%s has one value, to which nothing is added and from which nothing is taken: set it by %s=VALUE", attribute, attribute)
	}
	change := &Definition{}
	if err := change.Set(attribute, value, dir); err != nil {
		return err
	}
	items := split(d.Get(attribute), separator)
	for _, item := range split(change.Get(attribute), separator) {
		there := slices.Contains(items, item)
		switch {
		case how == Add && !there:
			items = append(items, item)
		case how == Subtract && there:
			items = slices.DeleteFunc(items, func(one string) bool { return one == item })
		}
	}
	return d.Set(attribute, strings.Join(items, separator), dir)
}

// addArguments leaves what is there as it is, for space may be quoted in it.
func addArguments(have, more string) string {
	for _, argument := range strings.Fields(more) {
		if !slices.Contains(strings.Fields(have), argument) {
			have += " " + argument
		}
	}
	return have
}

// split is the items of a list, without the space around them.
func split(list, separator string) []string {
	var items []string
	for item := range strings.SplitSeq(list, separator) {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}
