package convert

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/cavaliergopher/cpio"

	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs"
)

// comparer holds what the archive still owes.
type comparer struct {
	want   map[string]*rootfs.Inode
	groups map[*rootfs.Inode]group // hard-linked files seen so far
	epoch  time.Time
	diffs  []error
}

// group is what the entries of one hard-linked file have in common.
type group struct {
	inode   int64
	names   int
	hasData bool
}

const maxDiffs = 20

func (c *comparer) compare(r io.Reader) error {
	tap := &headerTap{r: bufio.NewReaderSize(r, 256<<10)}
	archive := cpio.NewReader(tap)
	for {
		tap.arm()
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading the archive back: %w", err)
		}
		c.entry(h, tap, archive)
		if len(c.diffs) >= maxDiffs {
			return errors.Join(c.diffs...)
		}
	}
	if err := onlyPadding(tap); err != nil {
		c.diffs = append(c.diffs, err)
	}
	for name := range c.want {
		c.differs(name, "is missing from the archive")
		if len(c.diffs) >= maxDiffs {
			break
		}
	}
	for in, g := range c.groups {
		if g.names != in.Names() || in.Type() == rootfs.TypeRegular && in.Size > 0 && !g.hasData {
			c.differs("", fmt.Sprintf("a hard-linked file of %d bytes has %d names of %d in the archive, content: %t", in.Size, g.names, in.Names(), g.hasData))
		}
	}
	return errors.Join(c.diffs...)
}

// onlyPadding reads what follows the trailer's name: zeros up to a multiple of four.
func onlyPadding(r io.Reader) error {
	var rest [4]byte
	n, err := io.ReadFull(r, rest[:])
	switch {
	case !isEnd(err) && err != nil:
		return fmt.Errorf("reading the archive back: %w", err)
	case err == nil || len(bytes.Trim(rest[:n], "\x00")) > 0:
		return errors.New("more follows the archive's end")
	}
	return nil
}

func (c *comparer) differs(name, how string) {
	c.diffs = append(c.diffs, fmt.Errorf("/%s %s", name, how))
}

func (c *comparer) entry(h *cpio.Header, tap *headerTap, body io.Reader) {
	in, ok := c.want[h.Name]
	if !ok {
		c.differs(h.Name, "is in the archive, not in the image, or twice")
		return
	}
	delete(c.want, h.Name)
	for _, f := range []struct {
		what      string
		got, want int64
	}{
		{"mode", int64(h.Mode), int64(in.Mode)},
		{"owner", int64(h.Uid), int64(in.UID)},
		{"group", int64(h.Guid), int64(in.GID)},
		{"time", h.ModTime.Unix(), int64(pack.ModTime(in, c.epoch))},
		{"device major", tap.field(rdevMajorAt), int64(in.Major)},
		{"device minor", tap.field(rdevMinorAt), int64(in.Minor)},
	} {
		if f.got != f.want {
			c.differs(h.Name, fmt.Sprintf("has %s %d in the archive, %d in the image", f.what, f.got, f.want))
		}
	}
	linked := in.Names() > 1
	if linked {
		c.link(h, in)
	}
	if linked && h.Size == 0 && in.Type() == rootfs.TypeRegular {
		return // another name carries the content
	}
	if err := sameContent(body, h, in); err != nil {
		c.differs(h.Name, err.Error())
	}
}

func (c *comparer) link(h *cpio.Header, in *rootfs.Inode) {
	g, seen := c.groups[in]
	if !seen {
		g = group{inode: h.Inode}
	}
	if g.inode != h.Inode || h.Links != in.Names() {
		c.differs(h.Name, "is not linked to its other names in the archive")
	}
	g.names++
	g.hasData = g.hasData || h.Size > 0
	c.groups[in] = g
}

func sameContent(body io.Reader, h *cpio.Header, in *rootfs.Inode) error {
	switch in.Type() {
	case rootfs.TypeSymlink:
		if h.Linkname != in.Target {
			return fmt.Errorf("leads to %q in the archive, to %q in the image", h.Linkname, in.Target)
		}
		return nil
	case rootfs.TypeRegular:
	default:
		return nil
	}
	if h.Size != in.Size {
		return fmt.Errorf("has %d bytes in the archive, %d in the image", h.Size, in.Size)
	}
	return equalReaders(body, in.Open())
}

func equalReaders(a, b io.Reader) error {
	const block = 64 << 10
	x, y := make([]byte, block), make([]byte, block)
	var at int64
	for {
		n, errA := io.ReadFull(a, x)
		m, errB := io.ReadFull(b, y)
		if n != m || !bytes.Equal(x[:n], y[:m]) {
			return fmt.Errorf("differs in content after byte %d", at)
		}
		at += int64(n)
		endA, endB := isEnd(errA), isEnd(errB)
		switch {
		case endA && endB:
			return nil
		case errA != nil && !endA:
			return fmt.Errorf("reading it from the archive: %w", errA)
		case errB != nil && !endB:
			return fmt.Errorf("reading it from the image: %w", errB)
		}
	}
}

func isEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// headerTap keeps the fixed part of the header that was read last: the cpio
// library drops the device numbers in it.
type headerTap struct {
	r     io.Reader
	armed bool
	last  [newcHeader]byte
	n     int
}

const (
	newcHeader  = 110
	rdevMajorAt = 78 // where the field of eight digits starts
	rdevMinorAt = 86
)

// arm says that the next read of a header's length is a header.
func (t *headerTap) arm() { t.armed, t.n = true, 0 }

func (t *headerTap) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if t.armed && len(p) == newcHeader-t.n {
		t.n += copy(t.last[t.n:], p[:n])
		t.armed = t.n < newcHeader
	}
	return n, err
}

func (t *headerTap) field(at int) int64 {
	v, err := strconv.ParseInt(string(t.last[at:at+8]), 16, 64)
	if err != nil {
		return -1
	}
	return v
}
