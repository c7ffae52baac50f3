package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/docker/go-units"
)

// WriteTable writes the report for people, at most top lines of a kind.
func (r *Report) WriteTable(w io.Writer, top int) error {
	t := &table{total: r.Size}
	t.line("%s: %s in %s and %s", show(r.Name), size(r.Size), plural(r.Files, "file"), plurals(r.Directories, "directory", "directories"))
	if x := r.Excluded; x != nil {
		t.line("Left out by the exclude lists: %s in %s", size(x.Size), plural(x.Files, "file"))
	}
	if r.Hidden.Files > 0 {
		t.line("Could be saved: %s in %s of lower layers, which upper layers replace or remove", size(r.Hidden.Size), plural(r.Hidden.Files, "file"))
	}
	t.layers(r)
	t.hidden(r, min(top, 5))
	t.packages(r, top)
	t.dirs(r, top)
	t.line("")
	t.line("%10s %5s  LARGEST FILES", "SIZE", "SHARE")
	for _, f := range r.Largest[:min(top, len(r.Largest))] {
		more := ""
		if f.Package != "" {
			more = "  (" + show(f.Package) + ")"
		}
		t.row(f.Size, show(f.Path)+more)
	}
	for i, warning := range r.Warnings {
		if i == 0 {
			t.line("")
		}
		t.line("Warning: %s", show(warning))
	}
	_, err := io.WriteString(w, t.b.String())
	return err
}

// table collects lines.
type table struct {
	b     strings.Builder
	total int64
}

func (t *table) line(format string, args ...any) {
	t.b.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

// row is a line that starts with a size and its share of the whole.
func (t *table) row(bytes int64, rest string) {
	t.line("%10s %5s  %s", size(bytes), share(bytes, t.total), rest)
}

func (t *table) layers(r *Report) {
	if len(r.Layers) == 0 {
		return
	}
	t.line("")
	t.line("%10s %5s  %-8s %10s  LAYER  CREATED BY", "SIZE", "SHARE", "FILES", "HIDDEN")
	for i, l := range r.Layers {
		hidden := "-"
		if l.Hidden.Size > 0 {
			hidden = size(l.Hidden.Size)
		}
		t.row(l.Size, fmt.Sprintf("%-8d %10s  %-5d  %s", l.Files, hidden, i+1, show(shorten(l.CreatedBy))))
	}
}

func (t *table) hidden(r *Report, top int) {
	if len(r.HiddenFiles) == 0 {
		return
	}
	t.line("")
	t.line("%10s  %-20s  LARGEST HIDDEN FILES", "SIZE", "LAYER")
	for _, f := range r.HiddenFiles[:min(top, len(r.HiddenFiles))] {
		how := fmt.Sprintf("%d, then removed", f.Layer)
		if f.By > 0 {
			how = fmt.Sprintf("%d, again in %d", f.Layer, f.By)
		}
		t.line("%10s  %-20s  %s", size(f.Size), how, show(f.Path))
	}
}

func (t *table) packages(r *Report, top int) {
	if len(r.Packages) == 0 {
		return
	}
	t.line("")
	t.line("%10s %5s  %-8s %-31s VERSION", "SIZE", "SHARE", "FILES", fmt.Sprintf("PACKAGE (of %d)", len(r.Packages)))
	shown := r.Packages[:min(top, len(r.Packages))]
	for _, p := range shown {
		t.row(p.Size, fmt.Sprintf("%-8d %-31s %s", p.Files, show(p.Name), show(p.Version)))
	}
	if rest := r.Packages[len(shown):]; len(rest) > 0 {
		var s Sum
		for _, p := range rest {
			s.Files += p.Files
			s.Size += p.Size
		}
		t.row(s.Size, fmt.Sprintf("%-8d %s more", s.Files, plural(len(rest), "package")))
	}
	t.row(r.Unowned.Size, fmt.Sprintf("%-8d no package owns them", r.Unowned.Files))
}

// dirs shows the largest directories as a tree. One that holds nothing but
// another is shown as that one.
func (t *table) dirs(r *Report, top int) {
	chosen := map[*Dir]bool{}
	candidates := append([]*Dir(nil), r.Tree.Dirs...)
	for len(chosen) < top && len(candidates) > 0 {
		i := 0
		for j, d := range candidates {
			if d.Size > candidates[i].Size {
				i = j
			}
		}
		d := candidates[i]
		candidates = append(slices.Delete(candidates, i, i+1), d.Dirs...)
		if len(d.Dirs) == 0 || d.Dirs[0].Size < d.Size {
			chosen[d] = d.Size > 0
		}
	}
	t.line("")
	t.line("%10s %5s  %-8s DIRECTORY", "SIZE", "SHARE", "FILES")
	var walk func(d *Dir, path, indent string)
	walk = func(d *Dir, path, indent string) {
		for _, sub := range d.Dirs {
			name := path + "/" + sub.Name
			if !chosen[sub] {
				walk(sub, name, indent)
				continue
			}
			t.row(sub.Size, fmt.Sprintf("%-8d %s%s", sub.Files, indent, show(name)))
			walk(sub, name, indent+"  ")
		}
	}
	walk(r.Tree, "", "")
}

func size(n int64) string { return units.BytesSize(float64(n)) }

// delta is a size with its sign.
func delta(n int64) string {
	switch {
	case n > 0:
		return "+" + size(n)
	case n < 0:
		return "-" + size(-n)
	}
	return "0B"
}

func share(n, total int64) string {
	if total == 0 {
		return "-"
	}
	return strconv.FormatFloat(100*float64(n)/float64(total), 'f', 1, 64) + "%"
}

func plural(n int, what string) string { return plurals(n, what, what+"s") }

func plurals(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// show is a name of an image as a terminal may have it: nothing in it can steer
// the terminal or start a line.
func show(name string) string {
	for _, r := range name {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return strconv.Quote(name)
		}
	}
	return name
}

// shorten is the start of a build step, as much as a table has room for.
func shorten(step string) string {
	const room = 60
	step = strings.TrimPrefix(strings.Join(strings.Fields(step), " "), "/bin/sh -c ")
	if r := []rune(step); len(r) > room {
		step = string(r[:room-1]) + "…"
	}
	return step
}

// bySize sorts by how much a change weighs, whichever way.
func bySize(a, b int64) int { return cmp.Compare(max(b, -b), max(a, -a)) }
