package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []int64
		want   int64
	}{
		{"none", nil, 0},
		{"one", []int64{7}, 7},
		{"two", []int64{4, 2}, 3},
		{"odd", []int64{9, 1, 5}, 5},
		{"even", []int64{40, 10, 30, 20}, 25},
		{"an outlier counts once", []int64{5, 1000, 4, 6, 5}, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			given := slices.Clone(tt.values)
			if got := median(tt.values); got != tt.want {
				t.Errorf("median(%v) = %d, want %d", tt.values, got, tt.want)
			}
			if diff := cmp.Diff(given, tt.values); diff != "" {
				t.Errorf("the values moved (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSummary(t *testing.T) {
	got := summary([]sample{
		{wall: 3 * time.Second, cpu: 9, peak: 10, size: 7},
		{wall: 1 * time.Second, cpu: 8, peak: 30, size: 7},
		{wall: 2 * time.Second, cpu: 4, peak: 20, size: 7},
	})
	want := sample{wall: 2 * time.Second, cpu: 8, peak: 30, size: 7}
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestJudge(t *testing.T) {
	run := func(seconds float64, size int64) sample {
		return sample{wall: time.Duration(seconds * float64(time.Second)), size: size}
	}
	for _, tt := range []struct {
		name         string
		target       target
		ours, theirs sample
		want         string
		met          bool
	}{
		{"as fast as that", target{atMost, 1, 1.02}, run(4, 101), run(4, 100), "1.00×, size 1.010×", true},
		{"slower", target{atMost, 1, 1.02}, run(5, 100), run(4, 100), "1.25×, size 1.000×", false},
		{"too large", target{atMost, 1, 1.02}, run(4, 103), run(4, 100), "1.00×, size 1.030×", false},
		{"a size is asked for and missing", target{atMost, 1, 1.02}, run(4, 0), run(4, 0), "1.00×", false},
		{"ten times faster", target{atLeast, 10, 0}, run(3, 0), run(30, 0), "10.0× faster", true},
		{"not quite", target{atLeast, 10, 0}, run(3, 0), run(29, 0), "9.7× faster", false},
		{"as large is not smaller", target{atLeast, 10, 1}, run(1, 5), run(30, 5), "30.0× faster, size 1.000×", false},
		{"smaller", target{atLeast, 10, 1}, run(1, 4), run(30, 5), "30.0× faster, size 0.800×", true},
		{"a share", target{share, 15, 0}, run(0.6, 0), run(4, 0), "15.0 %", true},
		{"more than that", target{share, 5, 0}, run(0.6, 0), run(4, 0), "15.0 %", false},
		{"memory", target{memory, 400, 0}, sample{peak: 400<<20 - 1}, sample{}, "", true},
		{"too much memory", target{memory, 400, 0}, sample{peak: 400 << 20}, sample{}, "", false},
		{"in time and small", target{within, 1.5, 25}, run(1.5, 25e6), sample{}, "25.0 MB", true},
		{"late", target{within, 1.5, 25}, run(1.6, 25e6), sample{}, "25.0 MB", false},
		{"too many bytes", target{within, 1.5, 25}, run(1, 25_100_000), sample{}, "25.1 MB", false},
		{"in time, whatever the size", target{within, 3, 0}, run(3, 5), sample{}, "", true},
		{"too late", target{within, 3, 0}, run(3.1, 5), sample{}, "", false},
		{"for information", target{}, run(9, 0), run(3, 0), "3.00×", true},
		{"for information, with nothing beside it", target{}, run(9, 0), sample{}, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, met := tt.target.judge(tt.ours, tt.theirs)
			if got != tt.want || met != tt.met {
				t.Errorf("got %q %v, want %q %v", got, met, tt.want, tt.met)
			}
		})
	}
}

func TestComparison(t *testing.T) {
	r := results{
		rounds: 2,
		rows: []row{
			{1, "convert", "`zstd`", "a", "b", target{atMost, 1, 0}},
			{7, "tar", "`tar | zstd`", "a", "b", target{}},
			{8, "memory", "", "a", "", target{memory, 400, 0}},
			{10, "initrd", "", "a", "", target{within, 6, 25}},
		},
		sides: []side{{name: "a", title: "ours"}, {name: "b", title: "theirs"}},
		samples: map[string][]sample{
			"a": {{wall: 5 * time.Second, peak: 1 << 20, size: 1 << 10}, {wall: 7 * time.Second, peak: 3 << 20, size: 1 << 10}},
			"b": {{wall: 3 * time.Second, cpu: time.Second}, {wall: 3 * time.Second, cpu: time.Second}},
		},
	}
	want := `| row | work | against | ours | theirs | ratio | target | met |
|---|---|---|---|---|---|---|---|
| 1 | convert | ` + "`zstd`" + ` | 6.00 s | 3.00 s | 2.00× | ≤ 1× | **no** |
| 7 | tar | ` + "`tar \\| zstd`" + ` | 6.00 s | 3.00 s | 2.00× | none |  |
| 8 | memory |  | 3.0 MiB |  |  | < 400 MiB | yes |
| 10 | initrd |  | 6.00 s |  | 0.0 MB | ≤ 6.0 s, ≤ 25 MB | yes |
`
	if diff := cmp.Diff(want, r.comparison()); diff != "" {
		t.Errorf("comparison (-want +got):\n%s", diff)
	}
	want = `| side | round 1 | round 2 |
|---|---|---|
| a | 5.000 (0.00) | 7.000 (0.00) |
| b | 3.000 (1.00) | 3.000 (1.00) |
`
	if diff := cmp.Diff(want, r.everyRun()); diff != "" {
		t.Errorf("every run (-want +got):\n%s", diff)
	}
	if got := r.missed(); got != 1 {
		t.Errorf("%d rows missed, want 1", got)
	}
	for _, text := range []string{r.comparison(), r.everyRun(), "| a | ours | 6.00 s |"} {
		if !strings.Contains(r.markdown(part{}), text) {
			t.Errorf("the page lacks\n%s", text)
		}
	}
}

// A run of one chapter's rows leaves the other chapter as it is.
func TestUpdate(t *testing.T) {
	ran := func(first, last int) results {
		return results{rounds: 1, date: fmt.Sprintf("day %d", last), rows: slices.DeleteFunc(rows(), func(w row) bool { return w.number < first || w.number > last })}
	}
	chapters := func(text string) (found []string) {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "## ") || strings.HasPrefix(line, "Measured on ") {
				found = append(found, strings.TrimSpace(strings.TrimSuffix(strings.Split(line, ".")[0], "\n")))
			}
		}
		return found
	}
	node := ran(10, 12).update("")
	if diff := cmp.Diff([]string{"## The node", "Measured on day 12"}, chapters(node)); diff != "" {
		t.Errorf("one chapter (-want +got):\n%s", diff)
	}
	both := ran(1, 9).update(node)
	want := []string{"## Converting and building", "Measured on day 9", "## The node", "Measured on day 12"}
	if diff := cmp.Diff(want, chapters(both)); diff != "" {
		t.Errorf("the other one too (-want +got):\n%s", diff)
	}
	if _, chapter, _ := strings.Cut(both, "## The node"); !strings.HasSuffix(node, chapter) || chapter == "" {
		t.Errorf("the chapter that was not measured changed:\n%s", chapter)
	}
	if again := ran(2, 9).update(both); again != both {
		t.Errorf("a part of a chapter's rows changed the file:\n%s", cmp.Diff(both, again))
	}
	if again := ran(1, 9).update(both); again != both {
		t.Errorf("the same results changed the file:\n%s", cmp.Diff(both, again))
	}
	if all := ran(1, 12).update(both); !strings.Contains(all, "Measured on day 12") || strings.Contains(all, "Measured on day 9") {
		t.Errorf("not all chapters are new:\n%s", all)
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		rows []int
		file string // the name of the file with the results
		err  string
	}{
		{"all", nil, nil, "RESULTS.md", ""},
		{"some", []string{"--rows", "1, 4"}, []int{1, 4}, ".", ""},
		{"some, to a file", []string{"-rows=2", "-results", "x.md"}, []int{2}, "x.md", ""},
		{"no such row", []string{"-rows", "1,99"}, nil, "", `there is no row "99"`},
		{"no number", []string{"-rows", "zstd"}, nil, "", `there is no row "zstd"`},
		{"no rounds", []string{"-rounds", "0"}, nil, "", "at least 1"},
		{"an argument", []string{"1"}, nil, "", "there are only flags"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, err := parse(tt.args)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.rows, o.rows); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			if got := filepath.Base(o.results); got != tt.file {
				t.Errorf("results go to %s, want %s", got, tt.file)
			}
		})
	}
}

