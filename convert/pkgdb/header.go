package pkgdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// What is read of an rpm header (rpm's rpmtag.h and lib/header.c).
const (
	tagName         = 1000
	tagVersion      = 1001
	tagRelease      = 1002
	tagEpoch        = 1003
	tagArch         = 1022
	tagOldFileNames = 1027
	tagFileStates   = 1029
	tagDirIndexes   = 1116
	tagBaseNames    = 1117
	tagDirNames     = 1118

	typeChar        = 1
	typeInt32       = 4
	typeString      = 6
	typeStringArray = 8

	headerEntry   = 16      // bytes of an entry of the index
	headerMaxTags = 0xffff  // HEADER_TAGS_MAX
	headerMaxData = 1 << 28 // HEADER_DATA_MAX

	stateNormal = 0 // RPMFILE_STATE_NORMAL: the file was installed and is this package's
)

var errHeader = errors.New("damaged package header")

// rpmHeader is what a package's header says.
type rpmHeader struct {
	name, version, release, arch string
	epoch                        *uint32
	oldNames                     []string // of packages made by rpm 3
	baseNames, dirNames          []string
	dirIndexes                   []uint32
	states                       []byte
}

// parseHeader reads a header as the database keeps it: the number of entries,
// the bytes of data, the entries, the data, all in network order.
func parseHeader(blob []byte) (*rpmHeader, error) {
	if len(blob) < 8 {
		return nil, fmt.Errorf("%w: %d bytes", errHeader, len(blob))
	}
	tags, size := int64(binary.BigEndian.Uint32(blob)), int64(binary.BigEndian.Uint32(blob[4:]))
	if tags > headerMaxTags || size > headerMaxData || 8+tags*headerEntry+size > int64(len(blob)) {
		return nil, fmt.Errorf("%w: %d tags and %d bytes of data in %d bytes", errHeader, tags, size, len(blob))
	}
	index := blob[8 : 8+tags*headerEntry]
	data := blob[8+tags*headerEntry : 8+tags*headerEntry+size]
	h := &rpmHeader{}
	for ; len(index) > 0; index = index[headerEntry:] {
		e := entry{
			tag: binary.BigEndian.Uint32(index), kind: binary.BigEndian.Uint32(index[4:]), count: binary.BigEndian.Uint32(index[12:]),
		}
		offset := binary.BigEndian.Uint32(index[8:])
		if !e.wanted() {
			continue
		}
		if int64(offset) > size {
			return nil, fmt.Errorf("%w: tag %d lies outside of the data", errHeader, e.tag)
		}
		e.data = data[offset:]
		if err := h.set(e); err != nil {
			return nil, err
		}
	}
	if h.name == "" {
		return nil, fmt.Errorf("%w: no name", errHeader)
	}
	return h, nil
}

// entry is one tag; data runs on to the end of all data.
type entry struct {
	tag, kind, count uint32
	data             []byte
}

func (e entry) wanted() bool {
	switch e.tag {
	case tagName, tagVersion, tagRelease, tagEpoch, tagArch, tagOldFileNames, tagFileStates, tagDirIndexes, tagBaseNames, tagDirNames:
		return true
	}
	return false
}

func (h *rpmHeader) set(e entry) (err error) {
	switch e.tag {
	case tagName:
		h.name, err = e.text()
	case tagVersion:
		h.version, err = e.text()
	case tagRelease:
		h.release, err = e.text()
	case tagArch:
		h.arch, err = e.text()
	case tagEpoch:
		var n []uint32
		if n, err = e.numbers(); err == nil && len(n) > 0 {
			h.epoch = &n[0]
		}
	case tagOldFileNames:
		h.oldNames, err = e.texts()
	case tagBaseNames:
		h.baseNames, err = e.texts()
	case tagDirNames:
		h.dirNames, err = e.texts()
	case tagDirIndexes:
		h.dirIndexes, err = e.numbers()
	case tagFileStates:
		h.states, err = e.bytes()
	}
	return err
}

func (e entry) bad() error {
	return fmt.Errorf("%w: tag %d of type %d with %d values", errHeader, e.tag, e.kind, e.count)
}

func (e entry) text() (string, error) {
	end := bytes.IndexByte(e.data, 0)
	if e.kind != typeString || end < 0 {
		return "", e.bad()
	}
	return string(e.data[:end]), nil
}

func (e entry) texts() ([]string, error) {
	if e.kind != typeStringArray || int64(e.count) > int64(len(e.data)) {
		return nil, e.bad()
	}
	list := make([]string, 0, e.count)
	for data := e.data; len(list) < int(e.count); {
		end := bytes.IndexByte(data, 0)
		if end < 0 {
			return nil, e.bad()
		}
		list = append(list, string(data[:end]))
		data = data[end+1:]
	}
	return list, nil
}

func (e entry) numbers() ([]uint32, error) {
	if e.kind != typeInt32 || int64(e.count)*4 > int64(len(e.data)) {
		return nil, e.bad()
	}
	list := make([]uint32, e.count)
	for i := range list {
		list[i] = binary.BigEndian.Uint32(e.data[4*i:])
	}
	return list, nil
}

func (e entry) bytes() ([]byte, error) {
	if e.kind != typeChar || int64(e.count) > int64(len(e.data)) {
		return nil, e.bad()
	}
	return e.data[:e.count], nil
}

// pack is the package without its files.
func (h *rpmHeader) pack() Package {
	v := h.version
	if h.release != "" {
		v += "-" + h.release
	}
	if h.epoch != nil {
		v = strconv.FormatUint(uint64(*h.epoch), 10) + ":" + v
	}
	return Package{Format: RPM, Name: h.name, Version: v, Arch: h.arch}
}

// files calls do with the name of each file that the package has installed.
func (h *rpmHeader) files(do func(name string)) error {
	if len(h.dirIndexes) != len(h.baseNames) || len(h.dirNames) > math.MaxUint32 {
		return fmt.Errorf("%w: package %.80q has %d files in %d places", errHeader, h.name, len(h.baseNames), len(h.dirIndexes))
	}
	for i, name := range h.oldNames {
		if h.isNormal(i) {
			do(name)
		}
	}
	for i, base := range h.baseNames {
		at := h.dirIndexes[i]
		if at >= uint32(len(h.dirNames)) { //nolint:gosec // checked above
			return fmt.Errorf("%w: package %.80q has no directory %d", errHeader, h.name, at)
		}
		if h.isNormal(i) {
			do(h.dirNames[at] + base)
		}
	}
	return nil
}

// isNormal tells whether file i is the package's: one that another package has
// replaced, or that was left out, is not. Without states all are.
func (h *rpmHeader) isNormal(i int) bool {
	return i >= len(h.states) || h.states[i] == stateNormal
}
