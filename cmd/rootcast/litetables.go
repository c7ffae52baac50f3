package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/rootcast/rootcast/build/osimage"
	"github.com/rootcast/rootcast/convert/statelite"
)

// stateliteTables are the files with xCAT's tables on persistent files.
type stateliteTables struct{ litefile, litetree, statelite string }

func (t *stateliteTables) add(flags *pflag.FlagSet) {
	for _, one := range []struct {
		value       *string
		name, usage string
	}{
		{&t.litefile, "litefile", "the table of files, which tabdump litefile prints, is `FILE`"},
		{&t.litetree, "litetree", "the table of directories with them is `FILE`"},
		{&t.statelite, "statelite", "the table of places for persistent files is `FILE`"},
	} {
		flags.StringVar(one.value, one.name, "", one.usage+" (default "+one.name+".csv beside the definition)")
	}
}

// read reads the tables; the error has all of their mistakes.
func (t *stateliteTables) read(d *osimage.Definition) (*nodeState, error) {
	images := append([]string{d.Name}, d.Items("groups")...)
	state := &nodeState{rules: &statelite.Rules{}}
	var trees []statelite.Tree
	var stores []statelite.Store
	litefile, err1 := t.table(d, "litefile", t.litefile, func(r io.Reader, name string) (err error) {
		state.rules, err = statelite.Parse(r, name, images...)
		return err
	})
	_, err2 := t.table(d, "litetree", t.litetree, func(r io.Reader, name string) (err error) {
		trees, err = statelite.ParseTrees(r, name, images...)
		return err
	})
	_, err3 := t.table(d, "statelite", t.statelite, func(r io.Reader, name string) (err error) {
		stores, err = statelite.ParseStores(r, name)
		return err
	})
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	if len(state.rules.Rules) == 0 {
		return nil, fmt.Errorf("There are no files to sync for %s: %s has no rows for it, for its groups (%s) or for ALL", d.Name, litefile, cmp.Or(strings.Join(images[1:], ", "), "it has none")) //nolint:staticcheck // as xCAT says it
	}
	state.rules.Skipped = nil // they are other images' by right
	state.place(trees, stores)
	return state, nil
}

// table opens a table, by default one beside the definition, which need not be there.
func (t *stateliteTables) table(d *osimage.Definition, name, file string, parse func(io.Reader, string) error) (string, error) {
	given := file != ""
	if !given {
		file = filepath.Join(filepath.Dir(d.Path), name+".csv")
	}
	f, err := os.Open(file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !given:
		return file, nil
	case err != nil:
		return file, fmt.Errorf("reading the table %s: %w", name, err)
	}
	defer f.Close()
	return file, parse(f, file)
}

// nodeState is what of a node outlives its boots, and from where.
type nodeState struct {
	rules     *statelite.Rules
	arguments string   // of the kernel
	notes     []string // for people
}

func (s *nodeState) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

// place finds where nodes keep persistent files, and tells people what they have to
// say to nodes themselves.
func (s *nodeState) place(trees []statelite.Tree, stores []statelite.Store) {
	if len(trees) > 0 {
		s.note("warning: litetree: its %d directories are not mounted: what ro and con would find there comes from the image and the node's persistent store; synclists put files into the image", len(trees))
	}
	var needs bool
	for _, r := range s.rules.Rules {
		needs = needs || r.Option.Plain() == statelite.Persistent
	}
	one := len(stores) > 0
	for _, place := range stores {
		one = one && !place.HasVariables() && place.Mount == stores[0].Mount && place.Options == stores[0].Options
	}
	switch {
	case one:
		s.arguments = "rootcast.persistent=" + stores[0].Mount
		if options := stores[0].Options; options != "" {
			s.arguments += " MNTOPTS=" + options
		}
	case len(stores) > 0:
		s.note("warning: statelite: its places are not the same for all nodes: say each node's in its kernel arguments, as rootcast.persistent=SERVER:/DIR")
	case needs:
		s.note("note: there are persistent files and no table statelite: say in the kernel arguments of nodes where they are, as rootcast.persistent=SERVER:/DIR")
	}
}
