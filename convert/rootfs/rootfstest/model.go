package rootfstest

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// model is a file system as a map from paths to files; a hard link is one more
// path of the same file.
type model struct {
	files map[string]*Entry
	layer map[string]int // which layer named the path last, as itself or as a parent
	now   int
}

// Merge applies layers, lowest first, by the rules of the OCI image-spec
// (layer.md, "Applying Changesets") as containers/storage and overlayfs have
// them, with nothing in mind but being plainly right. It returns the lines that
// [List] has for such a tree.
func Merge(layers ...[]Entry) ([]string, error) {
	m := &model{files: map[string]*Entry{}, layer: map[string]int{}}
	m.mkdir(".")
	for _, layer := range layers {
		m.now++
		m.layer["."] = m.now // each layer has a root
		layer = plainMarkers(layer)
		m.hide(layer)
		for _, e := range layer {
			if err := m.add(e); err != nil {
				return nil, fmt.Errorf("%s: %w", e, err)
			}
		}
	}
	return m.list(), nil
}

// plainMarkers puts the image-spec's markers in place of overlayfs's.
func plainMarkers(layer []Entry) []Entry {
	var plain []Entry
	for _, e := range layer {
		attrs, opaque := map[string]string{}, false
		for k, v := range e.Xattrs {
			_, key, ok := strings.Cut(k, ".overlay.")
			switch {
			case !ok:
				attrs[k] = v
			case key == "opaque" && v == "y" && e.Verb == "dir":
				opaque = true
			case key == "whiteout" && e.Verb == "file" && e.Content == "":
				e = Entry{Verb: "wh", Path: e.Path}
			}
		}
		if e.Verb == "char" && e.Major == 0 && e.Minor == 0 {
			e = Entry{Verb: "wh", Path: e.Path}
		}
		if opaque {
			plain = append(plain, Entry{Verb: "opq", Path: e.Path})
		}
		if e.Verb != "wh" {
			e.Xattrs = attrs
		}
		plain = append(plain, e)
	}
	return plain
}

func (m *model) mkdir(p string) {
	m.files[p], m.layer[p] = &Entry{Verb: "dir", Mode: 0o755, ModTime: time.Unix(0, 0)}, m.now
}

func (m *model) remove(p string, itself bool) {
	for f := range m.files {
		if f == p && itself || f != "." && f != p && (p == "." || strings.HasPrefix(f, p+"/")) {
			delete(m.files, f)
		}
	}
}

// hide applies the markers, what is deeper first: all of them speak of the lower layers.
func (m *model) hide(layer []Entry) {
	var marks []Entry
	for _, e := range layer {
		if e.Verb == "wh" || e.Verb == "opq" {
			marks = append(marks, e)
		}
	}
	length := func(e Entry) int { return len(strings.TrimPrefix(path.Clean(e.Path), ".")) }
	slices.SortStableFunc(marks, func(a, b Entry) int { return cmp.Or(length(b)-length(a), strings.Compare(a.Verb, b.Verb)) }) // a parent's path is shorter
	for _, e := range marks {
		p := path.Clean(e.Path)
		if e.Verb == "opq" {
			_, _ = m.parent(p + "/x")
		} else {
			_, _ = m.parent(p) // a lower layer's parents never fail
		}
		m.remove(p, e.Verb == "wh")
	}
}

// parent makes the directories above p and returns where they really are.
func (m *model) parent(p string) (string, error) {
	at := "."
	for _, part := range strings.Split(path.Dir(p), "/") {
		next := path.Join(at, part)
		f := m.files[next]
		switch {
		case f == nil:
			m.mkdir(next)
		case f.Verb == "dir":
		case m.layer[next] != m.now:
			m.remove(next, true)
			m.mkdir(next)
		default:
			to, err := m.walk(next, new(int))
			if err != nil || m.files[to].Verb != "dir" || m.layer[to] != m.now {
				return "", fmt.Errorf("parent %q is no directory", next)
			}
			next = to
		}
		m.layer[next] = m.now
		at = next
	}
	return at, nil
}

// walk follows symlinks to where p really is.
func (m *model) walk(p string, links *int) (string, error) {
	at := "."
	for _, part := range strings.Split(p, "/") {
		if m.files[at].Verb != "dir" {
			return "", fmt.Errorf("%q is no directory", at)
		}
		next := path.Join("/", at, part)[1:]
		if next == "" {
			next = "."
		}
		f := m.files[next]
		if f == nil || *links > 40 {
			return "", fmt.Errorf("%q cannot be reached", p)
		}
		if f.Verb == "symlink" {
			target := f.Target
			if !path.IsAbs(target) {
				target = at + "/" + target
			}
			var err error
			*links++
			if next, err = m.walk(strings.TrimLeft(target, "/"), links); err != nil {
				return "", err
			}
		}
		at = next
	}
	return at, nil
}

func (m *model) add(e Entry) error {
	if e.Verb == "wh" || e.Verb == "opq" {
		return nil
	}
	p := path.Clean(strings.TrimLeft(e.Path, "/"))
	file := &e
	if e.Verb == "link" {
		dir, err := m.walk(path.Dir(path.Clean(e.Target)), new(int))
		if err != nil {
			return err
		}
		if file = m.files[path.Join(dir, path.Base(e.Target))]; file == nil || file.Verb == "dir" {
			return fmt.Errorf("nothing to link to")
		}
	}
	if p == "." {
		m.files[p] = file
		return nil
	}
	dir, err := m.parent(p)
	if err != nil {
		return err
	}
	p = path.Join(dir, path.Base(p))
	if old := m.files[p]; old == nil || old.Verb != "dir" || file.Verb != "dir" {
		m.remove(p, true)
	}
	m.files[p], m.layer[p] = file, m.now
	return nil
}

func (m *model) list() []string {
	var paths []string
	for p := range m.files {
		paths = append(paths, p)
	}
	slices.SortFunc(paths, func(a, b string) int { return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/")) })
	i := slices.Index(paths, ".")
	paths = slices.Insert(slices.Delete(paths, i, i+1), 0, ".")
	var lines []string
	first := map[*Entry]string{}
	for _, p := range paths {
		f := m.files[p]
		line := *f
		line.Path = p
		if target, ok := first[f]; ok {
			line = Entry{Verb: "link", Path: p, Target: target}
		} else {
			first[f] = p
		}
		lines = append(lines, line.String())
	}
	return lines
}
