package pkgdb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// Where dpkg keeps what it knows (dpkg(1), "FILES"); images without dpkg itself
// have a file a package in status.d instead.
const (
	dpkgDir       = "var/lib/dpkg"
	dpkgStatus    = dpkgDir + "/status"
	dpkgParts     = dpkgDir + "/status.d"
	dpkgInfo      = dpkgDir + "/info"
	dpkgDiversion = dpkgDir + "/diversions"
	sumsSuffix    = ".md5sums"
)

// maxLine is the longest line of a database that is read: no field that counts
// comes near it.
const maxLine = 1 << 20

func readDpkg(ctx context.Context, r *resolver) ([]Package, error) {
	d := &dpkg{r: r}
	if err := d.readDiversions(); err != nil {
		return nil, err
	}
	stanzas, err := r.stanzas(dpkgStatus)
	if err != nil {
		return nil, err
	}
	var all []Package
	for _, s := range stanzas {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !s.installed() {
			continue
		}
		p := s.pack()
		if p.Files, err = d.files(s, d.listName(s), listedName); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	parts, err := d.parts(ctx)
	return append(all, parts...), err
}

// dpkg is the database of one tree.
type dpkg struct {
	r          *resolver
	diversions map[string]diversion // by the diverted name
}

// diversion says where the files of all packages but one are put.
type diversion struct{ to, by string }

// parts reads status.d.
func (d *dpkg) parts(ctx context.Context) ([]Package, error) {
	entries, err := fs.ReadDir(d.r.fsys, dpkgParts)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []Package
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !e.Type().IsRegular() || strings.HasSuffix(e.Name(), sumsSuffix) {
			continue
		}
		name := path.Join(dpkgParts, e.Name())
		stanzas, err := d.r.stanzas(name)
		if err != nil {
			return nil, err
		}
		for _, s := range stanzas {
			p := s.pack()
			if p.Files, err = d.files(s, name+sumsSuffix, summedName); err != nil {
				return nil, err
			}
			all = append(all, p)
		}
	}
	return all, nil
}

// listName is where the names of a package's files are: those of one that can
// be installed for several architectures at a time have them in their name.
func (d *dpkg) listName(s stanza) string {
	name := path.Join(dpkgInfo, s.name+":"+s.arch+".list")
	if _, err := fs.Stat(d.r.fsys, name); err == nil {
		return name
	}
	return path.Join(dpkgInfo, s.name+".list")
}

// listedName is a line of a .list file.
func listedName(line string) string { return line }

// summedName is a line of a .md5sums file without its sum.
func summedName(line string) string {
	_, name, _ := strings.Cut(line, "  ")
	return name
}

// files reads a list of a package's files, which need not be there. A list names
// the directories too, and one of them may be a link in the tree: where others are
// below it, it is no file of the package.
func (d *dpkg) files(s stanza, list string, name func(line string) string) ([]string, error) {
	var names []string
	dirs := map[string]bool{}
	err := d.r.lines(list, func(_ int, line string) error {
		if line = name(line); line != "" {
			names = append(names, path.Join("/", line))
			dirs[path.Dir(names[len(names)-1])] = true
		}
		return nil
	})
	var files []string
	for _, name := range names {
		if dirs[name] {
			continue
		}
		if to, ok := d.diversions[name]; ok && to.by != s.name {
			name = to.to
		}
		if found, ok := d.r.file(name); ok {
			files = append(files, found)
		}
	}
	return files, err
}

// readDiversions reads groups of three lines: what is diverted, where to, and
// by which package, ":" for the administrator.
func (d *dpkg) readDiversions() error {
	d.diversions = map[string]diversion{}
	var group []string
	return d.r.lines(dpkgDiversion, func(_ int, line string) error {
		if group = append(group, line); len(group) == 3 {
			d.diversions[group[0]] = diversion{to: group[1], by: group[2]}
			group = nil
		}
		return nil
	})
}

// stanza is what a paragraph of a status file says, as far as it counts here.
type stanza struct{ name, version, arch, status string }

// installed tells whether the package's files are in the tree. The last word of
// its status is its state (dpkg(1), "Package states"); in status.d there is none.
func (s stanza) installed() bool {
	words := strings.Fields(s.status)
	if len(words) == 0 {
		return true
	}
	state := words[len(words)-1]
	return state != "not-installed" && state != "config-files"
}

func (s stanza) pack() Package {
	return Package{Format: Dpkg, Name: s.name, Version: s.version, Arch: s.arch}
}

// stanzas reads a status file, which need not be there.
func (r *resolver) stanzas(name string) ([]stanza, error) {
	var all []stanza
	var now stanza
	inside, begin := false, 0
	end := func() error {
		if inside && now.name == "" {
			return fmt.Errorf("%s:%d: a paragraph without a package's name", name, begin)
		}
		if inside {
			all = append(all, now)
		}
		now, inside = stanza{}, false
		return nil
	}
	err := r.lines(name, func(number int, line string) error {
		switch {
		case strings.TrimSpace(line) == "":
			return end()
		case line[0] == ' ' || line[0] == '\t': // more of a field that does not count
			return nil
		}
		field, value, ok := strings.Cut(line, ":")
		if !ok {
			return fmt.Errorf("%s:%d: no field: %.60q", name, number, line)
		}
		if !inside {
			inside, begin = true, number
		}
		now.set(field, strings.TrimSpace(value))
		return nil
	})
	if err == nil {
		err = end()
	}
	return all, err
}

func (s *stanza) set(field, value string) {
	switch strings.ToLower(field) {
	case "package":
		s.name = value
	case "version":
		s.version = value
	case "architecture":
		s.arch = value
	case "status":
		s.status = value
	}
}

// lines calls do with each line of a file and its number. A file that is not
// there has none.
func (r *resolver) lines(name string, do func(number int, line string) error) error {
	f, err := r.fsys.Open(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) { // the latter: a name of strange bytes
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return eachLine(name, f, do)
}

func eachLine(name string, from io.Reader, do func(number int, line string) error) error {
	s := bufio.NewScanner(from)
	s.Buffer(nil, maxLine)
	number := 0
	for s.Scan() {
		number++
		if err := do(number, s.Text()); err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("%s:%d: %w", name, number+1, err)
	}
	return nil
}
