package media

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The layout of the image that udfSeed makes, in blocks of 512 bytes.
const (
	seedBlock     = 512
	seedVDS       = 32 + 64
	seedAnchor    = 256
	seedPartition = 260
	seedBlocks    = 300
)

type udfOptions struct {
	metadata bool                      // directories and entries are in a metadata partition, in two pieces
	change   func(m map[string][]byte) // the descriptors by their names, before their checksums are made
}

// udfSeed makes an image by hand, for what no tool here makes: a metadata partition,
// symbolic links, holes, lists of extents that go on elsewhere, and mistakes.
func udfSeed(o *udfOptions) []byte {
	if o == nil {
		o = &udfOptions{}
	}
	le := binary.LittleEndian
	image := make([]byte, seedBlocks*seedBlock)
	copy(image[isoFirst*isoSector:], "\x00BEA01\x01")
	copy(image[(isoFirst+1)*isoSector:], "\x00NSR03\x01")
	copy(image[(isoFirst+2)*isoSector:], "\x00TEA01\x01")
	d := map[string][]byte{}
	at := map[string]int{}
	put := func(name string, block int, tag uint16) []byte {
		b := make([]byte, seedBlock)
		le.PutUint16(b, tag)
		d[name], at[name] = b, block
		return b
	}
	anchor := put("anchor", seedAnchor, tagAnchor)
	le.PutUint32(anchor[16:], 16*seedBlock)
	le.PutUint32(anchor[20:], seedVDS)
	copy(anchor[24:32], anchor[16:24])
	part := put("partition", seedVDS, tagPartition)
	le.PutUint32(part[188:], seedPartition)
	le.PutUint32(part[192:], seedBlocks-seedPartition)
	logical := put("logical", seedVDS+1, tagLogicalVolume)
	copy(logical[84:], "\x08SEED")
	logical[84+127] = 5
	le.PutUint32(logical[212:], seedBlock)
	copy(logical[440:], []byte{1, 6, 1, 0, 0, 0})
	le.PutUint32(logical[264:], 6)
	le.PutUint32(logical[268:], 1)
	put("end", seedVDS+2, tagTerminating)
	// meta is where a block lies that the metadata partition, if there is one, has.
	meta, ref := func(n int) int { return seedPartition + n }, uint16(0)
	if o.metadata {
		ref = 1
		meta = func(n int) int { return seedPartition + map[bool]int{true: 10, false: 18}[n < 2] + n } // the pieces: 10 to 11, 20 on
		le.PutUint32(logical[264:], 6+64)
		le.PutUint32(logical[268:], 2)
		m := logical[446:]
		m[0], m[1] = 2, 64
		copy(m[5:], "*UDF Metadata Partition")
		le.PutUint32(m[40:], 8)
		le.PutUint32(m[44:], 9)
		for name, block := range map[string]int{"metadata": 8, "mirror": 9} {
			entry(put(name, seedPartition+block, tagExtendedEntry), icbMetadata, 0, 8*seedBlock,
				shortAD(2*seedBlock, 10), shortAD(6*seedBlock, 20))
		}
	}
	le.PutUint16(logical[256:], ref)
	le.PutUint32(logical[248:], seedBlock)
	fileSet := put("fileset", meta(0), tagFileSet)
	copy(fileSet[400:], longAD(seedBlock, 1, ref))
	root := put("root", meta(1), tagExtendedEntry)
	names := bytes.Join([][]byte{
		ident("", 8|2, 1, ref), ident("file", 0, 2, ref), ident("link", 0, 3, ref), ident("dir", 2, 4, ref), ident("gone", 4, 99, ref),
	}, nil)
	entry(root, icbDirectory, 3, len(names), names)
	list := longAD(seedBlock, 30, 0)
	list[3] |= 3 << 6
	entry(put("file", meta(2), tagFileEntry), icbFile, 1, 3*seedBlock+4, longAD(seedBlock, 31, 0), list)
	more := put("more", seedPartition+30, tagAllocation)
	hole := longAD(2*seedBlock, 0, 0)
	hole[3] |= 2 << 6
	rest := append(hole, longAD(4, 32, 0)...)
	le.PutUint32(more[20:], uint32(len(rest)))
	copy(more[24:], rest)
	copy(image[(seedPartition+31)*seedBlock:], strings.Repeat("x", seedBlock)+"end.")
	link := []byte{5, 4, 0, 0, 8, 'd', 'i', 'r', 3, 0, 0, 0, 5, 5, 0, 0, 8, 'f', 'i', 'l', 'e'}
	entry(put("link", meta(3), tagFileEntry), icbLink, 3, len(link), link)
	inner := bytes.Join([][]byte{ident("", 8|2, 1, ref), ident("inner", 0, 5, ref)}, nil)
	entry(put("dir", meta(4), tagFileEntry), icbDirectory, 3, len(inner), inner)
	entry(put("inner", meta(5), tagFileEntry), icbFile, 3, 6, []byte("inside"))
	if o.change != nil {
		o.change(d)
	}
	for name, b := range d {
		seal(b, seedBlock-16)
		copy(image[at[name]*seedBlock:], b)
	}
	return image
}

