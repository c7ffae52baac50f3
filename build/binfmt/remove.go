package binfmt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Remove removes what names name, and returns what it removed: handlers and
// files. An architecture stands for what rootcast installed for it; any handler
// can be named by its own name. Without names all of rootcast's go.
func (in Installer) Remove(names ...string) ([]string, error) {
	s, err := in.machine().read()
	if err != nil {
		return nil, err
	}
	if len(names) > 0 {
		return in.removeNamed(s, names)
	}
	var removed []string
	for _, a := range Architectures() {
		one, err := in.removeOwn(s, a)
		removed = append(removed, one...)
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

func (in Installer) removeNamed(s *state, names []string) (removed []string, err error) {
	for _, name := range names {
		a, isArch := Find(name)
		var one []string
		if isArch {
			one, err = in.removeOwn(s, a)
		}
		if err == nil && len(one) == 0 {
			one, err = in.removeHandler(s, name)
		}
		removed = append(removed, one...)
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// removeOwn removes what rootcast has for a: handler, configuration, emulator.
func (in Installer) removeOwn(s *state, a Arch) (removed []string, err error) {
	own := ownPrefix + a.QEMU
	if slices.ContainsFunc(s.handlers, func(h Handler) bool { return h.Name == own }) {
		if removed, err = in.removeHandler(s, own); err != nil {
			return removed, err
		}
	}
	for _, name := range []string{confOf(a), filepath.Join(emulatorDir, "qemu-"+a.QEMU)} {
		switch err := os.Remove(in.rooted(name)); {
		case err == nil:
			removed = append(removed, name)
		case !errors.Is(err, fs.ErrNotExist):
			return removed, in.explain("removing "+name, "rootcast binfmt remove "+a.Name, err)
		}
	}
	return removed, nil
}

func (in Installer) removeHandler(s *state, name string) ([]string, error) {
	a, isArch := Find(name)
	for _, h := range s.handlers {
		switch {
		case h.Name == name:
			if err := in.change().write(name, removeIt); err != nil {
				return nil, in.explain("removing the handler "+name, "rootcast binfmt remove "+name, err)
			}
			return []string{name}, nil
		case isArch && h.serves(a):
			return nil, fmt.Errorf("the handler %s for %s programs is not rootcast's; if it shall go all the same: rootcast binfmt remove %s", h.Name, a.Name, h.Name)
		}
	}
	if isArch {
		return nil, fmt.Errorf("there is no handler for %s programs; rootcast binfmt status shows those that there are", a.Name)
	}
	return nil, fmt.Errorf("%q is no architecture and no handler; rootcast binfmt status shows those that there are", name)
}
