package bundle

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rootcast/rootcast/build/osimage"
)

// xCAT's tables.
const (
	tableOSImage    = "osimage"
	tableLinuxImage = "linuximage"
)

// directory is where a bundle says in which directory the definition lay.
const directory = "directory"

func tableOf(column string) string {
	for _, a := range osimage.Attributes() {
		if a.Column == column && !slices.Contains(osimage.Own(), column) {
			return a.Table
		}
	}
	return ""
}

// describe puts a definition into the manifest.
func (m *Manifest) describe(d *osimage.Definition) {
	m.OSImage = map[string]string{"imagename": d.Name}
	m.LinuxImage = map[string]string{"imagename": d.Name}
	m.Own = map[string]string{}
	if d.Path != "" {
		m.Own[directory] = filepath.Dir(d.Path)
	}
	for _, name := range d.Attributes() {
		a, _ := osimage.FindAttribute(name)
		switch {
		case slices.Contains(osimage.Own(), name):
			m.Own[name] = d.Get(name)
		case a.Table == tableOSImage:
			m.OSImage[a.Column] = d.Get(name)
		default:
			m.LinuxImage[a.Column] = d.Get(name)
		}
	}
	if d.Get("provmethod") == "install" {
		m.Media = "required"
	}
}

// Stanza is the definition that the manifest holds, and the columns of it that
// rootcast's definitions have nothing for.
func (m *Manifest) Stanza() (s osimage.Stanza, unknown []string, err error) {
	s.Name = m.Name()
	if err := osimage.CheckName(s.Name); err != nil {
		return s, nil, fmt.Errorf("reading %s: %w", ManifestName, err)
	}
	known := map[[2]string]string{}
	for _, a := range osimage.Attributes() {
		table := a.Table
		if slices.Contains(osimage.Own(), a.Name) {
			table = "rootcast"
		}
		known[[2]string{table, a.Column}] = a.Name
	}
	for _, table := range []struct {
		name    string
		columns map[string]string
	}{{tableOSImage, m.OSImage}, {tableLinuxImage, m.LinuxImage}, {"rootcast", m.Own}} {
		for _, column := range slices.Sorted(maps.Keys(table.columns)) {
			name, ok := known[[2]string{table.name, column}]
			switch {
			case ok:
				s.Assignments = append(s.Assignments, osimage.Assignment{Attribute: name, Value: table.columns[column]})
			case column != "imagename" && column != directory:
				unknown = append(unknown, fmt.Sprintf("%s.%s=%s", table.name, column, table.columns[column]))
			}
		}
	}
	return s, unknown, nil
}

// Name is the osimage's.
func (m *Manifest) Name() string { return m.OSImage["imagename"] }

// column is a value of either table.
func (m *Manifest) column(name string) string {
	if v := m.OSImage[name]; v != "" {
		return v
	}
	return m.LinuxImage[name]
}

// setColumn changes a value in the table that has the column.
func (m *Manifest) setColumn(name, value string) {
	if tableOf(name) == tableOSImage {
		m.OSImage[name] = value
		return
	}
	if m.LinuxImage == nil {
		m.LinuxImage = map[string]string{}
	}
	m.LinuxImage[name] = value
}

// lists are the columns whose files lie flat in a bundle, in xCAT's order.
func lists() []string {
	return []string{"template", "pkglist", "synclists", "otherpkglist", "postinstall", "exlist"}
}

// pathsOf are the files that a list names, scripts without their arguments.
func (m *Manifest) pathsOf(column string) []string {
	var paths []string
	for _, item := range list(m.column(column)) {
		if column == "postinstall" {
			item, _, _ = strings.Cut(item, " ")
		}
		paths = append(paths, item)
	}
	return paths
}

// mapPaths changes the paths of a list.
func (m *Manifest) mapPaths(column string, change func(string) string) {
	items := list(m.column(column))
	if len(items) == 0 {
		return
	}
	for i, item := range items {
		rest := ""
		if column == "postinstall" {
			item, rest, _ = strings.Cut(item, " ")
		}
		items[i] = strings.TrimRight(change(item)+" "+rest, " ")
	}
	m.setColumn(column, strings.Join(items, ","))
}
