package initrd

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/rootcast/rootcast/convert/kmod"
)

// places tells where in the kernel's source modules belong.
type places struct {
	order   map[string]string // from modules.order, by name
	builtin map[string]string // from modules.builtin, by name
}

// readPlaces reads modules.order and modules.builtin, each of which may be
// missing (Documentation/kbuild/kbuild.rst in the kernel's source).
func readPlaces(fsys fs.FS, dir string) (*places, error) {
	p := &places{}
	for _, list := range []struct {
		name string
		to   *map[string]string
	}{{"modules.order", &p.order}, {"modules.builtin", &p.builtin}} {
		text, err := fs.ReadFile(fsys, path.Join(dir, list.name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("reading the kernel's %s: %w", list.name, err)
		}
		*list.to = map[string]string{}
		for line := range strings.FieldsSeq(string(text)) {
			place, ok := strings.CutPrefix(line, "kernel/")
			if ok {
				(*list.to)[kmod.Name(place)] = place
			}
		}
	}
	return p, nil
}

// of is a module's path below kernel/. A vendor's module that replaces one of the
// kernel's lies elsewhere (updates/dkms, extra, weak-updates): it belongs where the
// kernel's own was, or where its directory says. "": nobody knows.
func (p *places) of(m kmod.Module) string {
	if place, ok := strings.CutPrefix(m.Path, "kernel/"); ok {
		return place
	}
	if place, ok := p.order[m.Name]; ok {
		return place
	}
	for _, top := range []string{"drivers/", "net/", "fs/"} {
		if i := strings.Index("/"+m.Path, "/"+top); i >= 0 {
			return m.Path[i:]
		}
	}
	return ""
}
