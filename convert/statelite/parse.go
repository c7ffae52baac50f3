package statelite

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// maxLine is the longest line that is read, in bytes.
const maxLine = 1 << 20

// Parse reads rules in either form; name is the file's, for messages. Of a table
// it takes the rows of ALL, and those of the images named, whatever they are to
// xCAT: an image or a group. For the same path a row of an image that is named
// earlier stands in for those of later ones and of ALL. Rows that are disabled do
// not count.
//
// The error holds everything that is wrong with the file, a line "NAME:LINE: …"
// for each.
func Parse(r io.Reader, name string, images ...string) (*Rules, error) {
	p := &parser{name: name, images: images, image: make([][]Rule, len(images)), skipped: map[string]bool{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		p.line++
		p.read(strings.TrimSpace(lines.Text()))
	}
	if err := lines.Err(); err != nil {
		p.fail(p.line+1, fmt.Errorf("reading the rules: %w", err))
	}
	rules := &Rules{Rules: p.rules(), Skipped: slices.Sorted(maps.Keys(p.skipped))}
	rules.sort()
	rules.relations(func(r Rule, err error) { p.fail(r.Line, err) })
	if len(p.errs) > 0 {
		slices.SortStableFunc(p.errs, func(a, b mistake) int { return a.line - b.line })
		return nil, p.join()
	}
	return rules, nil
}

// parser reads a file line by line.
type parser struct {
	name    string
	images  []string
	line    int
	form    form
	all     []Rule   // of ALL, or of a plain file
	image   [][]Rule // of each of the images that are asked for
	skipped map[string]bool
	errs    []mistake
}

// form is how a file is written.
type form int

const (
	unknown form = iota
	plain
	table
)

type mistake struct {
	line int
	err  error
}

func (p *parser) fail(line int, err error) { p.errs = append(p.errs, mistake{line, err}) }

func (p *parser) join() error {
	var all []error
	for _, m := range p.errs {
		all = append(all, fmt.Errorf("%s:%d: %w", p.name, m.line, m.err))
	}
	return errors.Join(all...)
}

// rules are those that count: a row of an image hides those of later ones and of ALL.
func (p *parser) rules() []Rule {
	var rules []Rule
	for _, list := range append(slices.Clone(p.image), p.all) {
		own := map[string]bool{}
		for _, r := range rules {
			own[r.Name()] = true
		}
		rules = append(rules, slices.DeleteFunc(list, func(r Rule) bool { return own[r.Name()] })...)
	}
	return rules
}

// read reads a line. The first that holds something decides on the form.
func (p *parser) read(line string) {
	switch {
	case p.form == unknown && isHeader(line):
		p.form = table
		return
	case line == "" || strings.HasPrefix(line, "#"):
		return
	case p.form == unknown && strings.HasPrefix(line, `"`):
		p.form = table // without a header, as imgexport writes it
	case p.form == unknown:
		p.form = plain
	}
	if p.form == table {
		p.row(line)
		return
	}
	fields := strings.Fields(uncomment(line))
	switch {
	case len(fields) > 2:
		p.fail(p.line, fmt.Errorf("%q is more than a path and an option (of these there are: %s)", line, options))
	case len(fields) == 2:
		p.add(&p.all, fields[0], fields[1])
	default:
		p.add(&p.all, fields[0], "")
	}
}

// isHeader tells whether a table starts.
func isHeader(line string) bool {
	bare := strings.ReplaceAll(strings.ReplaceAll(line, `"`, ""), " ", "")
	return strings.HasPrefix(bare, "#image,file,options,") || bare == "#image,file,options"
}

// uncomment cuts a comment off, which starts at the line's beginning or after a
// blank: "#" is a character of file names.
func uncomment(line string) string {
	for i := 1; i < len(line); i++ {
		if line[i] == '#' && (line[i-1] == ' ' || line[i-1] == '\t') {
			return line[:i]
		}
	}
	return line
}

// row reads a row of the table: image, file, options, comments, disable.
func (p *parser) row(line string) {
	row, err := splitRow(line)
	switch {
	case err != nil:
		p.fail(p.line, err)
		return
	case len(row) < 2 || len(row) > 5:
		p.fail(p.line, fmt.Errorf("%q has %d columns, and a row is image,file,options,comments,disable", line, len(row)))
		return
	}
	row = append(row, "", "", "")
	if disabled(row[4]) {
		return
	}
	switch image := strings.TrimSpace(row[0]); {
	case image == "":
		p.fail(p.line, fmt.Errorf("%q names no image; ALL stands for every image", line))
	case image == "ALL":
		p.add(&p.all, row[1], row[2])
	case slices.Contains(p.images, image):
		p.add(&p.image[slices.Index(p.images, image)], row[1], row[2])
	default:
		p.skipped[image] = true
	}
}

func (p *parser) add(to *[]Rule, path, option string) {
	r := Rule{Path: strings.TrimSpace(path), Line: p.line}
	var ok bool
	if r.Option, ok = parseOption(strings.ReplaceAll(option, " ", "")); !ok {
		p.fail(p.line, fmt.Errorf("%s: unknown option %q; there are: %s", r.Path, option, options))
		r.Option = Tmpfs
	}
	if err := r.check(); err != nil {
		p.fail(p.line, err)
		return
	}
	*to = append(*to, r)
}
