package kmod

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"strings"
)

// Set is what depmod wrote about the modules of one kernel. It does not change
// once it was read: goroutines may share it.
type Set struct {
	modules  []*Module // in the order of modules.dep
	byName   map[string]*Module
	aliases  aliasIndex
	softdeps map[string]softdep
	builtin  map[string]bool // names
	provided map[string]bool // normalised aliases of what is built in, without wildcards

	order    []string // the lines of modules.order
	builtins []string // the lines of modules.builtin
	info     []string // the aliases of modules.builtin.modinfo, without wildcards
}

// Module is one loadable module.
type Module struct {
	Name string   // with underscores, as the kernel says it
	Path string   // relative to the modules' directory: kernel/drivers/net/virtio_net.ko.xz
	Deps []string // names of all modules that must be loaded before it, in load order
}

type softdep struct{ pre, post []string }

// Name is a module's name as the kernel says it: without directory and ending,
// dashes as underscores.
func Name(s string) string {
	s = s[strings.LastIndexByte(s, '/')+1:]
	if i := strings.Index(s, ".ko"); i >= 0 {
		s = s[:i]
	}
	return strings.ReplaceAll(s, "-", "_")
}

// Read reads the files of depmod in dir. modules.dep must be there; without the
// others there are no aliases, no soft dependencies and nothing built in. Errors
// name the file and the line.
func Read(fsys fs.FS, dir string) (*Set, error) {
	s := &Set{byName: map[string]*Module{}, builtin: map[string]bool{}, provided: map[string]bool{}, softdeps: map[string]softdep{}}
	for _, f := range []struct {
		name  string
		parse func(text string) error
	}{
		{"modules.dep", s.parseDep},
		{"modules.alias", s.parseAliases},
		{"modules.softdep", s.parseSoftdeps},
		{"modules.builtin", s.parseBuiltin},
		{"modules.builtin.modinfo", s.parseBuiltinInfo},
		{"modules.order", s.parseOrder},
	} {
		file := path.Join(dir, f.name)
		text, err := fs.ReadFile(fsys, file)
		switch {
		case errors.Is(err, fs.ErrNotExist) && f.name == "modules.dep":
			return nil, fmt.Errorf("%s has no modules.dep: depmod was never run for this kernel; its package does that, or RUN depmod VERSION in the recipe: %w", dir, err)
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, fmt.Errorf("reading about modules: %w", err)
		}
		if err := f.parse(string(text)); err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
	}
	s.aliases.build()
	return s, nil
}

// Lookup finds a module by its name or by an alias: one without wildcards, such as
// fs-ext4 or crypto-sha256. Of several modules with that alias it returns the
// first; [Set.Match] has them all.
func (s *Set) Lookup(name string) (Module, bool) {
	if m := s.byName[Name(name)]; m != nil {
		return *m, true
	}
	if m := s.aliases.exact(normalise(name)); m != nil {
		return *m, true
	}
	return Module{}, false
}

// All lists the modules in the order of modules.dep.
func (s *Set) All() iter.Seq[Module] {
	return func(yield func(Module) bool) {
		for _, m := range s.modules {
			if !yield(*m) {
				return
			}
		}
	}
}

// IsBuiltin tells whether the kernel has the module, or what the alias stands
// for, in itself.
func (s *Set) IsBuiltin(name string) bool {
	return s.builtin[Name(name)] || s.provided[normalise(name)]
}

// Softdeps returns the modules, by name or alias, that are wanted before and after
// one, and without which it works too (modprobe.d(5), softdep).
func (s *Set) Softdeps(name string) (pre, post []string) {
	d := s.softdeps[Name(name)]
	return d.pre, d.post
}