// seal makes the checksums of a descriptor (E 3/7.2).
func seal(b []byte, length int) {
	binary.LittleEndian.PutUint16(b[10:], uint16(length))
	binary.LittleEndian.PutUint16(b[8:], crc16(b[16:16+length]))
	b[4] = 0
	for i, c := range b[:16] {
		if i != 4 {
			b[4] += c
		}
	}
}

// entry fills a file entry: how its descriptors are written, and these.
func entry(b []byte, kind byte, how uint16, size int, descriptors ...[]byte) {
	le := binary.LittleEndian
	le.PutUint16(b[20:], 4)
	b[27] = kind
	le.PutUint16(b[34:], how)
	le.PutUint32(b[44:], 5<<10|5<<5|5) // read and execute for all
	le.PutUint64(b[56:], uint64(size))
	lengthAt, from, timeAt := 172, 176, 84
	if le.Uint16(b) == tagExtendedEntry {
		lengthAt, from, timeAt = 212, 216, 92
	}
	copy(b[timeAt:], []byte{0x3c, 0x10, 0xe8, 0x07, 2, 29, 12, 30, 0, 0, 0, 0}) // 2024-02-29 12:30, one hour east
	le.PutUint32(b[lengthAt:], uint32(copy(b[from:], bytes.Join(descriptors, nil))))
}

func shortAD(length, block uint32) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, length), block)
}

func longAD(length, block uint32, ref uint16) []byte {
	return append(binary.LittleEndian.AppendUint16(shortAD(length, block), ref), make([]byte, 6)...)
}

// ident is a file identifier descriptor.
func ident(name string, flags byte, block uint32, ref uint16) []byte {
	b := make([]byte, 38)
	binary.LittleEndian.PutUint16(b, tagFileIdent)
	b[18] = flags
	copy(b[20:], longAD(seedBlock, block, ref))
	if name != "" {
		b = append(append(b, 8), name...)
		b[19] = byte(len(name) + 1)
	}
	b = append(b, make([]byte, (4-len(b)%4)%4)...)
	seal(b, len(b)-16)
	return b
}

func TestUDFByHand(t *testing.T) {
	for _, metadata := range []bool{false, true} {
		b := udfSeed(&udfOptions{metadata: metadata})
		m, err := Read(bytes.NewReader(b), int64(len(b)))
		must(t, err)
		got := map[string]string{}
		must(t, fs.WalkDir(m.Files, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := fs.ReadFile(m.Files, name)
			got[name] = string(text)
			return err
		}))
		file := strings.Repeat("x", seedBlock) + strings.Repeat("\x00", 2*seedBlock) + "end."
		want := map[string]string{"dir/inner": "inside", "file": file, "link": file}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("metadata %v (-want +got):\n%s", metadata, diff)
		}
		info, err := fs.Stat(m.Files, "dir/inner")
		must(t, err)
		if when := info.ModTime().Format("2006-01-02 15:04"); info.Mode() != 0o555 || when != "2024-02-29 11:30" || m.Label != "SEED" {
			t.Errorf("inner is %v of %s, the label %q", info.Mode(), when, m.Label)
		}
	}
	b := udfSeed(&udfOptions{metadata: true, change: func(d map[string][]byte) { d["metadata"][27] = 77 }})
	if _, err := Read(bytes.NewReader(b), int64(len(b))); err != nil {
		t.Errorf("the mirror of the metadata: %v", err)
	}
}

