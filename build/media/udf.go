package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// The layout is ECMA-167 (3rd edition, 1997), whose parts and sections are cited as
// "E", within what OSTA's Universal Disk Format 1.02 to 2.60 permits, cited as "U".

// Tags of descriptors, E 3/7.2.1 and 4/7.2.1.
const (
	tagAnchor        = 2
	tagPointer       = 3
	tagPartition     = 5
	tagLogicalVolume = 6
	tagTerminating   = 8
	tagFileSet       = 256
	tagFileIdent     = 257
	tagAllocation    = 258
	tagFileEntry     = 261
	tagExtendedEntry = 266
)

// udfImage is an image of UDF.
type udfImage struct {
	*tree
	block      int64
	label      string
	fileSet    address
	partitions []partition
	physical   map[uint16]physical
}

// physical is what a partition descriptor says.
type physical struct {
	number uint16
	block  int64 // the first
	blocks int64
}

// partition is where the blocks of a partition reference lie (E 3/10.7): in a
// physical partition, or in the extents of a metadata file (U 2.2.10).
type partition struct {
	physical
	metadata []extent // nil in a physical partition
}

// address is a long_ad, E 4/14.14.2.
type address struct {
	length    int64
	kind      byte
	block     uint32
	partition uint16
}

func parseAddress(b []byte) address {
	length := binary.LittleEndian.Uint32(b)
	return address{
		length: int64(length & 0x3fffffff), kind: byte(length >> 30),
		block: binary.LittleEndian.Uint32(b[4:]), partition: binary.LittleEndian.Uint16(b[8:]),
	}
}

// findUDF reads what describes the volume; it returns nil if there is no UDF.
func findUDF(image io.ReaderAt, size int64) (*udfImage, error) {
	if !recognised(image) {
		return nil, nil //nolint:nilnil // "there is none" is no error
	}
	// The anchor's place depends on the size of blocks, which it does not say (E 3/8.4.2.1).
	for _, block := range []int64{2048, 512, 4096, 1024} {
		u := &udfImage{
			tree:     &tree{image: image, size: size, root: &node{name: ".", mode: fs.ModeDir | 0o755}},
			block:    block,
			physical: map[uint16]physical{},
		}
		last := size/block - 1
		for _, at := range []int64{256, last, last - 256} {
			anchor, err := u.descriptor(at*block, tagAnchor)
			if err != nil {
				continue
			}
			err = u.volume(anchor[16:])
			if err != nil { // the reserve sequence
				err = u.volume(anchor[24:])
			}
			if err != nil {
				return nil, fmt.Errorf("the UDF volume: %w", err)
			}
			return u, nil
		}
	}
	return nil, errors.New("the UDF volume: no anchor of it is found; the image is damaged or incomplete")
}

// recognised looks for NSR02 or NSR03 in the volume recognition sequence
// (E 2/8.3, 3/9.1).
func recognised(image io.ReaderAt) bool {
	id := make([]byte, 7)
	for i := range int64(maxDescriptors) {
		for _, step := range []int64{2048, 4096} {
			if n, _ := image.ReadAt(id, isoFirst*isoSector+i*step); n < len(id) {
				continue
			}
			if name := string(id[1:6]); name == "NSR02" || name == "NSR03" {
				return true
			}
		}
	}
	return false
}

// descriptor reads a block that is to have a tag, and verifies it (E 3/7.2).
func (u *udfImage) descriptor(at int64, tag uint16) ([]byte, error) {
	b, got, err := u.tagged(at)
	if err == nil && got != tag {
		err = fmt.Errorf("at %d there is descriptor %d in place of %d", at, got, tag)
	}
	return b, err
}

// tagged reads a block with any tag.
func (u *udfImage) tagged(at int64) ([]byte, uint16, error) {
	e := extent{at: at, length: u.block}
	if err := u.checkExtent(e); err != nil {
		return nil, 0, err
	}
	b, err := u.readExtents([]extent{e}, e.length)
	if err != nil {
		return nil, 0, err
	}
	tag, err := checkTag(b)
	if err != nil {
		return nil, 0, fmt.Errorf("the descriptor at %d: %w", at, err)
	}
	return b, tag, nil
}

// checkTag verifies a descriptor's checksums and returns its number.
func checkTag(b []byte) (uint16, error) {
	if len(b) < 16 {
		return 0, errors.New("it is cut off")
	}
	var sum byte
	for i, c := range b[:16] {
		if i != 4 {
			sum += c
		}
	}
	length := int(binary.LittleEndian.Uint16(b[10:]))
	switch {
	case sum != b[4]:
		return 0, errors.New("its checksum is wrong")
	case 16+length > len(b):
		return 0, errors.New("it is longer than its block")
	case crc16(b[16:16+length]) != binary.LittleEndian.Uint16(b[8:]):
		return 0, errors.New("its CRC is wrong")
	}
	return binary.LittleEndian.Uint16(b), nil
}

