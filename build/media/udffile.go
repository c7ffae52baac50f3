package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"
	"unicode/utf16"
)

// maxAllocations is how many blocks of allocation descriptors one file has at most.
const maxAllocations = 1 << 16

// Kinds of files, E 4/14.6.6 and U 2.2.13.
const (
	icbDirectory = 4
	icbFile      = 5
	icbLink      = 12
	icbMetadata  = 250
	icbMirror    = 251
)

// udfReader reads the tree of an image.
type udfReader struct {
	*udfImage
	seen map[int64]string // directories by the place of their entry
}

// entryPlaces are the offsets at which File Entry (E 4/14.9) and Extended File
// Entry (E 4/14.17) keep the same things.
type entryPlaces struct{ modTime, attributes, descriptors, end int }

// entry reads the file entry at an address: a node without name and children.
func (u *udfImage) entry(a address) (*node, error) {
	place, err := u.locate(a.partition, a.block, u.block)
	if err != nil {
		return nil, err
	}
	b, tag, err := u.tagged(place[0].at)
	if err != nil {
		return nil, err
	}
	var p entryPlaces
	switch tag {
	case tagFileEntry:
		p = entryPlaces{84, 168, 172, 176}
	case tagExtendedEntry:
		p = entryPlaces{92, 208, 212, 216}
	default:
		return nil, fmt.Errorf("in place of a file there is descriptor %d", tag)
	}
	if strategy := binary.LittleEndian.Uint16(b[20:]); strategy != 4 {
		return nil, fmt.Errorf("it is written by strategy %d, which is not read here", strategy)
	}
	size := binary.LittleEndian.Uint64(b[56:])
	if size > maxFile {
		return nil, fmt.Errorf("it has %d bytes, more than can be", size)
	}
	n := &node{size: int64(size), modTime: udfTime(b[p.modTime:]), mode: udfMode(binary.LittleEndian.Uint32(b[44:]))}
	switch kind := b[27]; kind {
	case icbDirectory:
		n.mode |= fs.ModeDir
	case icbLink:
		n.mode |= fs.ModeSymlink
	case icbFile, icbMetadata, icbMirror:
	default:
		return nil, fmt.Errorf("it is neither a file nor a directory nor a symbolic link (kind %d)", kind)
	}
	from := int64(p.end) + int64(binary.LittleEndian.Uint32(b[p.attributes:]))
	length := int64(binary.LittleEndian.Uint32(b[p.descriptors:]))
	if from+length > int64(len(b)) {
		return nil, errors.New("its description is longer than a block")
	}
	how := binary.LittleEndian.Uint16(b[34:]) & 7
	if how == 3 { // the file is in its entry, E 4/14.6.8
		if n.size > length {
			return nil, errors.New("it is cut off")
		}
		n.extents = []extent{{at: place[0].at + from, length: n.size}}
		return n, nil
	}
	n.extents, err = u.allocations(b[from:from+length], how, a.partition, n.size)
	return n, err
}