func TestHostileUDF(t *testing.T) {
	le := binary.LittleEndian
	rename := func(from, to string) func(d map[string][]byte) {
		return func(d map[string][]byte) {
			at := bytes.Index(d["root"], ident(from, 0, 2, 0)[38:])
			fid := d["root"][at-38:]
			copy(fid[39:], to)
			seal(fid[:40+len(from)/4*4], 40+len(from)/4*4-16+0)
		}
	}
	tests := []struct {
		name   string
		change func(d map[string][]byte)
		err    string
	}{
		{"a name with a slash", rename("file", "../x"), `the name "../x" has a slash`},
		{"a name with a zero byte", rename("file", "a\x00bc"), "zero byte"},
		{"a link out", func(d map[string][]byte) { copy(d["link"][176:], []byte{3, 4, 0, 0}) }, `link: the symbolic link to "../../file" leads out`},
		{"an absolute link", func(d map[string][]byte) { copy(d["link"][176:], []byte{2, 4, 0, 0, 8, 'd', 'i', 'r', 5, 0}) }, "link: "},
		{"a directory within itself", func(d map[string][]byte) {
			at := bytes.Index(d["root"], []byte("\x08dir"))
			fid := d["root"][at-38 : at+6]
			le.PutUint32(fid[24:], 1)
			seal(fid, len(fid)-16)
		}, "dir: the directory is . at the same time"},
		{"an extent beyond the partition", func(d map[string][]byte) { le.PutUint32(d["more"][24+16+4:], 1<<20) }, "file: 4 bytes of it are to be at block 1048576"},
		{"a file of exabytes", func(d map[string][]byte) { le.PutUint64(d["file"][56:], 1<<62) }, "file: it has 4611686018427387904 bytes"},
		{"a file whose end is nowhere", func(d map[string][]byte) { le.PutUint64(d["file"][56:], 1<<40) }, "bytes are nowhere"},
		{"a list of extents without end", func(d map[string][]byte) {
			list := longAD(seedBlock, 30, 0)
			list[3] |= 3 << 6
			copy(d["more"][24:], list)
		}, "file: the list of its extents has no end"},
		{"a device", func(d map[string][]byte) { d["inner"][27] = 6 }, "dir/inner: it is neither a file"},
		{"a strategy of written-once media", func(d map[string][]byte) { le.PutUint16(d["inner"][20:], 4096) }, "strategy 4096"},
		{"a huge directory", func(d map[string][]byte) {
			le.PutUint16(d["dir"][34:], 0)
			le.PutUint64(d["dir"][56:], 1<<29)
			n := copy(d["dir"][176:], []byte{0, 0, 0, 0x20 | 2<<6, 0, 0, 0, 0})
			le.PutUint32(d["dir"][172:], uint32(n))
		}, "dir: it has 536870912 bytes"},
		{"a partition beyond the end", func(d map[string][]byte) { le.PutUint32(d["partition"][188:], 1<<30) }, "ends at"},
		{"a partition that is not there", func(d map[string][]byte) { le.PutUint16(d["logical"][444:], 7) }, "there is no partition 7"},
		{"a rewritable medium", func(d map[string][]byte) {
			copy(d["logical"][440:], append([]byte{2, 64, 0, 0, 0}, "*UDF Sparable Partition"...))
			le.PutUint32(d["logical"][264:], 64)
		}, "which are not read here"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := udfSeed(&udfOptions{change: tt.change})
			_, err := Read(bytes.NewReader(b), int64(len(b)))
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
	t.Run("a wrong checksum", func(t *testing.T) {
		b := udfSeed(nil)
		b[(seedPartition+2)*seedBlock+100] ^= 1
		_, err := Read(bytes.NewReader(b), int64(len(b)))
		if err == nil || !strings.Contains(err.Error(), "file: the descriptor at") {
			t.Errorf("error %v", err)
		}
	})
}
