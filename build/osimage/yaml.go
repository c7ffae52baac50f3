package osimage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// extension is what a definition's file is called behind the image's name.
const extension = ".yaml"

// Parse reads the definition that the file path holds: one mapping of attributes
// to text, or to lists of it. The error is Problems: every mistake, with its line.
func Parse(path string, text []byte) (*Definition, error) {
	d := &Definition{
		Name: strings.TrimSuffix(filepath.Base(path), extension), Path: path,
		values: map[string]string{}, lines: map[string]int{},
	}
	if !utf8.Valid(text) {
		return nil, Problems{{path, 0, "the file is not UTF-8"}}
	}
	doc, err := document(text)
	if err != nil {
		return nil, Problems{{path, yamlLine(err), yamlText(err)}}
	}
	if doc == nil {
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "#") {
				d.comments = joinComments(d.comments, line)
			}
		}
		return d, nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, Problems{{path, root.Line, "an osimage is written as lines of ATTRIBUTE: VALUE"}}
	}
	d.text = doc
	var problems Problems
	for i := 0; i+1 < len(root.Content); i += 2 {
		if err := d.add(root.Content[i], root.Content[i+1]); err != nil {
			problems = append(problems, Problem{path, root.Content[i].Line, err.Error()})
		}
	}
	return d, problems.err()
}

// document is the only one in text, nil if there is none.
func document(text []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if root := doc.Content[0]; root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil // comments alone
	}
	switch err := dec.Decode(&more); {
	case err == nil:
		return nil, fmt.Errorf("line %d: a file holds one osimage, and here begins another", max(1, more.Line))
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	return &doc, nil
}

// add takes one attribute.
func (d *Definition) add(key, value *yaml.Node) error {
	name := key.Value
	if key.Kind != yaml.ScalarNode {
		return errors.New("an attribute's name is a word")
	}
	if first, ok := d.lines[name]; ok {
		return fmt.Errorf("%s is set already in line %d", name, first)
	}
	d.lines[name] = key.Line
	text, err := valueOf(name, value)
	if err != nil {
		return err
	}
	return d.Set(name, text, filepath.Dir(d.Path))
}

// valueOf is a value as one text: a list's items have commas between them.
func valueOf(name string, value *yaml.Node) (string, error) {
	switch value.Kind {
	case yaml.ScalarNode:
		if value.Tag == "!!null" {
			return "", nil
		}
		return value.Value, nil
	case yaml.SequenceNode:
		if a, ok := FindAttribute(name); ok && (a.Kind == Text || a.Kind == Word) {
			return "", fmt.Errorf("%s takes one value, not a list", name)
		}
		var items []string
		for _, item := range value.Content {
			if item.Kind != yaml.ScalarNode || strings.Contains(item.Value, ",") {
				return "", fmt.Errorf("line %d: an item of %s is a text without a comma", item.Line, name)
			}
			items = append(items, item.Value)
		}
		return strings.Join(items, ","), nil
	case yaml.DocumentNode, yaml.MappingNode, yaml.AliasNode:
	}
	return "", fmt.Errorf("the value of %s is neither a text nor a list of them", name)
}

// yamlLine is the line that the library's error names, 0 if none.
func yamlLine(err error) (line int) {
	_, rest, ok := strings.Cut(err.Error(), "line ")
	if ok {
		_, _ = fmt.Sscanf(rest, "%d", &line)
	}
	return line
}

func yamlText(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if strings.HasPrefix(text, "line ") {
		if _, rest, ok := strings.Cut(text, ": "); ok {
			text = rest
		}
	}
	return strings.ReplaceAll(text, "\n", "; ")
}