// Each row must name sides that exist, each side things that exist, and what a
// side builds on must run before it.
func TestRowsAndSides(t *testing.T) {
	const all = "--boot netroot --method cpio tar squashfs erofs --compress zstd lz4 --no-cache --cache-dir --initrd builtin none"
	h := help(all)
	b := &bench{}
	chosen, chosenSides := b.choose(h)
	if len(chosen) != len(rows()) || len(chosenSides) != len(h.sides()) {
		t.Errorf("%d of %d rows and %d of %d sides are measured", len(chosen), len(rows()), len(chosenSides), len(h.sides()))
	}
	var names []string
	for _, s := range h.sides() {
		if slices.Contains(names, s.name) {
			t.Errorf("two sides are called %s", s.name)
		}
		names = append(names, s.name)
		for _, need := range s.needs {
			if !slices.ContainsFunc(things(), func(g thing) bool { return g.name == need }) {
				t.Errorf("side %s needs %s, which nothing makes", s.name, need)
			}
		}
		if s.title == "" {
			t.Errorf("side %s has no title", s.name)
		}
		if strings.Contains(s.before, "out/first") && !slices.Contains(names, "first") {
			t.Errorf("side %s comes before the first time that it needs", s.name)
		}
	}
}

// A rootcast that makes only ramdisks can do these rows, and no others.
func TestChooseOfLittle(t *testing.T) {
	b := &bench{}
	chosen, _ := b.choose(help("--compress zstd"))
	var got []int
	for _, w := range chosen {
		got = append(got, w.number)
	}
	if diff := cmp.Diff([]int{1, 2, 3, 4, 8, 8, 8, 9, 14}, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestReadSeconds(t *testing.T) {
	name := filepath.Join(t.TempDir(), "seconds")
	for text, want := range map[string]time.Duration{"2.5\n": 2500 * time.Millisecond, " 3 ": 3 * time.Second, "": 0, "soon": 0} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readSeconds(name); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
}

func TestMeasure(t *testing.T) {
	// Two processes at a time, whose memory is added up.
	const script = `hold() { head -c 60000000 /dev/zero | tail -c 60000000 | (sleep 0.5; cat) >/dev/null; }; hold & hold; wait`
	m, err := measure(t.Context(), script, nil)
	if err != nil {
		t.Fatal(err)
	}
	if m.wall < 500*time.Millisecond || m.cpu <= 0 || m.peak < 100e6 {
		t.Errorf("%s, %s of CPU, %d bytes for two times 60 MB in 0.5 s", m.wall, m.cpu, m.peak)
	}
	_, err = measure(t.Context(), `true | (echo 'no space' >&2; exit 3) | true; echo later >&2`, nil)
	if err == nil || !strings.Contains(err.Error(), "no space") || strings.Contains(err.Error(), "\nlater") {
		t.Errorf("error %v, want the failed tool's message and nothing after it", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err = measure(ctx, `sleep 60; true`, nil); err == nil {
		t.Error("a measurement outlives its context")
	}
}

func TestMeasureSide(t *testing.T) {
	b := &bench{options: options{dir: t.TempDir()}, env: []string{"FRIEND=made before"}}
	s := side{name: "s", before: `echo "$FRIEND" >"$OUT/a"`, script: `cat "$OUT/a" "$OUT/a" >"$OUT/b"`, file: "b", check: `grep -q before "$OUT/b"`}
	for range 2 { // in a new directory each time
		m, err := b.measureSide(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if m.size != 24 {
			t.Errorf("size %d, want 24", m.size)
		}
	}
	if err := b.checkSide(t.Context(), s); err != nil {
		t.Error(err)
	}
	s.check = `grep -q after "$OUT/b"`
	if err := b.checkSide(t.Context(), s); err == nil || !strings.Contains(err.Error(), "checking what s made") {
		t.Errorf("error %v of a check that fails", err)
	}
	s.file = "c"
	if _, err := b.measureSide(t.Context(), s); err == nil {
		t.Error("a side that makes nothing passes")
	}
}

func TestSameNames(t *testing.T) {
	made, out := t.TempDir(), t.TempDir()
	for _, name := range []string{"bin", "etc"} {
		if err := os.MkdirAll(filepath.Join(made, "tree", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ name, list, err string }{
		{"same", ".\n./etc\n./bin\n", ""},
		{"without ./, and with what rootcast adds", "bin\netc\ninit\n.rootcast/xattrs\n", ""},
		{"one is missing", "bin\n", "> etc"},
		{"one too many", "bin\netc\nusr\n", "< usr"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(out, "list"), []byte(tt.list), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := output(t.Context(), sameNames, []string{"OUT=" + out, "MADE=" + made, "LC_ALL=C"})
			if tt.err == "" && err != nil {
				t.Error(err)
			}
			if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

func TestLayersOf(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := layersOf(dir); err == nil {
		t.Error("a directory without index.json has layers")
	}
	write("index.json", `{"manifests":[]}`)
	if _, err := layersOf(dir); err == nil {
		t.Error("an empty layout has layers")
	}
	write("index.json", `{"manifests":[{"digest":"sha256:aa"}]}`)
	write("blobs/sha256/aa", `{"layers":[{"digest":"sha256:bb","size":5},{"digest":"sha256:cc","size":6}]}`)
	got, err := layersOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]descriptor{{"sha256:bb", 5}, {"sha256:cc", 6}}, got); diff != "" {
		t.Errorf("layers (-want +got):\n%s", diff)
	}
}

func TestForPeople(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{thousands(7), "7"},
		{thousands(27300), "27,300"},
		{thousands(1234567), "1,234,567"},
		{bytesString(1 << 9), "0.5 KiB"},
		{bytesString(405 << 20), "405.0 MiB"},
		{bytesString(7 << 29), "3.50 GiB"},
		{seconds(1234 * time.Millisecond), "1.23 s"},
		{target{atMost, 1, 1.02}.String(), "≤ 1×, size ≤ 1.02×"},
		{target{atLeast, 10, 1}.String(), "≥ 10× faster, smaller"},
		{target{share, 15, 0}.String(), "≤ 15 %"},
		{image{id: "0123456789abcdef", layers: 7, packed: 1 << 30, bytes: 3 << 30, files: 28000}.String(), "3.00 GiB of files, 28,000 entries, 7 layers (1.00 GiB with gzip), ID 0123456789ab"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestResidentOf(t *testing.T) {
	for statm, want := range map[string]int64{"100 42 7 1 0 5 0\n": 42, "": 0, "7": 0, "7 x": 0} {
		if got := residentOf(statm); got != want {
			t.Errorf("residentOf(%q) = %d, want %d", statm, got, want)
		}
	}
}
