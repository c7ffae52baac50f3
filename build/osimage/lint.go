package osimage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Check finds what would keep the image from being made: attributes that are
// missing or cannot be right together, files that cannot be read, scripts that
// cannot be run, lists of packages and of files with mistakes. The error is Problems.
func (d *Definition) Check() error {
	problems := slices.Concat(d.checkValues(), d.checkFiles(), d.checkScripts(), d.checkPackages(), d.checkSynclists())
	return problems.err()
}

// Netboot tells whether the definition is of an image that nodes boot from
// memory, which is what rootcast makes.
func (d *Definition) Netboot() bool {
	return slices.Contains([]string{"netboot", "statelite"}, d.Get("provmethod"))
}

func (d *Definition) checkValues() (problems Problems) {
	for _, name := range []string{"osvers", "osarch", "profile", "provmethod"} {
		if d.Get(name) == "" {
			problems = append(problems, d.problem(name, "is missing"))
		}
	}
	if d.Netboot() && d.Get("pkglist") == "" {
		problems = append(problems, d.problem("pkglist", "is missing"))
	}
	if mode := d.Get("permission"); mode != "" {
		if _, err := strconv.ParseUint(mode, 8, 12); err != nil {
			problems = append(problems, d.problem("permission", "%q is no mode such as 755", mode))
		}
	}
	for _, pair := range d.Items("environvar") {
		if name, _, ok := strings.Cut(pair, "="); !ok || !isVariable(name) {
			problems = append(problems, d.problem("environvar", "%q is not NAME=VALUE", pair))
		}
	}
	roles := []string{"mgtnode", "servicenode", "compute", "login", "storage", "utility"}
	for _, role := range d.Items("serverrole") {
		if !slices.Contains(roles, role) {
			problems = append(problems, d.problem("serverrole", "%q is none of %s", role, strings.Join(roles, ", ")))
		}
	}
	return append(problems, d.checkNFSOptions()...)
}

func (d *Definition) checkNFSOptions() (problems Problems) {
	options := d.Get("nfsrootopts")
	if options == "" {
		return nil
	}
	for option := range strings.SplitSeq(options, ",") {
		switch {
		case option == "" || strings.ContainsAny(option, " \t"):
			problems = append(problems, d.problem("nfsrootopts", "an option is empty or has a space in it"))
		case option == "rw" || option == "defaults":
			problems = append(problems, d.problem("nfsrootopts", "%s cannot be: the root is mounted read-only", option))
		}
	}
	return problems
}

// fileAttributes are those whose files are read as they are.
func fileAttributes() []string { return []string{"exlist", "gpgkeys", "synclists", "template"} }

func (d *Definition) checkFiles() (problems Problems) {
	for _, name := range fileAttributes() {
		for _, file := range d.Items(name) {
			if err := readable(file); err != nil {
				problems = append(problems, d.problem(name, "%v", err))
			}
		}
	}
	return problems
}

func (d *Definition) checkSynclists() Problems {
	_, err := ReadSynclists(d.Items("synclists"), d.Environment())
	var bad Problems
	errors.As(err, &bad)
	// Those about a list as a whole are in checkFiles.
	return slices.DeleteFunc(bad, func(p Problem) bool { return p.Line == 0 })
}

// readable refuses a file that cannot be opened, or is none.
func readable(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		return fmt.Errorf("%s is a directory", name)
	}
	return err
}

func (d *Definition) checkScripts() (problems Problems) {
	for _, script := range d.Scripts() {
		err := readable(script[0])
		if err == nil && unix.Access(script[0], unix.X_OK) != nil {
			err = fmt.Errorf("%s cannot be run; chmod +x %s", script[0], script[0])
		}
		if err != nil {
			problems = append(problems, d.problem("postinstall", "%v", err))
		}
	}
	return problems
}

// Scripts returns each script of postinstall with its arguments.
func (d *Definition) Scripts() [][]string {
	var list [][]string
	for _, item := range d.Items("postinstall") {
		list = append(list, strings.Fields(item))
	}
	return list
}

func (d *Definition) checkPackages() (problems Problems) {
	for _, name := range []string{"pkglist", "otherpkglist"} {
		_, err := ReadPackages(d.Items(name), d.Environment())
		var bad Problems
		if errors.As(err, &bad) {
			for _, one := range bad {
				if one.Line == 0 { // the definition names what cannot be read
					one = d.problem(name, "%s", one.Text)
				}
				problems = append(problems, one)
			}
		}
	}
	return problems
}

// References returns the files that the image is made from, with what lists of
// packages include: each once, in the order in which they are named. The error is Problems.
func (d *Definition) References() ([]string, error) {
	var files []string
	for _, name := range fileAttributes() {
		for _, file := range d.Items(name) {
			files = includes(files, file)
		}
	}
	for _, script := range d.Scripts() {
		files = append(files, script[0])
	}
	var problems Problems
	for _, name := range []string{"pkglist", "otherpkglist"} {
		list, err := ReadPackages(d.Items(name), d.Environment())
		files = append(files, list.Files...)
		var bad Problems
		if errors.As(err, &bad) {
			problems = append(problems, bad...)
		}
	}
	if file := strings.TrimLeft(d.Get("partitionfile"), "sdc:"); filepath.IsAbs(file) {
		files = append(files, file)
	}
	seen := map[string]bool{}
	files = slices.DeleteFunc(files, func(file string) bool {
		again := seen[file]
		seen[file] = true
		return again
	})
	return files, problems.err()
}

// includes adds to files a list and what it includes by #INCLUDE:FILE#, seen from
// the list that does, as exclude lists have it; each file once.
func includes(files []string, name string) []string {
	name = filepath.Clean(name)
	if slices.Contains(files, name) {
		return files
	}
	files = append(files, name)
	text, err := os.ReadFile(name)
	if err != nil {
		return files // whoever reads it says so
	}
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "#INCLUDE:")
		path, _, closed := strings.Cut(rest, "#")
		if path = strings.TrimSpace(path); !ok || !closed || path == "" {
			continue
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(name), path)
		}
		files = includes(files, path)
	}
	return files
}
