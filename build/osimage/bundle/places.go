package bundle

import (
	"path"
	"slices"
	"strings"
)

// Places are the directories that an import may write to.
type Places struct {
	// Known may hold files of bundles, but no hidden ones.
	Known []string
	// Definitions hold osimages' definitions, which no bundle brings as files; beside
	// them they are Known.
	Definitions []string
	// Allowed may hold any file.
	Allowed []string
}

// OutsideError is about files that would go elsewhere.
type OutsideError struct{ Paths []string }

func (e *OutsideError) Error() string {
	return "the bundle has files for places that are not known to hold such: " + some(e.Paths)
}

// Check refuses files that go to none of the places.
func (p Places) Check(files []File) error {
	var outside []string
	for _, f := range files {
		if p.of(f.Dest) == "" {
			outside = append(outside, f.Dest)
		}
	}
	if outside == nil {
		return nil
	}
	slices.Sort(outside)
	return &OutsideError{outside}
}

// of is the directory among the places that a file would go to, "" if none.
func (p Places) of(file string) string {
	best := ""
	take := func(dirs []string, plain bool) {
		for _, dir := range dirs {
			dir = path.Clean(dir)
			rel, ok := strings.CutPrefix(file, strings.TrimSuffix(dir, "/")+"/")
			if ok && len(dir) > len(best) && (!plain || !hidden(rel)) {
				best = dir
			}
		}
	}
	take(p.Known, true)
	for _, dir := range p.Definitions {
		if path.Dir(file) != path.Clean(dir) || path.Ext(file) != ".yaml" {
			take([]string{dir}, true)
		} else {
			best = ""
		}
	}
	take(p.Allowed, false)
	return best
}

// hidden tells whether a part of a path begins with a dot: what reads such, as git
// does its hooks, is not for bundles.
func hidden(rel string) bool {
	return slices.ContainsFunc(strings.Split(rel, "/"), func(part string) bool { return strings.HasPrefix(part, ".") })
}
