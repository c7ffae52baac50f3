package apt

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Source is one suite of one repository of binary packages.
type Source struct {
	URI           string
	Suite         string   // bookworm-updates; ends in / for a flat repository, which has no components
	Components    []string // main contrib
	Architectures []string // empty: all that dpkg knows
	SignedBy      string   // a keyring's path, fingerprints, or a whole key; empty: the keys that apt trusts
}

// String is the source as a line of sources.list. A key that stands in the
// source itself has no place in a line and is left out.
func (s Source) String() string {
	var options []string
	if len(s.Architectures) > 0 {
		options = append(options, "arch="+strings.Join(s.Architectures, ","))
	}
	if s.SignedBy != "" && !strings.ContainsAny(s.SignedBy, " \t\n]") {
		options = append(options, "signed-by="+s.SignedBy)
	}
	words := []string{"deb"}
	if len(options) > 0 {
		words = append(words, "["+strings.Join(options, " ")+"]")
	}
	words = append(words, s.URI, s.Suite)
	return strings.Join(append(words, s.Components...), " ")
}

// ReadSources reads etc/apt/sources.list and etc/apt/sources.list.d of root,
// in the order in which apt does. Where there is none of them the result is empty.
func ReadSources(root fs.FS) ([]Source, error) {
	const (
		main = "etc/apt/sources.list"
		dir  = "etc/apt/sources.list.d"
	)
	names := []string{main}
	entries, err := fs.ReadDir(root, dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the sources of apt: %w", err)
	}
	for _, e := range entries { // sorted
		if isSourceName(e.Name()) {
			names = append(names, path.Join(dir, e.Name()))
		}
	}
	var all []Source
	for _, name := range names {
		text, err := fs.ReadFile(root, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the sources of apt: %w", err)
		}
		parse := ParseList
		if path.Ext(name) == ".sources" {
			parse = ParseDeb822
		}
		sources, err := parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("/%s:%w", name, err)
		}
		all = append(all, sources...)
	}
	return all, nil
}

// isSourceName tells the files that apt reads from those it passes over, such
// as the copies that dpkg and editors leave.
func isSourceName(name string) bool {
	stem, list := strings.CutSuffix(name, ".list")
	if !list {
		var ok bool
		if stem, ok = strings.CutSuffix(name, ".sources"); !ok {
			return false
		}
	}
	return stem != "" && !strings.ContainsFunc(stem, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.", r)
	})
}

// ParseList parses the one-line format: deb [option=value …] URI SUITE [COMPONENT…].
// Sources of other types than deb are passed over. Errors begin with the line's number.
func ParseList(text string) ([]Source, error) {
	var sources []Source
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		s, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", i+1, err)
		}
		if s != nil {
			sources = append(sources, *s)
		}
	}
	return sources, nil
}

// ParseLine parses one line of the one-line format, which must be a source of
// binary packages.
func ParseLine(line string) (Source, error) {
	s, err := parseLine(line)
	if err == nil && s == nil {
		err = fmt.Errorf("%q is not a line as in sources.list: deb URI SUITE COMPONENT…", line)
	}
	if err != nil {
		return Source{}, err
	}
	return *s, nil
}

func parseLine(line string) (*Source, error) {
	kind, rest := cutWord(line)
	if kind == "" || kind == "deb-src" {
		return nil, nil
	}
	if kind != "deb" {
		return nil, fmt.Errorf("%q is no type of source; it is deb or deb-src", kind)
	}
	var s Source
	if inner, ok := strings.CutPrefix(rest, "["); ok {
		options, after, ok := strings.Cut(inner, "]")
		if !ok {
			return nil, errors.New("the options' closing bracket is missing")
		}
		s.setOptions(options)
		rest = after
	}
	s.URI, rest = cutWord(rest)
	s.Suite, rest = cutWord(rest)
	s.Components = strings.Fields(rest)
	if err := s.check(); err != nil {
		return nil, err
	}
	return &s, nil
}

func (s *Source) setOptions(text string) {
	for _, option := range strings.Fields(text) {
		key, value, _ := strings.Cut(option, "=")
		switch strings.ToLower(key) {
		case "arch":
			s.Architectures = splitNonEmpty(value)
		case "signed-by":
			s.SignedBy = value
		}
	}
}

func (s *Source) check() error {
	switch flat := strings.HasSuffix(s.Suite, "/"); {
	case s.URI == "":
		return errors.New("the URI is missing")
	case !hasScheme(s.URI):
		return fmt.Errorf("%q is not a URI", s.URI)
	case s.Suite == "":
		return fmt.Errorf("the suite after %s is missing", Redact(s.URI))
	case flat && len(s.Components) > 0:
		return fmt.Errorf("suite %s is a path and cannot have components", s.Suite)
	case !flat && len(s.Components) == 0:
		return fmt.Errorf("suite %s has no component such as main", s.Suite)
	}
	return nil
}

// hasScheme tells http: and mirror+file: from a forgotten URI.
func hasScheme(uri string) bool {
	scheme, _, ok := strings.Cut(uri, ":")
	return ok && scheme != "" && 'a' <= scheme[0] && scheme[0] <= 'z' &&
		strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyz0123456789+-.") == ""
}

// ParseDeb822 parses the format of *.sources files: paragraphs of fields.
// A paragraph of several URIs and suites is as many sources. Errors begin with
// the line's number.
func ParseDeb822(text string) ([]Source, error) {
	var sources []Source
	paragraphs, err := parseParagraphs(text)
	if err != nil {
		return nil, err
	}
	for _, p := range paragraphs {
		list, err := p.sources()
		if err != nil {
			return nil, fmt.Errorf("%d: %w", p.line, err)
		}
		sources = append(sources, list...)
	}
	return sources, nil
}

func (p paragraph) sources() ([]Source, error) {
	if isNo(p.fields["enabled"]) || !slices.Contains(strings.Fields(p.fields["types"]), "deb") {
		return nil, nil
	}
	uris, suites := strings.Fields(p.fields["uris"]), strings.Fields(p.fields["suites"])
	if len(uris) == 0 {
		return nil, errors.New("the field URIs is missing")
	}
	if len(suites) == 0 {
		return nil, errors.New("the field Suites is missing")
	}
	var list []Source
	for _, uri := range uris {
		for _, suite := range suites {
			s := Source{
				URI: uri, Suite: suite,
				Components:    strings.Fields(p.fields["components"]),
				Architectures: strings.Fields(p.fields["architectures"]),
				SignedBy:      p.fields["signed-by"],
			}
			if err := s.check(); err != nil {
				return nil, err
			}
			list = append(list, s)
		}
	}
	return list, nil
}

// isNo is apt's StringToBool.
func isNo(value string) bool {
	switch strings.ToLower(value) {
	case "no", "false", "without", "off", "disable", "0":
		return true
	}
	return false
}

func cutWord(text string) (word, rest string) {
	text = strings.TrimSpace(text)
	if i := strings.IndexAny(text, " \t\r\v\f"); i >= 0 {
		return text[:i], strings.TrimSpace(text[i:])
	}
	return text, ""
}

func splitNonEmpty(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}
