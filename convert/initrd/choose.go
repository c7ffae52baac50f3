package initrd

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/rootcast/rootcast/convert/kmod"
)

// chooser picks the modules of a first stage.
type chooser struct {
	o        Options
	image    fs.FS
	set      *kmod.Set
	table    *table
	places   *places
	all      []kmod.Module
	added    map[string]bool // by AddModules
	omitted  map[string]bool
	warnings []string
}

func newChooser(image fs.FS, o Options, set *kmod.Set) (*chooser, error) {
	places, err := readPlaces(image, o.Kernel.Modules)
	if err != nil {
		return nil, err
	}
	c := &chooser{
		o: o, image: image, set: set, places: places, table: newTable(modulesList, o.Architecture),
		all: slices.Collect(set.All()), added: map[string]bool{}, omitted: map[string]bool{},
	}
	return c, nil
}

// choose returns the modules that are carried, in an order in which they load.
func (c *chooser) choose() ([]kmod.Module, error) {
	if err := c.readWords(); err != nil {
		return nil, err
	}
	var names []string
	for _, m := range c.all {
		// What the user added he gets, and what omits take away is not there for others.
		lost := c.needsOmitted(m)
		switch {
		case c.added[m.Name] && lost != "":
			return nil, fmt.Errorf("adding module %s: it needs %s, which is omitted: check --omit-module", m.Name, lost)
		case c.added[m.Name], lost == "" && c.table.class(m.Name, c.places.of(m)) != "":
			names = append(names, m.Name)
		}
	}
	modules, missing := c.set.Closure(names...)
	if len(missing) > 0 {
		c.warnings = append(c.warnings, fmt.Sprintf("modules of kernel %s need %s, which it does not have", c.o.Kernel.Version, strings.Join(missing, ", ")))
	}
	// Soft dependencies may have brought some back.
	return slices.DeleteFunc(modules, func(m kmod.Module) bool { return c.needsOmitted(m) != "" }), nil
}

// readWords finds what AddModules and OmitModules mean.
func (c *chooser) readWords() error {
	for _, word := range c.o.OmitModules {
		found, builtin, err := c.find(word)
		switch {
		case err != nil:
			return fmt.Errorf("omitting module %q: %w", word, err)
		case len(found) == 0 && builtin:
			c.warnings = append(c.warnings, fmt.Sprintf("omitting module %q: it is built into kernel %s and cannot be left out", word, c.o.Kernel.Version))
		case len(found) == 0:
			c.warnings = append(c.warnings, fmt.Sprintf("omitting module %q: kernel %s has none of that name", word, c.o.Kernel.Version))
		}
		for _, name := range found {
			c.omitted[name] = true
		}
	}
	for _, word := range c.o.AddModules {
		found, builtin, err := c.find(word)
		if err == nil && len(found) == 0 && !builtin {
			err = c.unknown(word)
		}
		if err != nil {
			return fmt.Errorf("adding module %q: %w", word, err)
		}
		for _, name := range found {
			c.added[name] = true
		}
	}
	return nil
}

// needsOmitted returns which omitted module keeps m out: itself or one that it needs.
func (c *chooser) needsOmitted(m kmod.Module) string {
	if c.omitted[m.Name] {
		return m.Name
	}
	for _, dep := range m.Deps {
		if c.omitted[dep] {
			return dep
		}
	}
	return ""
}

// find returns the modules that a word of AddModules or OmitModules means, and
// whether it means anything that is built in.
func (c *chooser) find(word string) (modules []string, builtin bool, err error) {
	switch {
	case strings.Contains(word, ":"):
		return c.set.Match(word), false, nil
	case strings.Contains(word, "/"):
		return c.findPlace(word)
	case strings.ContainsAny(word, "*?["):
		pattern := strings.ReplaceAll(word, "-", "_")
		if strings.Contains(word, "[") {
			pattern = word // "-" may be a range
		}
		return c.findAll(func(name, _ string) (bool, error) { return path.Match(pattern, name) })
	}
	if m, ok := c.set.Lookup(word); ok && m.Name == kmod.Name(word) {
		return []string{m.Name}, false, nil
	}
	return c.set.Match(word), c.set.IsBuiltin(word), nil // an alias may stand for several
}

