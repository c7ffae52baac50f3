package bundle

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// Limits are what a bundle may have at most; zero is the default.
type Limits struct {
	Size  int64 // bytes, unpacked: 64 GiB
	Files int   // 100,000
}

func (l Limits) withDefaults() Limits {
	if l.Size == 0 {
		l.Size = 64 << 30
	}
	if l.Files == 0 {
		l.Files = 100_000
	}
	return l
}

// entry is a file of a bundle.
type entry struct {
	size int64
	exec bool
	kind byte // tar.TypeReg; else it is none that is taken
}

// Contents are what a bundle holds.
type Contents struct {
	Manifest *Manifest
	Packed   bool // by gzip

	top     string // the directory that all lies in
	entries map[string]entry
	size    int64
	limits  Limits
}

// open returns the tar of a bundle, which may be packed by gzip.
func open(ctx context.Context, r io.Reader) (t *tar.Reader, packed bool, err error) {
	b := bufio.NewReaderSize(&interruptible{r, ctx.Err}, 1<<20)
	magic, err := b.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	if !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return tar.NewReader(b), false, nil
	}
	z, err := gzip.NewReader(b)
	if err != nil {
		return nil, true, err
	}
	return tar.NewReader(z), true, nil
}

// interruptible is a reader that ends when it is told to.
type interruptible struct {
	io.Reader
	err func() error
}

func (r *interruptible) Read(p []byte) (int, error) {
	if err := r.err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// Scan reads what a bundle holds, the manifest and the names of all files, and
// refuses names that lead out of it.
func Scan(ctx context.Context, r io.Reader, l Limits) (*Contents, error) {
	c := &Contents{entries: map[string]entry{}, limits: l.withDefaults()}
	t, packed, err := open(ctx, r)
	if err != nil {
		return nil, err
	}
	c.Packed = packed
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := c.add(h, t); err != nil {
			return nil, err
		}
	}
	if c.Manifest == nil {
		return nil, fmt.Errorf("there is no %s in it, as bundles of imgexport have", ManifestName)
	}
	return c, c.check()
}

// inside is the name of an entry in the bundle's directory, which comes as top.
func inside(name string) (top, rest string, err error) {
	clean := strings.TrimSuffix(name, "/")
	for strings.HasPrefix(clean, "./") {
		clean = clean[2:]
	}
	if clean == "." {
		return "", "", nil
	}
	if clean == "" || path.IsAbs(clean) || slices.Contains(strings.Split(clean, "/"), "..") || strings.ContainsFunc(clean, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", "", fmt.Errorf("the entry %q leads out of the bundle, or is no name", name)
	}
	top, rest, _ = strings.Cut(path.Clean(clean), "/")
	return top, rest, nil
}

// add takes an entry.
func (c *Contents) add(h *tar.Header, r io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	top, name, err := inside(h.Name)
	if err != nil || top == "" {
		return err
	}
	switch {
	case c.top != "" && c.top != top:
		return fmt.Errorf("it has two images, or files beside its directory: %s and %s", c.top, top)
	case h.Typeflag == tar.TypeDir:
		c.top = top
		return nil
	case name == "":
		return fmt.Errorf("the entry %q is not in a directory, as a bundle's are", h.Name)
	}
	c.top = top
	if _, again := c.entries[name]; again {
		return fmt.Errorf("the entry %q is there twice", h.Name)
	}
	if c.size += h.Size; h.Size < 0 || c.size > c.limits.Size || c.size < 0 {
		return fmt.Errorf("it unpacks to more than %d bytes", c.limits.Size)
	}
	if len(c.entries) >= c.limits.Files {
		return fmt.Errorf("it has more than %d files", c.limits.Files)
	}
	c.entries[name] = entry{h.Size, h.Mode&0o111 != 0, h.Typeflag}
	if name != ManifestName {
		return nil
	}
	if h.Typeflag != tar.TypeReg {
		return fmt.Errorf("its %s is no file", ManifestName)
	}
	c.Manifest, err = ReadManifest(r)
	return err
}

// check refuses what the manifest does not name, and what is neither a file nor a
// directory. What lies in the directories of kits is not taken, whatever it is.
func (c *Contents) check() error {
	files, _, err := c.files()
	if err != nil {
		return err
	}
	named := map[string]bool{ManifestName: true}
	for _, f := range files {
		named[f.Member] = true
	}
	for _, raw := range c.Manifest.RawFiles {
		named[path.Base(raw)] = true
	}
	var strange []string
	for name, e := range c.entries {
		top, _, below := strings.Cut(name, "/")
		if dir, kit := c.Manifest.Kits[top]; below && (kit || c.isKit(top)) && dir != "/" {
			continue
		}
		switch {
		case e.kind != tar.TypeReg:
			strange = append(strange, name+" (no file)")
		case !named[name]:
			strange = append(strange, name)
		}
	}
	if len(strange) == 0 {
		return nil
	}
	slices.Sort(strange)
	return fmt.Errorf("its %s does not name, or bundles cannot have: %s", ManifestName, some(strange))
}

// isKit tells whether a directory of the bundle is that of a kit.
func (c *Contents) isKit(name string) bool {
	for _, dir := range c.Manifest.Kits {
		if dir != "" && path.Base(dir) == name {
			return true
		}
	}
	return false
}

// some are the first of many names.
func some(names []string) string {
	const most = 20
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}
