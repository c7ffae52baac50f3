package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"
	"unicode/utf16"
)

// The layout is ECMA-119 (4th edition, 2019), which is ISO 9660; its sections are
// cited as "E".
const (
	isoSector      = 2048 // E 6.1.2
	isoFirst       = 16   // the first sector of the volume descriptors, E 6.2.1
	maxDescriptors = 100
)

// Flags of a directory record, E 9.1.6.
const (
	flagDirectory  = 0x02
	flagAssociated = 0x04
	flagMore       = 0x80 // the file goes on in the next record
)

// isoImage is an image of ISO 9660.
type isoImage struct {
	image     io.ReaderAt
	size      int64
	primary   *isoVolume
	joliet    *isoVolume // nil if there is none
	rockRidge bool
	skip      int // bytes before the system use entries of each record, SUSP 5.3
}

// isoVolume is one tree of directories.
type isoVolume struct {
	label string
	block int64
	root  record
}

// record is a directory record, E 9.1.
type record struct {
	block   uint32
	xattr   byte // blocks of extended attributes before the data
	size    uint32
	flags   byte
	unit    byte // of an interleaved file
	modTime time.Time
	name    []byte
	system  []byte // the system use field
}

// findISO reads the volume descriptors (E 8); it returns nil if there are none.
func findISO(image io.ReaderAt, size int64) (*isoImage, error) {
	iso := &isoImage{image: image, size: size}
	for i := range maxDescriptors {
		d := make([]byte, isoSector)
		if n, err := image.ReadAt(d, int64(isoFirst+i)*isoSector); n < len(d) {
			if err != nil && !errors.Is(err, io.EOF) {
				return nil, err
			}
			break
		}
		if string(d[1:6]) != "CD001" || d[0] == 255 {
			break
		}
		v, err := parseVolume(d)
		if err != nil {
			return nil, err
		}
		switch {
		case d[0] == 1 && iso.primary == nil:
			iso.primary = v
		case d[0] == 2 && isJoliet(d) && iso.joliet == nil:
			v.label = ucs2(d[40:72])
			iso.joliet = v
		}
	}
	if iso.primary == nil {
		return nil, nil //nolint:nilnil // "there is none" is no error
	}
	iso.findRockRidge()
	return iso, nil
}

// parseVolume reads a volume descriptor, E 8.4. Types but the primary and the
// supplementary have no tree.
func parseVolume(d []byte) (*isoVolume, error) {
	if d[0] != 1 && d[0] != 2 {
		return nil, nil //nolint:nilnil // see above
	}
	v := &isoVolume{label: strings.TrimRight(string(d[40:72]), " \x00"), block: int64(binary.LittleEndian.Uint16(d[128:]))}
	if v.block < 512 || v.block > isoSector || v.block&(v.block-1) != 0 {
		return nil, fmt.Errorf("its blocks have %d bytes, which ISO 9660 does not know", v.block)
	}
	var err error
	if v.root, err = parseRecord(d[156:190]); err != nil {
		return nil, fmt.Errorf("the root directory's record: %w", err)
	}
	return v, nil
}

// isJoliet: the escape sequences of UCS-2 levels 1 to 3 (Joliet specification,
// "SVD Escape Sequences").
func isJoliet(d []byte) bool {
	return d[88] == '%' && d[89] == '/' && bytes.IndexByte([]byte("@CE"), d[90]) >= 0
}

// parseRecord reads the directory record that b begins with, and holds.
func parseRecord(b []byte) (record, error) {
	if len(b) < 34 || int(b[0]) > len(b) || 33+int(b[32]) > int(b[0]) {
		return record{}, errors.New("a directory record is cut off")
	}
	b = b[:b[0]]
	r := record{
		xattr: b[1], block: binary.LittleEndian.Uint32(b[2:]), size: binary.LittleEndian.Uint32(b[10:]),
		modTime: recordTime(b[18:25]), flags: b[25], unit: b[26], name: b[33 : 33+int(b[32])],
	}
	after := 33 + len(r.name) + (len(r.name)+1)%2 // a name of even length is padded
	if after < len(b) {
		r.system = b[after:]
	}
	return r, nil
}

// recordTime is E 9.1.5.
func recordTime(b []byte) time.Time {
	if b[1] == 0 {
		return time.Time{}
	}
	zone := time.FixedZone("", int(int8(b[6]))*15*60)
	return time.Date(1900+int(b[0]), time.Month(b[1]), int(b[2]), int(b[3]), int(b[4]), int(b[5]), 0, zone).UTC()
}

// ucs2 is a text of Joliet.
func ucs2(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return strings.TrimRight(string(utf16.Decode(units)), " \x00")
}

// isoReader reads one tree of an image.
type isoReader struct {
	*isoImage
	*tree
	volume *isoVolume
	format Format
	seen   map[uint32]string // directories by their block
}

func (iso *isoImage) newReader(format Format, v *isoVolume) *isoReader {
	t := &tree{image: iso.image, size: iso.size, root: &node{name: ".", mode: fs.ModeDir | 0o755}}
	return &isoReader{isoImage: iso, tree: t, volume: v, format: format, seen: map[uint32]string{}}
}