// findPlace finds modules by a directory, a file or a pattern of either.
func (c *chooser) findPlace(word string) (modules []string, builtin bool, err error) {
	pattern := strings.Trim(word, "/")
	if _, below, ok := strings.Cut("/"+pattern, "/lib/modules/"+c.o.Kernel.Version+"/"); ok {
		pattern = below
	}
	pattern = stem(strings.TrimPrefix(pattern, "kernel/"))
	return c.findAll(func(_, place string) (bool, error) {
		for place = stem(place); place != "." && place != "/"; place = path.Dir(place) {
			if ok, err := path.Match(pattern, place); ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	})
}

// findAll asks for every module, loadable or built in, by its name and its path
// in the modules' directory, without the leading "kernel/".
func (c *chooser) findAll(match func(name, place string) (bool, error)) (modules []string, builtin bool, err error) {
	for _, m := range c.all {
		ok, err := match(m.Name, strings.TrimPrefix(m.Path, "kernel/"))
		if err != nil {
			return nil, false, fmt.Errorf("its pattern: %w", err)
		}
		if ok {
			modules = append(modules, m.Name)
		}
	}
	for name, place := range c.places.builtin {
		ok, err := match(name, place)
		if err != nil {
			return nil, false, fmt.Errorf("its pattern: %w", err)
		}
		builtin = builtin || ok
	}
	return modules, builtin, nil
}

// stem is a module's path without the ending of its file.
func stem(name string) string {
	if i := strings.LastIndex(name, ".ko"); i > strings.LastIndex(name, "/") {
		return name[:i]
	}
	return name
}

// unknown says what may have been meant by a name.
func (c *chooser) unknown(word string) error {
	names := map[string]bool{}
	for _, m := range c.all {
		names[m.Name] = true
	}
	for name := range c.places.builtin {
		names[name] = true
	}
	text := fmt.Sprintf("kernel %s has none of that name, neither loadable nor built in", c.o.Kernel.Version)
	if near := nearest(kmod.Name(word), names); len(near) > 0 {
		text += "; near it are " + strings.Join(near, ", ")
	}
	return errors.New(text)
}

// wantsBuiltin tells whether a module that is built in is of those that are carried.
func (c *chooser) wantsBuiltin(name string) bool {
	return c.table.class(name, c.places.builtin[name]) != ""
}

// hasNetwork tells whether a network card has a driver: one that is carried or
// built in. Of a vendor's module that was added nobody knows what it drives.
func (c *chooser) hasNetwork(carried []kmod.Module) bool {
	for _, m := range carried {
		place := c.places.of(m)
		if c.table.class(m.Name, place) == classNIC || c.added[m.Name] && (place == "" || strings.HasPrefix(place, "drivers/net/")) {
			return true
		}
	}
	for name, place := range c.places.builtin {
		if c.table.class(name, place) == classNIC {
			return true
		}
	}
	return false
}

// check refuses a first stage with which no node boots: for what the kernel lacks,
// or for what was omitted.
func (c *chooser) check(carried []kmod.Module) error {
	_, loadable := c.set.Lookup("overlay")
	switch {
	case c.set.IsBuiltin("overlay"), slices.ContainsFunc(carried, func(m kmod.Module) bool { return m.Name == "overlay" }):
	case loadable:
		return errors.New("omitting module overlay: a node's root needs it: check --omit-module")
	default:
		return fmt.Errorf("kernel %s has no overlay file system, neither loadable nor built in, and a node's root needs one: install %s in the recipe", c.o.Kernel.Version, c.kernelPackage())
	}
	switch {
	case c.hasNetwork(carried):
		return nil
	case c.hasNetwork(c.all):
		return errors.New("omitting modules: no driver of a network card is left, and a node needs one: check --omit-module")
	default:
		return fmt.Errorf("kernel %s has no driver of a network card below /%s, neither loadable nor built in: install %s in the recipe", c.o.Kernel.Version, c.o.Kernel.Modules, c.kernelPackage())
	}
}
