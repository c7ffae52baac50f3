package bundle

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// ManifestName is the file of a bundle that says what the others are.
const ManifestName = "manifest.xml"

// The bounds of a manifest: xCAT's have about a hundred elements, three deep.
const (
	maxManifest = 4 << 20
	maxDepth    = 8
	maxElements = 100_000
)

// Manifest is what a manifest.xml says, as xCAT's imgport.pm has it. Values are by
// the columns of xCAT's tables.
type Manifest struct {
	OSImage, LinuxImage map[string]string

	// Own is what only rootcast knows: its own attributes, and as "directory" where
	// the definition lay.
	Own map[string]string

	// The files that nodes boot from, by the absolute paths that they had.
	Kernel, Ramdisk, RootImg, RootImgTree, LiteFile []string

	Extras []Extra

	// Postscripts and PostBootScripts are those of a node (imgexport -p).
	Postscripts, PostBootScripts string
	// Media is "required" where an installation needs the distribution's tree.
	Media string
	// Kits are the directories of xCAT's kits, by their names.
	Kits map[string]string
	// RawFiles are disk images of s390x.
	RawFiles []string
}

// Extra is a file that lies in the bundle as extra/BASE, or a directory that lies
// there as extra/SRC. The file goes into the directory Dest, and so does what is
// in the directory.
type Extra struct{ Src, Dest string }

// element is a part of the document.
type element struct {
	name     string
	text     strings.Builder
	children []*element
}

// value is an element's text without the space around it.
func (e *element) value() string { return strings.TrimSpace(e.text.String()) }

// columns are the values of the elements below e.
func (e *element) columns() map[string]string {
	columns := map[string]string{}
	for _, c := range e.children {
		if v := c.value(); v != "" && len(c.children) == 0 {
			columns[c.name] = v
		}
	}
	return columns
}

