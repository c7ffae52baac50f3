package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// kernelCore is what EL calls the package that holds the kernel.
const kernelCore = "kernel-core"

// rules is the file of that name.
type rules struct {
	fetch    []string
	drop     map[string]bool
	renamed  map[string]string
	provides map[string][]string // by the new name
	requires map[string][]string // by the new name
	modules  map[string][2]string
	owners   map[string]map[string]owner
}

// owner is whose a file is, and its mode: "-" for that of a symbolic link.
type owner struct {
	mode, user, group string
}

// parseRules reads rules, with the kernel's package in its place.
func parseRules(r io.Reader, kernel string) (*rules, error) {
	rs := &rules{
		drop: map[string]bool{}, renamed: map[string]string{},
		provides: map[string][]string{}, requires: map[string][]string{},
		modules: map[string][2]string{}, owners: map[string]map[string]owner{},
	}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		for i, field := range fields {
			if field == "@KERNEL@" {
				fields[i] = kernel
			}
		}
		if err := rs.add(fields[0], fields[1:]); err != nil {
			return nil, fmt.Errorf("%d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return rs, nil
}

// add takes one line.
func (r *rules) add(verb string, args []string) error {
	wanted := map[string][2]int{ // at least, at most
		"fetch": {1, 1 << 10}, "drop": {1, 1 << 10}, "rename": {2, 2},
		"provide": {2, 1 << 10}, "require": {2, 1 << 10}, "module": {3, 3}, "owner": {5, 5},
	}
	n, ok := wanted[verb]
	if !ok {
		return fmt.Errorf("there is no verb %q", verb)
	}
	if len(args) < n[0] || len(args) > n[1] {
		return fmt.Errorf("%s with %d arguments", verb, len(args))
	}
	switch verb {
	case "fetch":
		r.fetch = append(r.fetch, args...)
	case "drop":
		for _, name := range args {
			r.drop[name] = true
		}
	case "rename":
		r.renamed[args[0]] = args[1]
	case "provide":
		r.provides[args[0]] = append(r.provides[args[0]], args[1:]...)
	case "require":
		r.requires[args[0]] = append(r.requires[args[0]], args[1:]...)
	case "module":
		r.modules[args[0]] = [2]string{args[1], args[2]}
	case "owner":
		if r.owners[args[0]] == nil {
			r.owners[args[0]] = map[string]owner{}
		}
		r.owners[args[0]][args[1]] = owner{mode: args[2], user: args[3], group: args[4]}
	}
	return nil
}

func (r *rules) dropped(name string) bool { return r.drop[name] }

// kernelOf is the kernel's version that Debian has in a package's name, or "".
func kernelOf(name string) string {
	if release, ok := strings.CutPrefix(name, "linux-image-"); ok && release != "" && release[0] >= '0' && release[0] <= '9' {
		return release
	}
	return ""
}

// name is what a Debian package is called here.
func (r *rules) name(debian string) string {
	if kernelOf(debian) != "" {
		return kernelCore
	}
	if name, ok := r.renamed[debian]; ok {
		return name
	}
	return debian
}

// available is every name that a requirement may have: packages, and what they
// provide.
func available(set []*deb, r *rules) map[string]bool {
	names := map[string]bool{}
	for _, d := range set {
		if r.dropped(d.name) {
			continue
		}
		names[d.name] = true
		for _, group := range d.provides {
			for _, p := range group {
				names[p.name] = true
			}
		}
	}
	return names
}

// requirements turns what a package depends on into what it requires: of
// alternatives the first that there is, and nothing where one of them is dropped.
func requirements(d *deb, r *rules, names map[string]bool) ([]string, error) {
	var requires []string
	for _, group := range d.depends {
		if slices.ContainsFunc(group, func(a relation) bool { return r.dropped(a.name) }) {
			continue
		}
		i := slices.IndexFunc(group, func(a relation) bool { return names[a.name] })
		if i < 0 {
			return nil, fmt.Errorf("nothing provides %s", group[0].name)
		}
		requires = append(requires, group[i].rpm())
	}
	return append(requires, r.requires[r.name(d.name)]...), nil
}