// Encode returns d as the text of a file in the directory dir: lists of several
// items by the line, paths below dir relative to it. What has not changed since d
// was read stays as it was, with its comments and in its order; what is new
// follows, sorted.
func (d *Definition) Encode(dir string) ([]byte, error) {
	root := &yaml.Node{Kind: yaml.MappingNode}
	doc := &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{root}}
	written := map[string]bool{}
	if d.text != nil && dir == filepath.Dir(d.Path) {
		doc.HeadComment, doc.FootComment = d.text.HeadComment, d.text.FootComment
		written = d.keep(root, d.text.Content[0], dir)
	}
	for _, name := range d.Attributes() {
		if !written[name] {
			root.Content = append(root.Content, scalar(name), d.valueNode(dir, name, nil))
		}
	}
	if len(root.Content) == 0 {
		return []byte(joinComments(d.comments, doc.HeadComment, root.HeadComment, root.FootComment, doc.FootComment)), nil
	}
	var b bytes.Buffer
	b.WriteString(d.comments)
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(doc); err != nil {
		return nil, err
	}
	return b.Bytes(), enc.Close()
}

// keep copies what the file had and d still has, or never had a value. It returns
// the names of what it copied.
func (d *Definition) keep(root, before *yaml.Node, dir string) map[string]bool {
	root.HeadComment, root.FootComment = before.HeadComment, before.FootComment
	written := map[string]bool{}
	orphan := "" // the comments above what is gone
	for i := 0; i+1 < len(before.Content); i += 2 {
		key, value := *before.Content[i], before.Content[i+1]
		was, err := valueOf(key.Value, value)
		if d.values[key.Value] == "" && (err != nil || strings.TrimSpace(was) != "") {
			orphan = joinComments(orphan, key.HeadComment)
			continue
		}
		key.HeadComment, orphan = strings.TrimSuffix(joinComments(orphan, key.HeadComment), "\n"), ""
		written[key.Value] = true
		if d.values[key.Value] != "" {
			value = d.valueNode(dir, key.Value, value)
		}
		root.Content = append(root.Content, &key, value)
	}
	root.FootComment = strings.TrimSuffix(joinComments(orphan, root.FootComment), "\n")
	return written
}

// joinComments puts comments below each other.
func joinComments(comments ...string) string {
	var b strings.Builder
	for _, one := range comments {
		if one = strings.Trim(one, "\n"); one != "" {
			b.WriteString(one + "\n")
		}
	}
	return b.String()
}

// valueNode is how an attribute is written in a file of dir: as before, if before
// says the same.
func (d *Definition) valueNode(dir, name string, before *yaml.Node) *yaml.Node {
	a, _ := FindAttribute(name)
	if before != nil {
		was := &Definition{}
		if text, err := valueOf(name, before); err == nil && was.Set(name, text, dir) == nil && was.Get(name) == d.Get(name) {
			return before
		}
	}
	n := newValue(a, a.mapPaths(d.values[name], func(path string) string { return relative(dir, path) }))
	if before == nil {
		return n
	}
	n.HeadComment, n.LineComment, n.FootComment = before.HeadComment, before.LineComment, before.FootComment
	for i, item := range n.Content { // those that were there keep their comments
		for _, old := range before.Content {
			if old.Value == item.Value {
				n.Content[i] = old
			}
		}
	}
	return n
}

// relative is path as seen from dir where it lies below it.
func relative(dir, path string) string {
	rel, err := filepath.Rel(dir, path)
	if err != nil || !filepath.IsLocal(rel) {
		return path
	}
	return rel
}

// newValue writes a list by the line if reading it gives the same text.
func newValue(a Attribute, value string) *yaml.Node {
	items := strings.Split(value, ",")
	if a.Kind == Text || a.Kind == Word || len(items) == 1 {
		return scalar(value)
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for _, item := range items {
		if strings.TrimSpace(item) != item || item == "" {
			return scalar(value)
		}
		list.Content = append(list.Content, scalar(item))
	}
	return list
}

// scalar is a text, quoted where YAML would take it for a number or the like.
func scalar(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	return n
}

// ReadFile reads the definition in a file. The error is Problems if it cannot be
// understood.
func ReadFile(name string) (*Definition, error) {
	path, err := filepath.Abs(name)
	if err != nil {
		return nil, fmt.Errorf("reading osimage %s: %w", name, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading osimage %s: %w", name, err)
	}
	return Parse(path, text)
}