// crc16 is E 3/7.2.6: the polynomial of ITU-T V.41.
func crc16(b []byte) (crc uint16) {
	for _, c := range b {
		crc ^= uint16(c) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

// volume reads a volume descriptor sequence (E 3/8.4.2), whose extent_ad is given.
func (u *udfImage) volume(where []byte) error {
	var logical []byte
	var newest uint32
	at, left := int64(binary.LittleEndian.Uint32(where[4:]))*u.block, int64(binary.LittleEndian.Uint32(where))/u.block
	for range 10 * maxDescriptors {
		if left--; left < 0 {
			break
		}
		b, tag, err := u.tagged(at)
		if err != nil {
			return err
		}
		at += u.block
		switch tag {
		case tagPointer:
			at, left = int64(binary.LittleEndian.Uint32(b[24:]))*u.block, int64(binary.LittleEndian.Uint32(b[20:]))/u.block
		case tagPartition: // E 3/10.5
			p := physical{binary.LittleEndian.Uint16(b[22:]), int64(binary.LittleEndian.Uint32(b[188:])), int64(binary.LittleEndian.Uint32(b[192:]))}
			u.physical[p.number] = p
		case tagLogicalVolume:
			if n := binary.LittleEndian.Uint32(b[16:]); logical == nil || n >= newest {
				logical, newest = b, n
			}
		case tagTerminating:
			left = 0
		}
	}
	if logical == nil {
		return errors.New("there is no logical volume in it")
	}
	return u.logicalVolume(logical)
}

// logicalVolume reads a logical volume descriptor, E 3/10.6.
func (u *udfImage) logicalVolume(b []byte) error {
	if block := int64(binary.LittleEndian.Uint32(b[212:])); block != u.block {
		return fmt.Errorf("its blocks have %d bytes and those of the medium %d, which is not read here", block, u.block)
	}
	u.label = dstring(b[84:212])
	u.fileSet = parseAddress(b[248:])
	u.partitions = nil
	maps := b[440:]
	if size := binary.LittleEndian.Uint32(b[264:]); int64(size) < int64(len(maps)) {
		maps = maps[:size]
	}
	for range binary.LittleEndian.Uint32(b[268:]) {
		if len(maps) < 2 || int(maps[1]) > len(maps) || maps[1] < 6 {
			return errors.New("its table of partitions is cut off")
		}
		if err := u.partitionMap(maps[:maps[1]]); err != nil {
			return err
		}
		maps = maps[maps[1]:]
	}
	return nil
}

// partitionMap reads one partition map: E 3/10.7.2, U 2.2.8 to 2.2.10.
func (u *udfImage) partitionMap(b []byte) error {
	number, kind := uint16(0), ""
	switch {
	case b[0] == 1:
		number = binary.LittleEndian.Uint16(b[4:])
	case b[0] == 2 && len(b) == 64:
		number, kind = binary.LittleEndian.Uint16(b[38:]), strings.TrimRight(string(b[5:28]), "\x00")
	default:
		return fmt.Errorf("a partition is of the kind %d, which UDF does not know", b[0])
	}
	p, ok := u.physical[number]
	if !ok {
		return fmt.Errorf("there is no partition %d", number)
	}
	part := partition{physical: p}
	switch kind {
	case "":
	case "*UDF Metadata Partition":
		var err error
		if part.metadata, err = u.metadata(p, b); err != nil {
			return fmt.Errorf("the metadata partition: %w", err)
		}
	default:
		return fmt.Errorf("a partition is a %q, of media that are written again and again, which are not read here", strings.TrimPrefix(kind, "*UDF "))
	}
	u.partitions = append(u.partitions, part)
	return nil
}

// metadata finds the metadata file, or else its mirror (U 2.2.13).
func (u *udfImage) metadata(p physical, b []byte) ([]extent, error) {
	// The file's own addresses are of the physical partition beneath.
	beneath := &udfImage{tree: u.tree, block: u.block, partitions: []partition{{physical: p}}}
	var failed []error
	for _, at := range []int{40, 44} {
		n, err := beneath.entry(address{block: binary.LittleEndian.Uint32(b[at:]), length: u.block})
		if err == nil {
			return n.extents, nil
		}
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
}

// locate is the place in the image of blocks of a partition. They may lie in
// several pieces of a metadata file.
func (u *udfImage) locate(number uint16, block uint32, length int64) ([]extent, error) {
	if int(number) >= len(u.partitions) {
		return nil, fmt.Errorf("there is no partition %d", number)
	}
	p := u.partitions[number]
	at := int64(block) * u.block
	if p.metadata == nil {
		if int64(block) > p.blocks || length > (p.blocks-int64(block))*u.block {
			return nil, fmt.Errorf("%d bytes of it are to be at block %d, and its partition has %d blocks", length, block, p.blocks)
		}
		e := extent{at: p.block*u.block + at, length: length}
		return []extent{e}, u.checkExtent(e)
	}
	var list []extent
	for _, e := range p.metadata {
		if at >= e.length {
			at -= e.length
			continue
		}
		part := extent{at: e.at + at, length: min(length, e.length-at), zeros: e.zeros}
		list, length, at = append(list, part), length-part.length, 0
		if length == 0 {
			return list, nil
		}
	}
	return nil, fmt.Errorf("block %d is beyond the metadata partition", block)
}

// medium reads the whole tree.
func (u *udfImage) medium() (*Medium, error) {
	// E 4/14.1
	place, err := u.locate(u.fileSet.partition, u.fileSet.block, u.block)
	if err != nil {
		return nil, fmt.Errorf("the UDF file set: %w", err)
	}
	b, err := u.descriptor(place[0].at, tagFileSet)
	if err != nil {
		return nil, fmt.Errorf("the UDF file set: %w", err)
	}
	r := udfReader{udfImage: u, seen: map[int64]string{}}
	if err := r.directory(u.root, ".", parseAddress(b[400:]), 0); err != nil {
		return nil, err
	}
	return newMedium(u.tree, UDF, u.label)
}
