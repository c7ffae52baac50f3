package kmod

import (
	"bytes"
	"slices"
	"strings"
)

// Encode returns the text files for a directory that has only the modules of
// which keep says so, in files that end in .ko and ending: name of the file →
// content. What is built in stays, with its aliases that have no wildcards
// (modules.builtin.modinfo). The order is that of the files that were read.
func (s *Set) Encode(keep func(name string) bool, ending string) map[string][]byte {
	var dep, soft bytes.Buffer
	for _, m := range s.modules {
		if !keep(m.Name) {
			continue
		}
		dep.WriteString(PlainPath(m.Path) + ending + ":")
		for _, name := range slices.Backward(m.Deps) {
			dep.WriteString(" " + s.pathOf(name) + ending)
		}
		dep.WriteByte('\n')
		if d, ok := s.softdeps[m.Name]; ok {
			soft.WriteString("softdep " + m.Name + list(" pre:", d.pre) + list(" post:", d.post) + "\n")
		}
	}
	return map[string][]byte{
		"modules.dep":             dep.Bytes(),
		"modules.alias":           s.encodeAliases(keep),
		"modules.softdep":         soft.Bytes(),
		"modules.order":           s.encodeOrder(keep),
		"modules.builtin":         join(s.builtins, "\n"),
		"modules.builtin.modinfo": join(s.info, "\x00"),
	}
}

func (s *Set) encodeAliases(keep func(name string) bool) []byte {
	var b bytes.Buffer
	for _, a := range s.aliases.all {
		if keep(a.module.Name) {
			b.WriteString("alias " + a.text + " " + a.module.Name + "\n")
		}
	}
	return b.Bytes()
}

func (s *Set) encodeOrder(keep func(name string) bool) []byte {
	var b bytes.Buffer
	for _, line := range s.order {
		if name := Name(line); s.byName[name] != nil && keep(name) {
			b.WriteString(PlainPath(line) + "\n") // as depmod leaves it, whatever the file's ending
		}
	}
	return b.Bytes()
}

// pathOf is the path of a module, or its mere name if nobody knows it: what needs
// it then fails by its name, and not without a reason.
func (s *Set) pathOf(name string) string {
	if m := s.byName[name]; m != nil {
		return PlainPath(m.Path)
	}
	return name + ".ko"
}

func list(title string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return title + " " + strings.Join(names, " ")
}

// join ends each item.
func join(items []string, end string) []byte {
	var b bytes.Buffer
	for _, item := range items {
		b.WriteString(item + end)
	}
	return b.Bytes()
}

// PlainPath is the path of a module without a compression's ending.
func PlainPath(p string) string {
	if i := strings.LastIndex(p, ".ko."); i > strings.LastIndexByte(p, '/') {
		return p[:i+len(".ko")]
	}
	return p
}
