package initrd

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/xrash/smetrics"
)

// maxNear is how many names an error offers.
const maxNear = 5

// nearest returns the names most like word, the likest first: those that differ
// by few letters or that hold it.
func nearest(word string, names map[string]bool) []string {
	type near struct {
		name string
		far  int
	}
	var found []near
	limit := 1 + len(word)/4
	for _, name := range slices.Sorted(maps.Keys(names)) {
		far := smetrics.WagnerFischer(word, name, 1, 1, 1) // letters to change, add or take away
		if far > limit && (len(word) < 3 || !strings.Contains(name, word)) {
			continue
		}
		found = append(found, near{name, far})
	}
	slices.SortStableFunc(found, func(a, b near) int { return cmp.Compare(a.far, b.far) })
	list := []string{}
	for _, n := range found[:min(len(found), maxNear)] {
		list = append(list, n.name)
	}
	return list
}
