package osimage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.podman.io/storage/pkg/ioutils"
	"golang.org/x/sys/unix"
)

// Catalog is the directories that definitions lie in. A definition of an earlier
// one hides those of the same name in later ones; new ones go into the first.
type Catalog struct {
	Dirs []string
}

// ErrNotExist is in the error for a definition that there is not.
var ErrNotExist = fs.ErrNotExist

// CheckName refuses what cannot be an osimage's name: it is a file's, and stands
// before a colon in stanzas.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("an osimage needs a name")
	case name == "default-"+objectType:
		return fmt.Errorf("osimage %q: in stanzas that is the name of what all osimages have", name)
	case strings.HasPrefix(name, "."), strings.HasPrefix(name, "-"):
		return fmt.Errorf("osimage %q: a name does not begin with %q", name, name[:1])
	case strings.ContainsAny(name, "/=:,\x00") || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return fmt.Errorf("osimage %q: a name has no space, slash, comma, colon or equals sign", name)
	case len(name) > 200:
		return fmt.Errorf("osimage %.20q…: a name has at most 200 letters", name)
	}
	return nil
}

// Names lists the definitions, sorted. A directory that is not there has none.
func (c Catalog) Names() ([]string, error) {
	var names []string
	for _, dir := range c.Dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("listing osimages: %w", err)
		}
		for _, e := range entries {
			name, ok := strings.CutSuffix(e.Name(), extension)
			if ok && CheckName(name) == nil && !e.IsDir() {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Load reads a definition. The error is ErrNotExist if there is none of that
// name, and Problems if it cannot be understood.
func (c Catalog) Load(name string) (*Definition, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	for _, dir := range c.Dirs {
		dir, err := filepath.Abs(dir)
		if err != nil {
			return nil, err
		}
		path := filepath.Join(dir, name+extension)
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading osimage %s: %w", name, err)
		}
		return Parse(path, text)
	}
	return nil, fmt.Errorf("there is no osimage %s in %s: %w", name, strings.Join(c.Dirs, " or "), ErrNotExist)
}

// All reads every definition, sorted by name. The error is Problems of all those
// that cannot be read or understood; the others are returned with it.
func (c Catalog) All() ([]*Definition, error) {
	names, err := c.Names()
	if err != nil {
		return nil, err
	}
	var list []*Definition
	var problems Problems
	for _, name := range names {
		d, err := c.Load(name)
		var bad Problems
		switch {
		case errors.As(err, &bad):
			problems = append(problems, bad...)
		case errors.Is(err, ErrNotExist): // it is gone again
		case err != nil:
			problems = append(problems, Problem{Text: err.Error()})
		default:
			list = append(list, d)
		}
	}
	return list, problems.err()
}

// Save writes a definition to the file that it came from, a new one into the
// first directory, all or nothing.
func (c Catalog) Save(d *Definition) error {
	if err := CheckName(d.Name); err != nil {
		return err
	}
	path := d.Path
	if path == "" {
		dir, err := filepath.Abs(c.Dirs[0])
		if err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("writing osimage %s: %w", d.Name, err)
		}
		path = filepath.Join(dir, d.Name+extension)
	}
	text, err := d.Encode(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("writing osimage %s: %w", d.Name, err)
	}
	if err := Replace(path, text); err != nil {
		return fmt.Errorf("writing osimage %s: %w", d.Name, err)
	}
	d.Path = path
	return nil
}

// Replace writes a definition's file, all or nothing, with the permissions that it had and
// through the symbolic link that it may be.
func Replace(path string, text []byte) error {
	mode := fs.FileMode(0o644)
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
		if info, err := os.Stat(path); err == nil {
			mode = info.Mode().Perm()
		}
	}
	return ioutils.AtomicWriteFile(path, text, mode)
}

// SaveAll writes definitions if all of them can be written, as far as can be
// known beforehand.
func (c Catalog) SaveAll(list []*Definition) error {
	seen := map[string]bool{}
	for _, d := range list {
		if seen[d.Name] {
			return fmt.Errorf("osimage %s is given twice", d.Name)
		}
		seen[d.Name] = true
		if d.Path == "" {
			continue
		}
		if err := unix.Access(filepath.Dir(d.Path), unix.W_OK|unix.X_OK); err != nil {
			return fmt.Errorf("writing osimage %s: directory %s: %w", d.Name, filepath.Dir(d.Path), err)
		}
	}
	for _, d := range list {
		if err := c.Save(d); err != nil {
			return err
		}
	}
	return nil
}

// Lock keeps other processes from changing definitions, until unlock is called,
// so that none is changed between its being read and written. It waits for others.
func (c Catalog) Lock() (unlock func(), err error) {
	dir, err := filepath.Abs(c.Dirs[0])
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the directory of osimages: %w", err)
	}
	var open []*os.File
	unlock = func() {
		for _, f := range open {
			f.Close()
		}
	}
	for _, dir := range c.Dirs {
		f, err := os.Open(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			open = append(open, f)
			err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		}
		if err != nil {
			unlock()
			return nil, fmt.Errorf("locking the osimages of %s: %w", dir, err)
		}
	}
	return unlock, nil
}

// Remove removes a definition; one that it hid comes to light.
func (c Catalog) Remove(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	for _, dir := range c.Dirs {
		err := os.Remove(filepath.Join(dir, name+extension))
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return fmt.Errorf("there is no osimage %s in %s: %w", name, strings.Join(c.Dirs, " or "), ErrNotExist)
}

// Rename gives a definition another name, which no other has.
func (c Catalog) Rename(d *Definition, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if _, err := c.Load(name); !errors.Is(err, ErrNotExist) {
		return fmt.Errorf("renaming osimage %s: there is an osimage %s already", d.Name, name)
	}
	to := filepath.Join(filepath.Dir(d.Path), name+extension)
	// Where the file system can, it is refused that another came there meanwhile.
	err := unix.Renameat2(unix.AT_FDCWD, d.Path, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) {
		err = os.Rename(d.Path, to)
	}
	if err != nil {
		return fmt.Errorf("renaming osimage %s: %w", d.Name, err)
	}
	d.Name, d.Path = name, to
	return nil
}

// Sharing returns the names of those in all, but d itself, whose rootimgdir is d's.
func (d *Definition) Sharing(all []*Definition) []string {
	dir := d.Get("rootimgdir")
	if dir == "" {
		return nil
	}
	var names []string
	for _, other := range all {
		if other.Name != d.Name && filepath.Clean(other.Get("rootimgdir")) == filepath.Clean(dir) {
			names = append(names, other.Name)
		}
	}
	return names
}
