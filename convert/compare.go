package convert

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/rootcast/rootcast/convert/ctxio"
	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/unpack"
	"github.com/rootcast/rootcast/convert/xattrs"
)

// comparer holds what the packed root still owes.
type comparer struct {
	method pack.Method
	want   map[string]*rootfs.Inode
	all    map[string]*rootfs.Inode // of the image, for the list of extended attributes
	groups map[*rootfs.Inode]group  // hard-linked files seen so far
	firsts map[string]*rootfs.Inode // whose first names they are
	epoch  time.Time
	diffs  []error
}

// group is what the entries of one hard-linked file have in common.
type group struct {
	first   string
	names   int
	hasData bool
}

const maxDiffs = 20

// errEnough ends a comparison that has found too much.
var errEnough = errors.New("too many differences")

func newComparer(tree *rootfs.Tree, method pack.Method, epoch time.Time) *comparer {
	all := map[string]*rootfs.Inode{}
	for name, in := range tree.All() {
		all[name] = in
	}
	return &comparer{method: method, want: maps.Clone(all), all: all, groups: map[*rootfs.Inode]group{}, firsts: map[string]*rootfs.Inode{}, epoch: epoch}
}

// entry compares one entry of the packed root.
func (c *comparer) entry(e *unpack.Entry) error {
	in, ok := c.want[e.Name]
	if !ok {
		c.differs(e.Name, "is in the packed root, not in the image, or twice")
		return c.enough()
	}
	delete(c.want, e.Name)
	for _, f := range []struct {
		what      string
		got, want int64
	}{
		{"mode", int64(e.Mode), int64(in.Mode)},
		{"owner", int64(e.UID), int64(in.UID)},
		{"group", int64(e.GID), int64(in.GID)},
		{"time", e.ModTime, c.method.Seconds(in, c.epoch)},
		{"device major", int64(e.Major), int64(in.Major)},
		{"device minor", int64(e.Minor), int64(in.Minor)},
	} {
		if f.got != f.want {
			c.differs(e.Name, fmt.Sprintf("has %s %d in the packed root, %d in the image", f.what, f.got, f.want))
		}
	}
	if !in.IsDir() {
		c.link(e, in)
	}
	if c.method != pack.CPIO {
		c.xattrs(e.Name, e.Xattrs, in)
	}
	if err := c.content(e, in); err != nil {
		c.differs(e.Name, err.Error())
	}
	return c.enough()
}

// link finds out whether the names of one file in the image are one file in the
// packed root, and no others with them.
func (c *comparer) link(e *unpack.Entry, in *rootfs.Inode) {
	g, seen := c.groups[in]
	if !seen {
		g.first = e.First
		if _, taken := c.firsts[e.First]; taken {
			c.differs(e.Name, fmt.Sprintf("is linked to /%s in the packed root, not in the image", e.First))
		}
		c.firsts[e.First] = in
	}
	if g.first != e.First || e.Links != 0 && e.Links != in.Names() {
		c.differs(e.Name, "is not linked to its other names in the packed root")
	}
	g.names++
	g.hasData = g.hasData || e.Body != nil
	c.groups[in] = g
}

func (c *comparer) content(e *unpack.Entry, in *rootfs.Inode) error {
	switch in.Type() {
	case rootfs.TypeSymlink:
		if e.Target != in.Target {
			return fmt.Errorf("leads to %q in the packed root, to %q in the image", e.Target, in.Target)
		}
		return nil
	case rootfs.TypeRegular:
	default:
		return nil
	}
	if e.Body == nil {
		return nil // another name carries the content
	}
	if e.Size != in.Size {
		return fmt.Errorf("has %d bytes in the packed root, %d in the image", e.Size, in.Size)
	}
	if c.method == pack.CPIO && e.Name == pack.XattrsName {
		return c.list(e.Body, in)
	}
	return equalReaders(e.Body, in.Open())
}

// list compares the list of a cpio root with the files that it speaks of.
func (c *comparer) list(body io.Reader, in *rootfs.Inode) error {
	var text bytes.Buffer
	if err := equalReaders(io.TeeReader(body, &text), in.Open()); err != nil {
		return err
	}
	files, err := xattrs.Read(&text)
	if err != nil {
		return err
	}
	found := map[*rootfs.Inode]bool{}
	for name, attrs := range files {
		if file := c.all[name]; file != nil {
			found[file] = true
			c.xattrs(name, attrs, file)
		} else {
			c.differs(name, "is in the list of extended attributes, not in the image")
		}
	}
	for name, file := range c.all {
		if len(file.Xattrs) > 0 && !found[file] {
			c.differs(name, "is not in the list of extended attributes")
		}
	}
	return nil
}

func (c *comparer) xattrs(name string, got map[string]string, in *rootfs.Inode) {
	if maps.Equal(got, in.Xattrs) {
		return
	}
	c.differs(name, fmt.Sprintf("has the extended attributes %q in the packed root, %q in the image, or they differ in value",
		slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(in.Xattrs))))
}

// finish names what is missing.
func (c *comparer) finish() error {
	for _, name := range slices.Sorted(maps.Keys(c.want)) {
		c.differs(name, "is missing from the packed root")
		if c.enough() != nil {
			break
		}
	}
	for in, g := range c.groups {
		if g.names != in.Names() || in.Type() == rootfs.TypeRegular && in.Size > 0 && !g.hasData {
			c.differs(g.first, fmt.Sprintf("of %d bytes has %d names of %d in the packed root, content: %t", in.Size, g.names, in.Names(), g.hasData))
		}
	}
	return errors.Join(c.diffs...)
}

func (c *comparer) differs(name, how string) {
	c.diffs = append(c.diffs, fmt.Errorf("/%s %s", name, how))
}

func (c *comparer) enough() error {
	if len(c.diffs) >= maxDiffs {
		return errEnough
	}
	return nil
}

// equalReaders compares a file of the packed root with the image's.
func equalReaders(root, image io.Reader) error {
	at, rootErr, imageErr := ctxio.Difference(root, image)
	switch {
	case rootErr != nil:
		return fmt.Errorf("reading it from the packed root: %w", rootErr)
	case imageErr != nil:
		return fmt.Errorf("reading it from the image: %w", imageErr)
	case at >= 0:
		return fmt.Errorf("differs in content after byte %d", at)
	}
	return nil
}
