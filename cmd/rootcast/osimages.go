package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rootcast/rootcast/build/osimage"
)

// systemOSImages is where the machine's definitions lie.
const systemOSImages = "/etc/rootcast/osimages"

const osimagesUsage = "definitions are in `DIR` (default: $ROOTCAST_OSIMAGES, else ~/.config/rootcast/osimages and " + systemOSImages + "; root's the latter)"

// catalog is where definitions are looked for: dir if it is given, else what the
// environment names, else the user's and the machine's, for root the machine's.
func catalog(dir string) osimage.Catalog {
	if dir = either(dir, os.Getenv("ROOTCAST_OSIMAGES")); dir != "" {
		return osimage.Catalog{Dirs: []string{dir}}
	}
	c := osimage.Catalog{Dirs: []string{systemOSImages}}
	if os.Geteuid() == 0 {
		return c
	}
	if config, err := os.UserConfigDir(); err == nil {
		c.Dirs = append([]string{filepath.Join(config, "rootcast", "osimages")}, c.Dirs...)
	}
	return c
}

// missing is what xCAT says, to the letter, of an object that there is not.
type missing string

func (m missing) Error() string {
	return fmt.Sprintf("Could not find an object named '%s' of type 'osimage'.", string(m))
}

// exists is what xCAT says, to the letter, of a definition that would be replaced.
type exists string

func (e exists) Error() string {
	return fmt.Sprintf("A definition for '%s' already exists. No changes will be made.  Run again with '-f' option to force replace.", string(e))
}

// load reads one definition, or says as xCAT does that there is none.
func load(c osimage.Catalog, name string) (*osimage.Definition, error) {
	d, err := c.Load(name)
	if errors.Is(err, osimage.ErrNotExist) {
		return nil, missing(name)
	}
	return d, err
}

// definitions returns those of the names, all without one, and why others cannot
// be returned.
func definitions(from osimage.Catalog, names []string) ([]*osimage.Definition, error) {
	if len(names) == 0 {
		return from.All()
	}
	var list []*osimage.Definition
	var failed []error
	for _, name := range names {
		d, err := load(from, name)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		list = append(list, d)
	}
	return list, errors.Join(failed...)
}

// stanzaOf is what the command line says of an object, ATTRIBUTE=VALUE by the word.
func stanzaOf(name string, words []string) (osimage.Stanza, error) {
	s := osimage.Stanza{Name: name}
	for _, word := range words {
		attribute, value, ok := strings.Cut(word, "=")
		if !ok {
			return s, usageErrorf("%q is not ATTRIBUTE=VALUE", word)
		}
		s.Assignments = append(s.Assignments, osimage.Assignment{Attribute: attribute, Value: value})
	}
	return s, nil
}

// assign changes d as a stanza says; all of its mistakes are in the error.
// Relative paths are meant from the working directory.
func assign(d *osimage.Definition, s osimage.Stanza, how osimage.Change) error {
	dir, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("finding the working directory: %w", err)
	}
	var failed []error
	for _, a := range s.Assignments {
		err := d.Apply(how, a.Attribute, a.Value, dir)
		if err != nil && a.Line > 0 {
			err = fmt.Errorf("%s:%d: %w", s.File, a.Line, err)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// makeDefinitions saves what stanzas say beside what base has: all or nothing. By
// force they take the place of others of their names.
func (e *env) makeDefinitions(into osimage.Catalog, base *osimage.Definition, stanzas []osimage.Stanza, force bool) ([]*osimage.Definition, error) {
	unlock, err := into.Lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var list []*osimage.Definition
	for _, s := range stanzas {
		d := base.Clone(s.Name)
		if d.Path, err = vacant(into, s.Name, force); err != nil {
			return nil, err
		}
		if err := assign(d, s, osimage.Assign); err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, e.saveDefinitions(into, list)
}

// vacant is the file of the definition that a new one of its name replaces by
// force, "" if there is none.
func vacant(into osimage.Catalog, name string, force bool) (path string, err error) {
	old, err := into.Load(name)
	var unreadable osimage.Problems
	switch {
	case errors.Is(err, osimage.ErrNotExist):
		return "", nil
	case err != nil && !errors.As(err, &unreadable):
		return "", err
	case !force:
		return "", exists(name)
	case old == nil:
		return "", nil
	}
	return old.Path, nil
}

// saveDefinitions writes definitions and warns of those that share what nodes
// boot from with another.
func (e *env) saveDefinitions(into osimage.Catalog, list []*osimage.Definition) error {
	if err := into.SaveAll(list); err != nil {
		return err
	}
	all, err := into.All()
	var unreadable osimage.Problems
	if err != nil && !errors.As(err, &unreadable) {
		e.say("warning: whether another osimage has the same rootimgdir is not known: %v", oneLine(err))
	}
	for _, d := range list {
		for _, other := range d.Sharing(all) {
			e.say("warning: %s and %s have the same rootimgdir, %s: give one of them another by chdef -t osimage -o %s rootimgdir=DIR",
				d.Name, other, d.Get("rootimgdir"), d.Name)
		}
	}
	return nil
}

// sayFiles says where definitions lie, if that is wanted.
func (e *env) sayFiles(wanted bool, list []*osimage.Definition) {
	for _, d := range list {
		if wanted {
			e.say("%s is in %s", d.Name, d.Path)
		}
	}
}

// sayChanged says how many definitions changed, as xCAT does.
func (e *env) sayChanged(n int) error {
	_, err := fmt.Fprintf(e.stdout, "%d object definitions have been created or modified.\n", n)
	return err
}
