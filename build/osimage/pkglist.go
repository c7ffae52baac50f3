package osimage

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// PackageList is what lists of packages ask for, in the order of their lines.
type PackageList struct {
	Passes []Pass
	// Files are the lists and all that they include, each once.
	Files []string
}

// Pass is one run of the package manager.
type Pass struct {
	Env      []string // NAME=VALUE
	Packages []Package
}

// Package is one entry of a list.
type Package struct {
	// Name is a package, name.arch, @group, @^environment or @module:stream.
	Name string
	// Dir is the sub-directory of otherpkgdir that has it.
	Dir string
	// Remove is Before for -name and After for --name, which is removed before or
	// after the pass installs its packages.
	Remove Removal
	// File and Line are where it stands.
	File string
	Line int
}

// Removal says whether and when a package is removed.
type Removal int

// The removals that lists can ask for.
const (
	Keep Removal = iota
	Before
	After
)

// ReadPackages reads lists of packages in xCAT's syntax (its imgutils.pm,
// get_package_names), one after the other: one package a line or several with
// commas between them, lines that begin with # are comments but for
// #INCLUDE:FILE#, #NEW_INSTALL_LIST# and #ENV:NAME=VALUE …#. $NAME and ${NAME} in
// the path of an include are those of env. An include's path is meant from the
// directory of the list that the row began with. The error is Problems, with all
// that could be read returned beside it.
func ReadPackages(files []string, env map[string]string) (*PackageList, error) {
	list := &PackageList{}
	var problems Problems
	for _, file := range files {
		r := packageReader{list: list, env: env, dir: filepath.Dir(file)}
		list.Passes = append(list.Passes, Pass{})
		if err := r.file(file); err != nil {
			problems = append(problems, Problem{file, 0, err.Error()})
		}
		problems = append(problems, r.problems...)
	}
	list.Passes = slices.DeleteFunc(list.Passes, func(p Pass) bool { return len(p.Packages) == 0 })
	return list, problems.err()
}

// packageReader reads one list with what it includes.
type packageReader struct {
	list     *PackageList
	env      map[string]string
	dir      string
	stack    []string // the files that are being read
	problems Problems
}

// file reads a file; its error is meant for the line that named it.
func (r *packageReader) file(name string) error {
	name = filepath.Clean(name)
	if i := slices.Index(r.stack, name); i >= 0 {
		return fmt.Errorf("the list includes itself: %s", strings.Join(append(r.stack[i:], name), " includes "))
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return err
	} else if info.IsDir() {
		return fmt.Errorf("%s is a directory", name)
	}
	if !slices.Contains(r.list.Files, name) {
		r.list.Files = append(r.list.Files, name)
	}
	r.stack = append(r.stack, name)
	defer func() { r.stack = r.stack[:len(r.stack)-1] }()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		if err := r.line(name, n, strings.TrimSpace(lines.Text())); err != nil {
			r.problems = append(r.problems, Problem{name, n, err.Error()})
		}
	}
	return lines.Err()
}

func (r *packageReader) line(file string, n int, text string) error {
	pass := &r.list.Passes[len(r.list.Passes)-1]
	rest, directive := strings.CutPrefix(text, "#")
	switch {
	case !directive:
		return pass.add(file, n, text)
	case strings.HasPrefix(rest, "INCLUDE:"):
		return r.include(file, strings.TrimPrefix(rest, "INCLUDE:"))
	case strings.HasPrefix(rest, "NEW_INSTALL_LIST"):
		if rest != "NEW_INSTALL_LIST#" {
			return errors.New("a new pass is written #NEW_INSTALL_LIST#")
		}
		r.list.Passes = append(r.list.Passes, Pass{})
	case strings.HasPrefix(rest, "ENV:"):
		pairs, _, closed := strings.Cut(strings.TrimPrefix(rest, "ENV:"), "#")
		if !closed {
			return errors.New("variables are written #ENV:NAME=VALUE#")
		}
		return pass.setEnv(strings.Fields(pairs))
	}
	return nil
}

func (p *Pass) setEnv(pairs []string) error {
	for _, pair := range pairs {
		if name, _, ok := strings.Cut(pair, "="); !ok || !isVariable(name) {
			return fmt.Errorf("#ENV: %q is not NAME=VALUE", pair)
		}
	}
	p.Env = append(p.Env, pairs...)
	return nil
}

// isVariable tells a name that a shell knows variables by.
func isVariable(name string) bool {
	for i, c := range name {
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// add takes a line of packages.
func (p *Pass) add(file string, n int, text string) error {
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		one := Package{Name: item, File: file, Line: n}
		if name, ok := strings.CutPrefix(item, "--"); ok {
			one.Name, one.Remove = name, After
		} else if name, ok := strings.CutPrefix(item, "-"); ok {
			one.Name, one.Remove = name, Before
		}
		if i := strings.LastIndex(one.Name, "/"); i >= 0 && !strings.HasPrefix(one.Name, "@") {
			one.Dir, one.Name = one.Name[:i], one.Name[i+1:]
		}
		if err := one.check(); err != nil {
			return err
		}
		p.Packages = append(p.Packages, one)
	}
	return nil
}

// check refuses what no package manager has a package of. Only groups have names
// with spaces.
func (p Package) check() error {
	switch {
	case p.Name == "" || p.Name == "@":
		return errors.New("a package without a name")
	case strings.HasPrefix(p.Name, "@"):
		return nil
	case strings.ContainsAny(p.Name, " \t"):
		return fmt.Errorf("%q has a space in it; packages stand one a line, or with commas between them", p.Name)
	case strings.HasPrefix(p.Name, "-"):
		return fmt.Errorf("%q begins with a dash", p.Name)
	case p.Dir != "" && !filepath.IsLocal(p.Dir):
		return fmt.Errorf("%s/%s: the directory is not below otherpkgdir", p.Dir, p.Name)
	}
	return nil
}

func (r *packageReader) include(file, rest string) error {
	path, _, closed := strings.Cut(rest, "#")
	path = strings.TrimSpace(path)
	if !closed || path == "" {
		return errors.New("an include is written #INCLUDE:FILE#")
	}
	var unknown []string
	path = os.Expand(path, func(name string) string {
		value, ok := r.env[name]
		if !ok {
			unknown = append(unknown, name)
		}
		return value
	})
	if unknown != nil {
		return fmt.Errorf("environvar has no %s", strings.Join(unknown, ", "))
	}
	if !filepath.IsAbs(path) {
		path = r.find(filepath.Dir(file), path)
	}
	return r.file(path)
}

// find is a relative path seen from the directory of the first list, or if there
// is no such file from that of the list which includes it.
func (r *packageReader) find(dir, path string) string {
	first := filepath.Join(r.dir, path)
	if _, err := os.Stat(first); err != nil {
		if beside := filepath.Join(dir, path); isFile(beside) {
			return beside
		}
	}
	return first
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}