// allocations are the extents that descriptors list (E 4/12): short ones, which
// are of the entry's own partition, or long ones.
func (u *udfImage) allocations(b []byte, how, own uint16, size int64) ([]extent, error) {
	var list []extent
	step := map[uint16]int{0: 8, 1: 16}[how]
	if step == 0 {
		return nil, fmt.Errorf("its extents are described in the way %d, which is not read here", how)
	}
	left := size
	for blocks := 0; left > 0 && len(b) >= step; {
		a := address{partition: own}
		if step == 8 {
			a.length, a.kind = int64(binary.LittleEndian.Uint32(b)&0x3fffffff), b[3]>>6
			a.block = binary.LittleEndian.Uint32(b[4:])
		} else {
			a = parseAddress(b)
		}
		b = b[step:]
		if a.length == 0 {
			break
		}
		if a.kind == 3 { // the list goes on there, E 4/14.5
			if blocks++; blocks > maxAllocations {
				return nil, errors.New("the list of its extents has no end")
			}
			var err error
			if b, err = u.moreAllocations(a); err != nil {
				return nil, err
			}
			continue
		}
		length := min(a.length, left)
		left -= length
		if a.kind != 0 { // not recorded: zeros, E 4/14.14.1.1
			list = append(list, extent{length: length, zeros: true})
			continue
		}
		more, err := u.locate(a.partition, a.block, length)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	if left > 0 {
		return nil, fmt.Errorf("%d of its %d bytes are nowhere", left, size)
	}
	return list, nil
}

// moreAllocations reads an allocation extent descriptor, E 4/14.5.
func (u *udfImage) moreAllocations(a address) ([]byte, error) {
	place, err := u.locate(a.partition, a.block, u.block)
	if err != nil {
		return nil, err
	}
	b, err := u.descriptor(place[0].at, tagAllocation)
	if err != nil {
		return nil, err
	}
	length := int64(binary.LittleEndian.Uint32(b[20:]))
	if 24+length > int64(len(b)) {
		return nil, errors.New("the list of its extents is cut off")
	}
	return b[24 : 24+length], nil
}

// directory reads the directory whose entry is at an address, and what is below it.
func (r *udfReader) directory(dir *node, name string, a address, depth int) error {
	if depth > maxDepth {
		return refused(name, fmt.Errorf("directories are more than %d deep", maxDepth))
	}
	place, err := r.locate(a.partition, a.block, r.block)
	if err != nil {
		return refused(name, err)
	}
	if other, ok := r.seen[place[0].at]; ok {
		return refused(name, fmt.Errorf("the directory is %s at the same time", other))
	}
	r.seen[place[0].at] = name
	n, err := r.entry(a)
	if err == nil && !n.mode.IsDir() {
		err = errors.New("it is and is not a directory")
	}
	if err != nil {
		return refused(name, err)
	}
	dir.mode, dir.modTime = n.mode, n.modTime
	text, err := r.readExtents(n.extents, n.size)
	if err != nil {
		return refused(name, err)
	}
	for len(text) > 0 {
		size, err := r.identifier(dir, name, text, depth)
		if err != nil {
			return err
		}
		text = text[min(size, len(text)):]
	}
	return refusedIf(name, dir.sortChildren())
}

// identifier reads one file identifier descriptor (E 4/14.4) and returns its size.
func (r *udfReader) identifier(dir *node, parent string, b []byte, depth int) (size int, err error) {
	tag, err := checkTag(b)
	if err == nil && tag != tagFileIdent {
		err = fmt.Errorf("in place of a name there is descriptor %d", tag)
	}
	if err == nil && len(b) < 38 {
		err = errors.New("a name is cut off")
	}
	if err != nil {
		return 0, refused(parent, err)
	}
	flags, nameAt := b[18], 38+int(binary.LittleEndian.Uint16(b[36:]))
	end := nameAt + int(b[19])
	if end > len(b) {
		return 0, refused(parent, errors.New("a name is cut off"))
	}
	size = (end + 3) &^ 3
	if flags&(4|8) != 0 { // it is deleted, or the parent
		return size, nil
	}
	n := &node{name: compressed(b[nameAt:end])}
	if err := r.addTo(dir, n); err != nil {
		return 0, refused(parent, err)
	}
	name := path.Join(parent, n.name)
	a := parseAddress(b[20:])
	if flags&2 != 0 {
		n.mode = fs.ModeDir
		return size, r.directory(n, name, a, depth+1)
	}
	found, err := r.entry(a)
	if err == nil && found.mode.IsDir() {
		err = errors.New("it is and is not a directory")
	}
	if err != nil {
		return 0, refused(name, err)
	}
	found.name = n.name
	*n = *found
	if n.mode.Type() == fs.ModeSymlink {
		err = r.link(n)
	}
	return size, refusedIf(name, err)
}

// link reads a symbolic link's target, E 4/14.16.
func (r *udfReader) link(n *node) error {
	if n.size > 1<<16 {
		return errors.New("the symbolic link is longer than can be")
	}
	b, err := r.readExtents(n.extents, n.size)
	if err != nil {
		return err
	}
	var parts []string
	for len(b) >= 4 {
		end := 4 + int(b[1])
		if end > len(b) {
			return errors.New("the symbolic link is cut off")
		}
		switch b[0] {
		case 1, 2:
			parts = []string{""}
		case 3:
			parts = append(parts, "..")
		case 4:
			parts = append(parts, ".")
		case 5:
			part := compressed(b[4:end])
			if err := checkName(part); err != nil {
				return fmt.Errorf("the symbolic link's target: %w", err)
			}
			parts = append(parts, part)
		default:
			return fmt.Errorf("the symbolic link has a part of an unknown kind, %d", b[0])
		}
		b = b[end:]
	}
	n.target, n.extents, n.size = strings.Join(parts, "/"), nil, 0
	if n.target == "" && len(parts) > 0 {
		n.target = "/"
	}
	return nil
}

// udfMode is E 4/14.9.5: five bits each for others, group and owner, of which the
// first three are execute, write and read.
func udfMode(b uint32) fs.FileMode {
	return fs.FileMode(b&7 | b>>5&7<<3 | b>>10&7<<6)
}

// udfTime is E 1/7.3.
func udfTime(b []byte) time.Time {
	if b[4] == 0 {
		return time.Time{}
	}
	kind := binary.LittleEndian.Uint16(b)
	zone := time.UTC
	if minutes := int(int16(kind<<4) >> 4); kind>>12 == 1 && minutes != -2047 {
		zone = time.FixedZone("", minutes*60)
	}
	small := (int(b[9])*100+int(b[10]))*100 + int(b[11]) // microseconds
	year := int(int16(binary.LittleEndian.Uint16(b[2:])))
	return time.Date(year, time.Month(b[4]), int(b[5]), int(b[6]), int(b[7]), int(b[8]), small*1000, zone).UTC()
}

// compressed is a text of OSTA Compressed Unicode, U 2.1.1.
func compressed(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	var units []uint16
	switch b[0] {
	case 8:
		for _, c := range b[1:] {
			units = append(units, uint16(c))
		}
	case 16:
		for i := 1; i+1 < len(b); i += 2 {
			units = append(units, binary.BigEndian.Uint16(b[i:]))
		}
	}
	return string(utf16.Decode(units))
}

// dstring is a text in a field of fixed size, whose last byte says how long it is
// (E 1/7.2.12).
func dstring(b []byte) string {
	return compressed(b[:min(int(b[len(b)-1]), len(b)-1)])
}
