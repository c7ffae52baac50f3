package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// results is what RESULTS.md tells.
type results struct {
	date    string
	machine []string // a line each
	tools   []string
	image   string
	rounds  int
	rows    []row
	sides   []side
	samples map[string][]sample // by the name of a side, a round each
}

// missed returns how many rows miss their targets.
func (r results) missed() int {
	n := 0
	for _, w := range r.rows {
		if _, met := w.target.judge(r.of(w.ours), r.of(w.theirs)); !met {
			n++
		}
	}
	return n
}

func (r results) of(name string) sample { return summary(r.samples[name]) }

// part is a chapter of RESULTS.md: rows that are measured in one run.
type part struct {
	title       string
	first, last int // numbers of rows
	note        string
}

// parts are all chapters, in their order.
func parts() []part {
	return []part{
		{"Converting and building", 1, 9, "rootcast also hashes, fsyncs and publishes what it makes, which the other tools do not."},
		{"The node", 10, 12, "The times of row 12 are the guest's own, in QEMU without KVM, where each " +
			"instruction takes a nanosecond (`-icount shift=0`) on one processor: a processor of today does several in that time; " +
			"the design asks for less than 3 s with KVM."},
		{"An initrd of another architecture", 13, 13, "mkinitramfs takes so many minutes in the emulator that it ran once."},
		{"An image of another architecture", 14, 14, "Each side ran once, for most of its minutes pass in the emulator."},
	}
}

// of returns the results that belong to the part; ok: all of its rows are there.
func (p part) of(r results) (_ results, ok bool) {
	in := func(w row) bool { return p.first <= w.number && w.number <= p.last }
	r.rows = slices.DeleteFunc(slices.Clone(r.rows), func(w row) bool { return !in(w) })
	r.sides = slices.DeleteFunc(slices.Clone(r.sides), func(s side) bool {
		return !slices.ContainsFunc(r.rows, func(w row) bool { return s.name == w.ours || s.name == w.theirs })
	})
	all := slices.DeleteFunc(rows(), func(w row) bool { return !in(w) })
	return r, len(r.rows) == len(all)
}

const title = "# Results of make bench\n\n" +
	"Written by hack/bench; the comparisons and their targets are those of the design, §9.\n"

// update puts the chapters of all parts that r has whole in the place of those in an
// earlier file, and returns the file.
func (r results) update(earlier string) string {
	chapters := map[string]string{}
	for _, chapter := range strings.Split("\n"+earlier, "\n## ")[1:] {
		name, _, _ := strings.Cut(chapter, "\n")
		chapters[name] = "## " + strings.TrimRight(chapter, "\n") + "\n"
	}
	text := title
	for _, p := range parts() {
		if own, ok := p.of(r); ok {
			chapters[p.title] = own.markdown(p)
		}
		if chapter := chapters[p.title]; chapter != "" {
			text += "\n" + chapter
		}
	}
	return text
}

// markdown renders a chapter.
func (r results) markdown(p part) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\nMeasured on %s. Each side ran %d times, in turns, after a turn that nobody timed, so that all\n"+
		"read from warm caches; the times are of whole processes. %s\n\n- Image: %s\n", p.title, r.date, r.rounds, p.note, r.image)
	for _, line := range r.machine {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	fmt.Fprintf(&b, "- Tools: %s\n\n### Comparison\n\n%s", strings.Join(r.tools, "; "), r.comparison())
	fmt.Fprintf(&b, "\nTimes and sizes are medians; a ratio in × is ours by theirs. The peak is the highest of all rounds.\n\n")
	fmt.Fprintf(&b, "### Each side\n\n%s\n### Every run\n\n", r.eachSide())
	fmt.Fprintf(&b, "Seconds from start to end (seconds of all processors).\n\n%s", r.everyRun())
	return b.String()
}

// comparison is the table of rows.
func (r results) comparison() string {
	t := table{{"row", "work", "against", "ours", "theirs", "ratio", "target", "met"}}
	for _, w := range r.rows {
		ours, theirs := r.of(w.ours), r.of(w.theirs)
		ratio, met := w.target.judge(ours, theirs)
		verdict := map[bool]string{true: "yes", false: "**no**"}[met]
		if w.target.kind == forInformation {
			verdict = ""
		}
		if w.target.kind == memory {
			t = append(t, []string{fmt.Sprint(w.number), w.work, "", bytesString(ours.peak), "", "", w.target.String(), verdict})
			continue
		}
		if w.theirs == "" {
			t = append(t, []string{fmt.Sprint(w.number), w.work, "", seconds(ours.wall), "", ratio, w.target.String(), verdict})
			continue
		}
		t = append(t, []string{
			fmt.Sprint(w.number), w.work, w.against, seconds(ours.wall), seconds(theirs.wall), ratio, w.target.String(), verdict,
		})
	}
	return t.String()
}

// eachSide is the table of medians of the sides.
func (r results) eachSide() string {
	t := table{{"side", "what it does", "time", "CPU", "peak memory", "size"}}
	for _, s := range r.sides {
		m := r.of(s.name)
		size := ""
		if m.size > 0 {
			size = bytesString(m.size)
		}
		t = append(t, []string{s.name, s.title, seconds(m.wall), seconds(m.cpu), bytesString(m.peak), size})
	}
	return t.String()
}

// everyRun is the table of raw values.
func (r results) everyRun() string {
	head := []string{"side"}
	for i := range r.rounds {
		head = append(head, fmt.Sprintf("round %d", i+1))
	}
	t := table{head}
	for _, s := range r.sides {
		line := []string{s.name}
		for _, m := range r.samples[s.name] {
			line = append(line, fmt.Sprintf("%.3f (%.2f)", m.wall.Seconds(), m.cpu.Seconds()))
		}
		t = append(t, line)
	}
	return t.String()
}

// table is rows of cells; the first row is its head.
type table [][]string

// String renders a Markdown table.
func (t table) String() string {
	var b strings.Builder
	for i, line := range t {
		cells := make([]string, len(line))
		for k, cell := range line {
			cells[k] = strings.ReplaceAll(cell, "|", `\|`)
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
		if i == 0 {
			fmt.Fprintf(&b, "|%s\n", strings.Repeat("---|", len(line)))
		}
	}
	return b.String()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// bytesString writes a size for people.
func bytesString(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	default:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
}
