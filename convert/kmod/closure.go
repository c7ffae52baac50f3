package kmod

import "slices"

// Closure returns the modules of the names, or aliases, and all that they need or
// softly want, in load order and each once. An alias stands for every module that
// has it. What is wanted, or needed, but neither a module nor built in comes back
// in missing; a soft dependency that does not exist is not missed.
//
// The order is that of modprobe --show-depends: what a module needs, its softdep
// pre, the module, its softdep post.
func (s *Set) Closure(names ...string) (modules []Module, missing []string) {
	c := closure{set: s, state: map[string]state{}}
	for _, name := range names {
		found := s.resolve(name)
		if len(found) == 0 && !s.IsBuiltin(name) {
			c.miss(name)
		}
		for _, m := range found {
			c.add(m)
		}
	}
	return c.modules, c.missing
}

// resolve returns the modules that a name stands for.
func (s *Set) resolve(name string) []*Module {
	if m := s.byName[Name(name)]; m != nil {
		return []*Module{m}
	}
	if name == "" || s.builtin[Name(name)] {
		return nil
	}
	return s.aliases.match(name)
}

type state int

const (
	unseen state = iota
	begun        // on the way: what it needs is being added
	added
)

type closure struct {
	set     *Set
	state   map[string]state
	modules []Module
	missing []string
	waiting []*Module // soft ones that need a module which is still on the way
}

func (c *closure) miss(name string) {
	if !slices.Contains(c.missing, name) {
		c.missing = append(c.missing, name)
	}
}

func (c *closure) add(m *Module) {
	if c.state[m.Name] != unseen {
		return
	}
	c.state[m.Name] = begun
	for _, name := range m.Deps {
		if dep := c.set.byName[name]; dep != nil {
			c.add(dep)
		} else if !c.set.builtin[name] {
			c.miss(name)
		}
	}
	soft := c.set.softdeps[m.Name]
	c.soften(soft.pre)
	c.state[m.Name] = added
	c.modules = append(c.modules, *m)
	waiting := c.waiting
	c.waiting = nil
	for _, w := range waiting {
		c.addSoft(w)
	}
	c.soften(soft.post)
}

// soften adds soft dependencies.
func (c *closure) soften(names []string) {
	for _, name := range names {
		for _, m := range c.set.resolve(name) {
			c.addSoft(m)
		}
	}
}

// addSoft adds a module that is softly wanted, but not before what it needs: if
// that is still on the way itself, the module waits for it.
func (c *closure) addSoft(m *Module) {
	if slices.ContainsFunc(m.Deps, func(dep string) bool { return c.state[dep] == begun }) {
		c.waiting = append(c.waiting, m)
		return
	}
	c.add(m)
}
