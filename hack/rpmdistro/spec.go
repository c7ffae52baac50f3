package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// ldconfig keeps the cache of libraries. Lua is in rpm: a shell may not be there yet.
const ldconfig = `
%post -p /usr/sbin/ldconfig

%transfiletriggerin -P 2000000 -p <lua> -- /usr/lib
rpm.execute("/usr/sbin/ldconfig")

%transfiletriggerpostun -P 2000000 -p <lua> -- /usr/lib
rpm.execute("/usr/sbin/ldconfig")
`

// spec is what a spec file is made of.
type spec struct {
	deb      *deb
	rules    *rules
	root     string
	owners   map[string]owner
	requires []string
}

// writeSpec writes the spec file of a package, with every file by its name.
func writeSpec(file string, s spec) error {
	var b bytes.Buffer
	s.preamble(&b)
	s.relations(&b)
	fmt.Fprintf(&b, "\n%%description\n%s\n", escape(s.deb.description))
	// Links are enough: nothing writes to them, and a spec file may want what is in another root.
	fmt.Fprintf(&b, "\n%%install\nrmdir %%{buildroot}\ncp -al %s %%{buildroot}\n", s.root)
	if s.deb.name == "libc6" {
		b.WriteString(ldconfig)
	}
	b.WriteString("\n%files\n")
	if err := s.files(&b); err != nil {
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o644) //nolint:gosec // a spec file, to be read by all
}

// version is that of the package; a package of Debian's own has no revision.
func (s spec) version() version {
	v := parseVersion(s.deb.version)
	if v.release == "" {
		v.release = "1"
	}
	return v
}

func (s spec) preamble(b *bytes.Buffer) {
	v := s.version()
	fmt.Fprintf(b, "Name: %s\n", s.rules.name(s.deb.name))
	if v.epoch != "" {
		fmt.Fprintf(b, "Epoch: %s\n", v.epoch)
	}
	fmt.Fprintf(b, "Version: %s\nRelease: %s\n", v.version, v.release)
	fmt.Fprintf(b, "Summary: %s\nLicense: Debian\n", escape(s.deb.description))
	if s.deb.arch == "all" {
		b.WriteString("BuildArch: noarch\n")
	}
	if m, ok := s.rules.modules[s.deb.name]; ok {
		fmt.Fprintf(b, "ModularityLabel: %s:%s:%s\n", m[0], m[1], "20240501000000:rootcast")
	}
	b.WriteString("AutoReqProv: no\n")
}

func (s spec) relations(b *bytes.Buffer) {
	name, evr := s.rules.name(s.deb.name), s.version().String()
	provides := []string{name + " = " + evr}
	for _, group := range s.deb.provides {
		for _, p := range group {
			provides = append(provides, p.rpm())
		}
	}
	for _, p := range s.rules.provides[name] {
		if strings.HasPrefix(p, "/") {
			provides = append(provides, p)
		} else {
			provides = append(provides, p+" = "+evr)
		}
	}
	if name != s.deb.name {
		provides = append(provides, s.deb.name+" = "+evr)
	}
	if kernelOf(s.deb.name) != "" {
		provides = append(provides, "kernel-modules = "+evr, "kernel-modules-core = "+evr, "installonlypkg(kernel)")
	}
	slices.Sort(provides)
	for _, p := range slices.Compact(provides) {
		fmt.Fprintf(b, "Provides: %s\n", p)
	}
	for _, o := range s.owners {
		if o.user != "root" || o.group != "root" {
			b.WriteString("Requires(pre): setup\n")
			break
		}
	}
	slices.Sort(s.requires)
	for _, r := range slices.Compact(s.requires) {
		fmt.Fprintf(b, "Requires: %s\n", r)
	}
}

// files lists root, whose files are root's where nothing else is known of them.
func (s spec) files(b *bytes.Buffer) error {
	return filepath.WalkDir(s.root, func(file string, e fs.DirEntry, err error) error {
		if err != nil || file == s.root {
			return err
		}
		name := strings.TrimPrefix(file, s.root)
		info, err := e.Info()
		if err != nil {
			return err
		}
		o, ok := s.owners[name]
		if !ok {
			o = owner{mode: fmt.Sprintf("%04o", info.Mode().Perm()), user: "root", group: "root"}
		}
		if e.Type() == fs.ModeSymlink {
			o.mode = "-"
		}
		kind := ""
		switch {
		case e.IsDir():
			kind = "%dir "
		case e.Type().IsRegular() && strings.HasPrefix(name, "/etc/"):
			kind = "%config(noreplace) "
		}
		fmt.Fprintf(b, "%%attr(%s, %s, %s) %s\"%s\"\n", o.mode, o.user, o.group, kind, escapePath(name))
		return nil
	})
}

// escape keeps rpmbuild from expanding macros.
func escape(text string) string { return strings.ReplaceAll(text, "%", "%%") }

// escapePath also keeps it from taking a name for a pattern. A backslash that
// stands in no pattern, and a bracket that none closes, are taken as they are.
func escapePath(name string) string {
	name = escape(name)
	if !regexp.MustCompile(`[*?]|\[.*\]|\{.*\}`).MatchString(name) {
		return name
	}
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`, "{", `\{`, "}", `\}`).Replace(name)
}
