package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// The entries are those of the System Use Sharing Protocol (SUSP, IEEE P1281) and
// of the Rock Ridge Interchange Protocol (RRIP, IEEE P1282), version 1.12.
const maxContinuations = 64

// rockRidge is what a record says beyond ISO 9660.
type rockRidge struct {
	name      []byte
	named     bool
	nameErr   error
	mode      uint32 // st_mode; 0 if it is not said
	target    []byte
	modTime   time.Time
	child     uint32 // the block of a directory that was moved elsewhere, RRIP 4.1.5.1
	relocated bool   // it was moved here, RRIP 4.1.5.3
	packed    bool   // by zisofs
	block     int64  // bytes of a logical block

	componentGoesOn bool
}

// findRockRidge looks at the root's own record: it begins with an entry SP
// (SUSP 5.3), and by Rock Ridge it has a mode.
func (iso *isoImage) findRockRidge() {
	r := iso.newReader(RockRidge, iso.primary)
	own, err := r.childLink(iso.primary.root.block)
	if err != nil || len(own.system) < 7 {
		return // what is wrong with the root is said when it is read
	}
	for _, at := range []int{0, 15} { // 15: of CD-ROM XA
		s := own.system[min(at, len(own.system)):]
		if len(s) < 7 || string(s[:2]) != "SP" || s[4] != 0xbe || s[5] != 0xef {
			continue
		}
		iso.skip = int(s[6])
		rock, err := r.rock(append(make([]byte, iso.skip), s...))
		iso.rockRidge = err == nil && rock.mode != 0
		return
	}
}

// childLink is the directory at a block, as its own first record describes it.
func (r *isoReader) childLink(block uint32) (record, error) {
	sector, err := r.readExtents([]extent{{at: int64(block) * r.volume.block, length: isoSector}}, isoSector)
	if err != nil {
		return record{}, err
	}
	return parseRecord(sector)
}

// rock reads the system use field of a record, with what continues it elsewhere.
func (r *isoReader) rock(field []byte) (rockRidge, error) {
	rock := rockRidge{block: r.volume.block}
	field = field[min(r.skip, len(field)):]
	for range maxContinuations {
		next, err := rock.entries(field)
		if err != nil || next == nil {
			return rock, err
		}
		if field, err = r.readExtents([]extent{*next}, next.length); err != nil {
			return rock, fmt.Errorf("reading its attributes: %w", err)
		}
	}
	return rock, errors.New("its attributes go on without end")
}

// entries reads one area, and returns where the next is (SUSP 5.1), nil if there
// is none.
func (k *rockRidge) entries(b []byte) (next *extent, err error) {
	for len(b) >= 4 {
		size := int(b[2])
		if size < 4 || size > len(b) {
			break // padding, or the fields of another system
		}
		e := b[4:size]
		switch string(b[:2]) {
		case "CE":
			if len(e) < 24 {
				return nil, errors.New("the entry CE is cut off")
			}
			next = &extent{
				at:     int64(binary.LittleEndian.Uint32(e))*k.block + int64(binary.LittleEndian.Uint32(e[8:])),
				length: int64(binary.LittleEndian.Uint32(e[16:])),
			}
			if next.length > 1<<20 {
				return nil, errors.New("its attributes are larger than can be")
			}
		case "ST":
			return next, nil
		default:
			if err := k.entry(string(b[:2]), e); err != nil {
				return nil, err
			}
		}
		b = b[size:]
	}
	return next, nil
}

// entry reads one entry; e is what follows its head of four bytes.
func (k *rockRidge) entry(kind string, e []byte) error {
	need := map[string]int{"PX": 8, "NM": 1, "SL": 1, "TF": 1, "CL": 8}[kind]
	if len(e) < need {
		return fmt.Errorf("the entry %s is cut off", kind)
	}
	switch kind {
	case "PX": // RRIP 4.1.1
		k.mode = binary.LittleEndian.Uint32(e)
	case "NM": // RRIP 4.1.4
		k.named = true
		if e[0]&0x06 != 0 {
			k.nameErr = errors.New(`a file is called "." or ".."`)
		}
		k.name = append(k.name, e[1:]...)
	case "SL":
		return k.link(e)
	case "TF":
		k.times(e)
	case "CL":
		k.child = binary.LittleEndian.Uint32(e)
	case "RE":
		k.relocated = true
	case "ZF":
		k.packed = true
	case "PN": // a device's numbers; its mode says that it is one
	}
	return nil
}

// link is RRIP 4.1.3: the target by its components.
func (k *rockRidge) link(e []byte) error {
	for e = e[1:]; len(e) >= 2; {
		flags, size := e[0], int(e[1])
		if 2+size > len(e) {
			return errors.New("the entry SL is cut off")
		}
		text := e[2 : 2+size]
		if len(k.target) > 0 && !k.componentGoesOn && !bytes.HasSuffix(k.target, []byte("/")) {
			k.target = append(k.target, '/')
		}
		k.componentGoesOn = flags&1 != 0
		switch {
		case flags&2 != 0:
			text = []byte(".")
		case flags&4 != 0:
			text = []byte("..")
		case flags&8 != 0:
			text = []byte("/")
		case flags&^1 != 0:
			return fmt.Errorf("the symbolic link has a part of an unknown kind, %#x", flags)
		case bytes.ContainsAny(text, "/\x00"):
			return errors.New("a part of the symbolic link has a slash or a zero byte in it")
		}
		k.target = append(k.target, text...)
		e = e[2+size:]
	}
	if len(k.target) > 4096 {
		return errors.New("the symbolic link is longer than can be")
	}
	return nil
}

// times is RRIP 4.1.6: of the times in a row the one of the last change.
func (k *rockRidge) times(e []byte) {
	flags := e[0]
	size := 7
	if flags&0x80 != 0 {
		size = 17
	}
	e = e[1:]
	if flags&1 != 0 { // of creation
		e = e[min(size, len(e)):]
	}
	if flags&2 == 0 || len(e) < size {
		return
	}
	if size == 7 {
		k.modTime = recordTime(e)
		return
	}
	// E 8.4.26.1
	t, err := time.ParseInLocation("20060102150405", string(e[:14]), time.FixedZone("", int(int8(e[16]))*15*60))
	if err == nil {
		k.modTime = t.UTC()
	}
}

// nameOr is the name, or the one of ISO 9660 where there is none.
func (k *rockRidge) nameOr(plain string) string {
	if !k.named {
		return plain
	}
	return string(k.name)
}

// apply sets what a node is. The zero value changes nothing.
func (k *rockRidge) apply(n *node) error {
	if k.nameErr != nil {
		return k.nameErr
	}
	if !k.modTime.IsZero() {
		n.modTime = k.modTime
	}
	if k.packed {
		return errors.New("it is compressed by zisofs, which is not read here")
	}
	if k.mode == 0 {
		if k.child != 0 {
			n.mode = fs.ModeDir | 0o755
		}
		return nil
	}
	n.mode = fs.FileMode(k.mode & 0o777)
	switch k.mode & 0o170000 {
	case 0o100000:
	case 0o040000:
		n.mode |= fs.ModeDir
	case 0o120000:
		n.mode |= fs.ModeSymlink
		n.target = strings.TrimRight(string(k.target), "\x00")
	default:
		return fmt.Errorf("it is neither a file nor a directory nor a symbolic link (mode %o)", k.mode)
	}
	if k.child != 0 && !n.mode.IsDir() {
		return errors.New("it is a directory and something else")
	}
	return nil
}