// medium reads the whole tree.
func (iso *isoImage) medium(format Format, v *isoVolume) (*Medium, error) {
	r := iso.newReader(format, v)
	r.root.modTime = v.root.modTime
	if err := r.directory(r.root, ".", v.root, 0); err != nil {
		return nil, err
	}
	return newMedium(r.tree, format, v.label)
}

// extent is where a record's data lies.
func (r *isoReader) extent(rec record) (extent, error) {
	e := extent{at: (int64(rec.block) + int64(rec.xattr)) * r.volume.block, length: int64(rec.size)}
	if rec.unit != 0 {
		return e, errors.New("it is written in interleaved pieces, which are not read here")
	}
	return e, r.checkExtent(e)
}

// directory reads what is in a directory, and below it.
func (r *isoReader) directory(dir *node, name string, rec record, depth int) error {
	if depth > maxDepth {
		return refused(name, fmt.Errorf("directories are more than %d deep", maxDepth))
	}
	if other, ok := r.seen[rec.block]; ok {
		return refused(name, fmt.Errorf("the directory is %s at the same time", other))
	}
	r.seen[rec.block] = name
	records, err := r.records(rec)
	if err != nil {
		return refused(name, err)
	}
	for len(records) > 0 {
		// A file of several extents has a record for each, one after another, E 6.5.1.
		n := 1
		for n < len(records) && records[n-1].flags&flagMore != 0 && bytes.Equal(records[n].name, records[0].name) {
			n++
		}
		if records[n-1].flags&flagMore != 0 {
			return refused(name, fmt.Errorf("the last part of %q is missing", records[0].name))
		}
		if err := r.entry(dir, name, records[:n], depth); err != nil {
			return err
		}
		records = records[n:]
	}
	return refusedIf(name, dir.sortChildren())
}

func refusedIf(name string, err error) error {
	if err != nil {
		return refused(name, err)
	}
	return nil
}

// records are those of a directory but its own and its parent's (E 7.6.2), and but
// those of associated files, which other systems have.
func (r *isoReader) records(dir record) ([]record, error) {
	e, err := r.extent(dir)
	if err != nil {
		return nil, err
	}
	text, err := r.readExtents([]extent{e}, e.length)
	if err != nil {
		return nil, err
	}
	var list []record
	for at := 0; at < len(text); {
		if text[at] == 0 { // the rest of the sector is empty, E 6.8.1.1
			at += isoSector - at%isoSector
			continue
		}
		rec, err := parseRecord(text[at:])
		if err != nil {
			return nil, err
		}
		at += int(text[at])
		own := len(rec.name) == 1 && rec.name[0] <= 1
		if !own && rec.flags&flagAssociated == 0 {
			list = append(list, rec)
		}
	}
	return list, nil
}

// entry adds a file, which has a record for each of its extents, or a directory.
func (r *isoReader) entry(dir *node, parent string, recs []record, depth int) error {
	rec := recs[0]
	n := &node{mode: 0o644, modTime: rec.modTime}
	if rec.flags&flagDirectory != 0 {
		n.mode = fs.ModeDir | 0o755
	}
	var rock rockRidge
	switch r.format {
	case RockRidge:
		var err error
		if rock, err = r.rock(rec.system); err != nil {
			return refused(parent, fmt.Errorf("%q: %w", rec.name, err))
		}
		if rock.relocated {
			return nil // it stands where it belongs, by a child link
		}
		n.name = rock.nameOr(plainName(rec.name))
	case Joliet:
		n.name, _, _ = strings.Cut(ucs2(rec.name), ";")
	default:
		n.name = plainName(rec.name)
	}
	name := path.Join(parent, n.name)
	if err := r.addTo(dir, n); err != nil {
		return refused(parent, err)
	}
	if err := rock.apply(n); err != nil {
		return refused(name, err)
	}
	switch {
	case rock.child != 0:
		child, err := r.childLink(rock.child)
		if err != nil {
			return refused(name, err)
		}
		return r.directory(n, name, child, depth+1)
	case n.mode.IsDir() != (rec.flags&flagDirectory != 0):
		return refused(name, errors.New("it is and is not a directory"))
	case n.mode.IsDir():
		return r.directory(n, name, rec, depth+1)
	case n.mode.Type() == fs.ModeSymlink:
		return nil
	}
	return refusedIf(name, r.data(n, recs))
}

// data sets where a file's bytes are.
func (r *isoReader) data(n *node, recs []record) error {
	for _, rec := range recs {
		if rec.size == 0 {
			continue // its block means nothing
		}
		e, err := r.extent(rec)
		if err != nil {
			return err
		}
		n.extents = append(n.extents, e)
		n.size += e.length
	}
	return nil
}

// plainName is a name of plain ISO 9660 as Linux shows it: without version, in
// small letters.
func plainName(b []byte) string {
	name, _, _ := strings.Cut(string(b), ";")
	return strings.ToLower(strings.TrimSuffix(name, "."))
}