// ReadManifest reads a manifest in xCAT's form, or in the flat one that it wrote
// before its version 2.8.
func ReadManifest(r io.Reader) (*Manifest, error) {
	root, err := parse(io.LimitReader(r, maxManifest+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", ManifestName, err)
	}
	m := &Manifest{}
	flat := map[string]string{}
	for _, e := range root.children {
		if !m.take(e) {
			flat[e.name] = e.value()
		}
	}
	if m.OSImage == nil && m.LinuxImage == nil {
		m.takeFlat(flat)
	}
	if m.OSImage["imagename"] == "" {
		m.OSImage = either(m.OSImage, map[string]string{})
		m.OSImage["imagename"] = m.LinuxImage["imagename"]
	}
	if m.OSImage["imagename"] == "" {
		return nil, fmt.Errorf("reading %s: it does not say the imagename", ManifestName)
	}
	return m, nil
}

// takeFlat takes the columns of the form that xCAT had before its version 2.8,
// which has no elements for the tables. What no table has is the first one's, to
// be told of.
func (m *Manifest) takeFlat(columns map[string]string) {
	m.OSImage, m.LinuxImage = map[string]string{}, map[string]string{}
	columns["postscripts"], columns["postbootscripts"] = m.Postscripts, m.PostBootScripts
	m.Postscripts, m.PostBootScripts = "", ""
	for name, value := range columns {
		switch {
		case value == "":
		case tableOf(name) == tableLinuxImage:
			m.LinuxImage[name] = value
		default:
			m.OSImage[name] = value
		}
	}
}

func either(a, b map[string]string) map[string]string {
	if a != nil {
		return a
	}
	return b
}

// take takes an element that the document's root has, unless it is none of those
// of today's form.
func (m *Manifest) take(e *element) bool {
	switch e.name {
	case "osimage":
		m.OSImage = e.columns()
	case "linuximage":
		m.LinuxImage = e.columns()
	case "rootcast":
		m.Own = e.columns()
	case "kernel":
		m.Kernel = list(e.value())
	case "ramdisk":
		m.Ramdisk = list(e.value())
	case "rootimg":
		m.RootImg = list(e.value())
	case "rootimgtree":
		m.RootImgTree = list(e.value())
	case "litefile":
		m.LiteFile = list(e.value())
	case "extra":
		columns := e.columns()
		m.Extras = append(m.Extras, Extra{columns["src"], columns["dest"]})
	case "media":
		m.Media = e.value()
	case "kit":
		m.kit(e)
	case "kitrepo", "kitcomp":
	case "rawimagefiles":
		for _, c := range e.children {
			m.RawFiles = append(m.RawFiles, c.value())
		}
	case "postscripts":
		m.Postscripts = e.value()
	case "postbootscripts":
		m.PostBootScripts = e.value()
	default:
		return false
	}
	return true
}

// kit takes the kits of <kit><NAME><kitdir>…: XML::Simple writes a hash of them so.
func (m *Manifest) kit(e *element) {
	if m.Kits == nil {
		m.Kits = map[string]string{}
	}
	for _, c := range e.children {
		if columns := c.columns(); len(c.children) > 0 {
			m.Kits[c.name] = columns["kitdir"]
		}
	}
}

func list(text string) (items []string) {
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// parse reads the document's tree. Entities that a document type would define are
// not known, and the type itself is refused.
func parse(r io.Reader) (*element, error) {
	dec := xml.NewDecoder(r)
	doc := &element{}
	stack := []*element{doc}
	for n := 0; ; {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		top := stack[len(stack)-1]
		switch t := token.(type) {
		case xml.StartElement:
			if n++; n > maxElements || len(stack) > maxDepth {
				return nil, fmt.Errorf("it has more than %d elements, or more than %d within each other", maxElements, maxDepth)
			}
			e := &element{name: t.Name.Local}
			top.children = append(top.children, e)
			stack = append(stack, e)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.text.Write(t)
		case xml.Directive:
			return nil, errors.New("it has a document type, which no bundle needs")
		}
		if dec.InputOffset() > maxManifest {
			return nil, fmt.Errorf("it is larger than %d bytes", maxManifest)
		}
	}
	if len(doc.children) != 1 || doc.children[0].name != "xcatimage" {
		return nil, errors.New("it is no <xcatimage>")
	}
	return doc.children[0], nil
}

// Write writes the manifest, the same bytes for the same manifest, as XML::Simple
// writes it for xCAT: elements by their names, two blanks deeper each.
func (m *Manifest) Write(w io.Writer) error {
	var b bytes.Buffer
	x := writer{b: &b}
	b.WriteString("<?xml version=\"1.0\"?>\n<xcatimage>\n")
	for _, e := range m.Extras {
		x.group("extra", map[string]string{"src": e.Src, "dest": e.Dest})
	}
	x.text(1, "kernel", strings.Join(m.Kernel, ","))
	x.group("linuximage", m.LinuxImage)
	x.text(1, "litefile", strings.Join(m.LiteFile, ","))
	x.text(1, "media", m.Media)
	x.group("osimage", m.OSImage)
	x.text(1, "ramdisk", strings.Join(m.Ramdisk, ","))
	x.group("rootcast", m.Own)
	x.text(1, "rootimg", strings.Join(m.RootImg, ","))
	x.text(1, "rootimgtree", strings.Join(m.RootImgTree, ","))
	b.WriteString("</xcatimage>\n")
	if x.err != nil {
		return fmt.Errorf("writing %s: %w", ManifestName, x.err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

type writer struct {
	b   *bytes.Buffer
	err error
}

// text writes an element; without a value none, for XML::Simple reads an empty
// one as a hash.
func (x *writer) text(depth int, name, value string) {
	if value == "" {
		return
	}
	if !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool {
		return r < ' ' && r != '\t' || r == utf8.RuneError || r == 0xfffe || r == 0xffff
	}) {
		x.err = errors.Join(x.err, fmt.Errorf("%s: XML cannot hold %q", name, value))
		return
	}
	fmt.Fprintf(x.b, "%s<%s>", strings.Repeat("  ", depth), name)
	x.err = errors.Join(x.err, xml.EscapeText(x.b, []byte(value)))
	fmt.Fprintf(x.b, "</%s>\n", name)
}

func (x *writer) group(name string, columns map[string]string) {
	if len(columns) == 0 {
		return
	}
	fmt.Fprintf(x.b, "  <%s>\n", name)
	for _, column := range slices.Sorted(maps.Keys(columns)) {
		x.text(2, column, columns[column])
	}
	fmt.Fprintf(x.b, "  </%s>\n", name)
}
