package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// shownChanges is how many lines of a kind a table has unless all are wanted.
const shownChanges = 20

// WriteTable writes the differences for people: those that weigh the most, or all.
func (d *Diff) WriteTable(w io.Writer, all bool) error {
	t := &diffTable{all: all}
	t.line("A  %s: %s in %s", show(d.A.Name), size(d.A.Size), plural(d.A.Files, "file"))
	change := "as much"
	if d.Delta != 0 {
		change = delta(d.Delta)
	}
	t.line("B  %s: %s in %s, %s", show(d.B.Name), size(d.B.Size), plural(d.B.Files, "file"), change)
	t.packages(&d.Packages)
	t.dirs(d.Directories)
	t.files(d)
	for i, warning := range d.Warnings {
		if i == 0 {
			t.line("")
		}
		t.line("Warning: %s", show(warning))
	}
	_, err := io.WriteString(w, t.b.String())
	return err
}

type diffTable struct {
	table
	all bool
}

// counts is what stands above a list: the numbers that are not 0.
func (t *diffTable) counts(title string, numbers ...any) bool {
	var parts []string
	for i := 0; i < len(numbers); i += 2 {
		if n, ok := numbers[i].(int); ok && n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, numbers[i+1]))
		}
	}
	t.line("")
	if len(parts) == 0 {
		t.line("%s  no difference", title)
		return false
	}
	t.line("%s  %s", title, strings.Join(parts, ", "))
	return true
}

// shown is how much of a list is shown; more says what is left out.
func (t *diffTable) shown(n int) int {
	if t.all {
		return n
	}
	return min(n, shownChanges)
}

func (t *diffTable) more(n int) {
	if left := n - t.shown(n); left > 0 {
		t.line("%11s  … and %d more, which --all shows", "", left)
	}
}

func (t *diffTable) packages(p *PackageDiff) {
	if !t.counts("PACKAGES", len(p.Added), "added", len(p.Removed), "removed", len(p.Upgraded), "upgraded", len(p.Downgraded), "downgraded") {
		return
	}
	for _, kind := range []struct {
		mark string
		list []PackageChange
	}{{"added", p.Added}, {"removed", p.Removed}, {"upgraded", p.Upgraded}, {"downgraded", p.Downgraded}} {
		list := slices.Clone(kind.list)
		if !t.all {
			slices.SortStableFunc(list, func(a, b PackageChange) int { return bySize(a.Delta, b.Delta) })
		}
		for _, c := range list[:t.shown(len(list))] {
			versions := c.From + c.To
			if c.From != "" && c.To != "" {
				versions = c.From + " → " + c.To
			}
			t.line("%11s  %-10s  %-28s %s", delta(c.Delta), kind.mark, show(c.Name), show(versions))
		}
		t.more(len(list))
	}
}

// dirs leaves out a directory whose change is that of another below it.
func (t *diffTable) dirs(list []DirChange) {
	var rows []DirChange
	for i, c := range list {
		if c.Delta == 0 || c.Path == "/" {
			continue
		}
		inner := false
		for _, b := range list[i+1:] {
			if bySize(b.Delta, c.Delta) != 0 { // they are sorted
				break
			}
			inner = inner || b.Delta == c.Delta && strings.HasPrefix(b.Path, c.Path+"/")
		}
		if !inner {
			rows = append(rows, c)
		}
	}
	if len(rows) == 0 {
		return
	}
	t.line("")
	t.line("DIRECTORIES  with what is below them")
	for _, c := range rows[:t.shown(len(rows))] {
		t.line("%11s  %s", delta(c.Delta), show(c.Path))
	}
	t.more(len(rows))
}

func (t *diffTable) files(d *Diff) {
	if !t.counts("FILES", len(d.Added), "added", len(d.Removed), "removed", len(d.Changed), "changed") {
		return
	}
	for _, kind := range []struct {
		mark string
		list []Change
	}{{"added", d.Added}, {"removed", d.Removed}, {"changed", d.Changed}} {
		list := slices.Clone(kind.list)
		if !t.all {
			slices.SortStableFunc(list, func(a, b Change) int { return bySize(a.Delta, b.Delta) })
		}
		for _, c := range list[:t.shown(len(list))] {
			t.line("%11s  %-8s  %s%s", delta(c.Delta), kind.mark, show(c.Path), c.how())
		}
		t.more(len(list))
	}
}

// how is what changed, in parentheses.
func (c Change) how() string {
	var parts []string
	for _, d := range c.What {
		switch {
		case d.Field == "size":
			continue // the delta says it
		case d.Field == "xattrs" || d.From == "" && d.To == "":
			parts = append(parts, d.Field)
		default:
			parts = append(parts, fmt.Sprintf("%s %s → %s", d.Field, show(d.From), show(d.To)))
		}
	}
	switch {
	case len(parts) > 0:
		return "  (" + strings.Join(parts, ", ") + ")"
	case c.Type != "file":
		return "  (" + c.Type + ")"
	}
	return ""
}
