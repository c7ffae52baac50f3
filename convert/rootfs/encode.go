package rootfs

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"time"
)

// indexMagic names the format of [Index.Encode]; it changes with the format,
// and with what [IndexTar] makes of a layer.
const indexMagic = "rootcast index 2\n"

// The kinds of content in an encoded index.
const (
	contentNone = iota
	contentSection
	contentSparse
)

var errIndex = errors.New("no index of this version, or a damaged one")

// IndexVersion names the format of encoded indexes and the rules by which they
// are made, for the keys of caches.
const IndexVersion = indexMagic

// Encode returns the index as [DecodeIndex] reads it: numbers as varints
// (encoding/binary), strings after their lengths.
func (x *Index) Encode() []byte {
	w := &encoder{b: make([]byte, 0, 64*len(x.Entries))}
	w.b = append(w.b, indexMagic...)
	w.number(int64(len(x.Entries)))
	for i := range x.Entries {
		w.entry(&x.Entries[i])
	}
	return w.b
}

type encoder struct{ b []byte }

func (w *encoder) number(n int64) { w.b = binary.AppendVarint(w.b, n) }

func (w *encoder) text(s string) {
	w.number(int64(len(s)))
	w.b = append(w.b, s...)
}

func (w *encoder) entry(e *Entry) {
	w.number(int64(e.Kind))
	w.text(e.Path)
	switch e.Kind {
	case Link:
		w.text(e.Target)
	case Add:
		w.inode(e.Inode)
	case Whiteout, Opaque:
	}
}

func (w *encoder) inode(in *Inode) {
	for _, n := range [...]int64{
		int64(in.Mode), int64(in.UID), int64(in.GID), in.ModTime.Unix(), int64(in.ModTime.Nanosecond()),
		in.Size, int64(in.Major), int64(in.Minor),
	} {
		w.number(n)
	}
	w.text(in.Target)
	w.number(int64(len(in.Xattrs)))
	for _, k := range slices.Sorted(maps.Keys(in.Xattrs)) {
		w.text(k)
		w.text(in.Xattrs[k])
	}
	switch c := in.content.(type) {
	case section:
		w.number(contentSection)
		w.number(c.off)
		w.number(c.size)
	case sparse:
		w.number(contentSparse)
		w.number(c.restart)
		w.number(int64(c.skip))
	default:
		w.number(contentNone)
	}
}

// DecodeIndex reads what [Index.Encode] made of the layer's index.
func DecodeIndex(l Layer, b []byte) (*Index, error) {
	r := &decoder{s: string(b), layer: &l}
	if !r.magic() {
		return nil, errIndex
	}
	n := r.number()
	if n < 0 || n > int64(len(b)) {
		return nil, errIndex
	}
	x := &Index{Layer: l.Name, Entries: make([]Entry, n)}
	inodes := make([]Inode, n)
	for i := range x.Entries {
		r.entry(&x.Entries[i], &inodes[i])
		if r.bad {
			return nil, errIndex
		}
	}
	if r.bad || r.s != "" {
		return nil, errIndex
	}
	return x, nil
}

// decoder takes values off the front of s; its strings are parts of s.
type decoder struct {
	s     string
	layer *Layer
	bad   bool
}

func (r *decoder) magic() bool {
	if len(r.s) < len(indexMagic) || r.s[:len(indexMagic)] != indexMagic {
		return false
	}
	r.s = r.s[len(indexMagic):]
	return true
}

// number is binary.Varint of a string.
func (r *decoder) number() int64 {
	var u uint64
	for i := 0; i < len(r.s) && i < binary.MaxVarintLen64; i++ {
		c := r.s[i]
		u |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			r.s = r.s[i+1:]
			return int64(u>>1) ^ -int64(u&1) //nolint:gosec // all bits are meant
		}
	}
	r.bad, r.s = true, ""
	return 0
}

func (r *decoder) text() string {
	n := r.number()
	if n < 0 || n > int64(len(r.s)) {
		r.bad, r.s = true, ""
		return ""
	}
	t := r.s[:n]
	r.s = r.s[n:]
	return t
}

func (r *decoder) small() uint32 {
	n := r.number()
	if n < 0 || n > 1<<32-1 {
		r.bad = true
	}
	return uint32(n) //nolint:gosec // checked
}

func (r *decoder) entry(e *Entry, in *Inode) {
	kind := r.number()
	e.Path = r.text()
	switch e.Kind = Kind(kind); { //nolint:gosec // compared with the number below
	case kind == int64(Link):
		e.Target = r.text()
	case kind == int64(Add):
		r.inode(in, e.Path)
		e.Inode = in
	case kind != int64(Whiteout) && kind != int64(Opaque):
		r.bad = true
	}
}

func (r *decoder) inode(in *Inode, path string) {
	in.Mode, in.UID, in.GID = r.small(), r.small(), r.small()
	sec := r.number()
	in.ModTime = time.Unix(sec, r.number())
	in.Size = r.number()
	in.Major, in.Minor = r.small(), r.small()
	in.Target = r.text()
	for range r.number() {
		if r.bad {
			return
		}
		if in.Xattrs == nil {
			in.Xattrs = map[string]string{}
		}
		k := r.text()
		in.Xattrs[k] = r.text()
	}
	switch r.number() {
	case contentSection:
		off := r.number()
		in.content = section{r.layer, path, off, r.number()}
	case contentSparse:
		restart := r.number()
		in.content = sparse{r.layer, restart, int(r.number())}
	case contentNone:
	default:
		r.bad = true
	}
}
