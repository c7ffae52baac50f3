package pkgdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tag is one of a header to be made.
type tag struct {
	tag, kind, count uint32
	data             string
}

func makeHeader(tags ...tag) []byte {
	var index, data bytes.Buffer
	for _, t := range tags {
		for data.Len()%4 != 0 {
			data.WriteByte(0)
		}
		for _, v := range []uint32{t.tag, t.kind, uint32(data.Len()), t.count} {
			_ = binary.Write(&index, binary.BigEndian, v)
		}
		data.WriteString(t.data)
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(len(tags)))
	head = binary.BigEndian.AppendUint32(head, uint32(data.Len()))
	return append(append(head, index.Bytes()...), data.Bytes()...)
}

var sample = []tag{
	{tagName, typeString, 1, "bash\x00"},
	{tagVersion, typeString, 1, "5\x00"},
	{tagRelease, typeString, 1, "1\x00"},
	{tagArch, typeString, 1, "noarch\x00"},
	{tagEpoch, typeInt32, 1, "\x00\x00\x00\x00"},
	{1004, 9, 1, "summary\x00"},
	{tagDirIndexes, typeInt32, 3, "\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00"},
	{tagBaseNames, typeStringArray, 3, "a\x00b\x00c\x00"},
	{tagDirNames, typeStringArray, 2, "/x/\x00/y/\x00"},
	{tagFileStates, typeChar, 3, "\x00\x00\x01"},
}

func TestParseHeader(t *testing.T) {
	// with replaces a tag of the sample.
	with := func(n tag) []byte {
		tags := append([]tag(nil), sample...)
		for i := range tags {
			if tags[i].tag == n.tag {
				tags[i] = n
			}
		}
		return makeHeader(tags...)
	}
	huge := makeHeader(sample...)
	binary.BigEndian.PutUint32(huge, 0x7fffffff)
	outside := makeHeader(sample...)
	binary.BigEndian.PutUint32(outside[8+8:], 1<<30)
	tests := []struct {
		name  string
		blob  []byte
		want  string
		files []string
		bad   bool
	}{
		{name: "whole", blob: makeHeader(sample...), want: "0:5-1", files: []string{"/x/a", "/y/b"}},
		{name: "of rpm 3", blob: makeHeader(sample[0], sample[1], tag{tagOldFileNames, typeStringArray, 2, "/a\x00/b/c\x00"}), want: "5", files: []string{"/a", "/b/c"}},
		{name: "empty", bad: true},
		{name: "cut", blob: makeHeader(sample...)[:100], bad: true},
		{name: "tags without number", blob: huge, bad: true},
		{name: "data outside", blob: outside, bad: true},
		{name: "no name", blob: makeHeader(sample[1:]...), bad: true},
		{name: "name of another type", blob: with(tag{tagName, typeInt32, 1, "bash\x00"}), bad: true},
		{name: "name without end", blob: makeHeader(tag{tagName, typeString, 1, "bash"}), bad: true},
		{name: "more names than data", blob: with(tag{tagBaseNames, typeStringArray, 1 << 31, "a\x00"}), bad: true},
		{name: "fewer names than said", blob: makeHeader(sample[0], tag{tagBaseNames, typeStringArray, 3, "a\x00b\x00ccc"}), bad: true},
		{name: "more numbers than data", blob: with(tag{tagDirIndexes, typeInt32, 1 << 31, "\x00"}), bad: true},
		{name: "more states than data", blob: with(tag{tagFileStates, typeChar, 1 << 31, "\x00"}), bad: true},
		{name: "a directory that is not there", blob: with(tag{tagDirIndexes, typeInt32, 3, "\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00"}), bad: true},
		{name: "fewer directories than files", blob: with(tag{tagDirIndexes, typeInt32, 1, "\x00\x00\x00\x00"}), bad: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, err := parseHeader(tt.blob)
			var files []string
			if err == nil {
				err = h.files(func(name string) { files = append(files, name) })
			}
			if tt.bad {
				if !errors.Is(err, errHeader) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if h.pack().Version != tt.want {
				t.Errorf("got version %s", h.pack().Version)
			}
			if diff := cmp.Diff(tt.files, files); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func FuzzHeader(f *testing.F) {
	f.Add(makeHeader(sample...))
	f.Add(makeHeader(sample[0], tag{tagOldFileNames, typeStringArray, 2, "/a\x00/b/c\x00"}))
	f.Fuzz(func(t *testing.T, blob []byte) {
		h, err := parseHeader(blob)
		if err != nil {
			return
		}
		if h.pack().Name == "" {
			t.Error("no name and no error")
		}
		_ = h.files(func(string) {})
	})
}

// makeNDB is a database of one page of slots.
func makeNDB(blobs ...[]byte) []byte {
	out := make([]byte, ndbPage)
	put := func(at int, words ...uint32) {
		for i, w := range words {
			binary.LittleEndian.PutUint32(out[at+4*i:], w)
		}
	}
	put(0, ndbHeaderMagic, ndbVersion, 1, 1, uint32(len(blobs)+1))
	for at := ndbHeaderSize; at < ndbPage; at += ndbSlot {
		put(at, ndbSlotMagic)
	}
	for i, blob := range blobs {
		number := uint32(i + 1)
		put(ndbHeaderSize+i*ndbSlot, ndbSlotMagic, number, uint32(len(out)/ndbBlock), 0)
		at := len(out)
		out = append(out, make([]byte, (ndbBlobHeader+len(blob)+ndbBlock-1)/ndbBlock*ndbBlock)...)
		put(at, ndbBlobMagic, number, 1, uint32(len(blob)))
		copy(out[at+ndbBlobHeader:], blob)
	}
	return out
}

// makeBDB is a database of pages of 512 bytes: the header, a page of items, and
// those that hold one long value.
func makeBDB(order binary.ByteOrder, long []byte) []byte {
	const size = 512
	const room = size - bdbPageHeader
	parts := (len(long) + room - 1) / room
	out := make([]byte, (2+parts)*size)
	put := func(at int, v uint32) { order.PutUint32(out[at:], v) }
	put(12, bdbHashMagic)
	put(20, size)
	out[25] = bdbMeta
	put(32, uint32(1+parts))
	page := out[size : 2*size]
	page[25] = bdbHash
	end, n := size, 0
	item := func(b []byte) {
		end -= len(b)
		copy(page[end:], b)
		order.PutUint16(page[bdbPageHeader+2*n:], uint16(end))
		n++
	}
	item([]byte{bdbInline, 0, 0, 0, 0})
	item([]byte{bdbInline, 2, 0, 0, 0})
	item([]byte{bdbInline, 1, 0, 0, 0})
	off := make([]byte, bdbOffSize)
	off[0] = bdbOffPage
	order.PutUint32(off[4:], 2)
	order.PutUint32(off[8:], uint32(len(long)))
	item(off)
	item([]byte{bdbInline, 2, 0, 0, 0})
	item([]byte("\x01an inline value"))
	order.PutUint16(page[20:], uint16(n))
	for i := range parts {
		p := out[(2+i)*size : (3+i)*size]
		p[25] = bdbOverflow
		order.PutUint16(p[22:], uint16(copy(p[bdbPageHeader:], long[i*room:])))
		if i+1 < parts {
			order.PutUint32(p[16:], uint32(3+i))
		}
	}
	return out
}

func readAll(t *testing.T, read func(do func([]byte) error) error) ([]string, error) {
	t.Helper()
	var got []string
	err := read(func(b []byte) error { got = append(got, string(b)); return nil })
	return got, err
}

func TestReadBDBDamage(t *testing.T) {
	long := bytes.Repeat([]byte("long value "), 200)
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		good := makeBDB(order, long)
		got, err := readAll(t, func(do func([]byte) error) error { return readBDB(bytes.NewReader(good), int64(len(good)), do) })
		if diff := cmp.Diff([]string{string(long), "an inline value"}, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
	}
	le := binary.LittleEndian
	tests := []struct {
		name   string
		damage func(b []byte)
	}{
		{"magic", func(b []byte) { b[12]++ }},
		{"type", func(b []byte) { b[25]++ }},
		{"page size", func(b []byte) { le.PutUint32(b[20:], 513) }},
		{"no page size", func(b []byte) { le.PutUint32(b[20:], 0) }},
		{"pages", func(b []byte) { le.PutUint32(b[32:], 1<<31) }},
		{"all pages", func(b []byte) { le.PutUint32(b[32:], 1<<32-1) }},
		{"odd items", func(b []byte) { le.PutUint16(b[512+20:], 5) }},
		{"many items", func(b []byte) { le.PutUint16(b[512+20:], 65534) }},
		{"item outside", func(b []byte) { le.PutUint16(b[512+26:], 600) }},
		{"item in the header", func(b []byte) { le.PutUint16(b[512+28:], 3) }},
		{"items in disorder", func(b []byte) { le.PutUint16(b[512+28:], 511) }},
		{"unknown item", func(b []byte) { b[512+int(le.Uint16(b[512+32:]))] = 4 }},
		{"value too long", func(b []byte) { le.PutUint32(b[512+int(le.Uint16(b[512+32:]))+8:], 1<<31) }},
		{"value too short", func(b []byte) { le.PutUint32(b[512+int(le.Uint16(b[512+32:]))+8:], 9) }},
		{"value of no page", func(b []byte) { le.PutUint32(b[512+int(le.Uint16(b[512+32:]))+4:], 77) }},
		{"value of another page", func(b []byte) { b[2*512+25] = bdbHash }},
		{"cycle of pages without data", func(b []byte) { le.PutUint16(b[2*512+22:], 0); le.PutUint32(b[2*512+16:], 2) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := makeBDB(le, long)
			tt.damage(b)
			if got, err := readAll(t, func(do func([]byte) error) error { return readBDB(bytes.NewReader(b), int64(len(b)), do) }); !errors.Is(err, errBDB) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestReadNDBDamage(t *testing.T) {
	le := binary.LittleEndian
	tests := []struct {
		name   string
		damage func(b []byte)
		good   bool
	}{
		{"none", func([]byte) {}, true},
		{"magic", func(b []byte) { b[0]++ }, false},
		{"version", func(b []byte) { b[4]++ }, false},
		{"pages", func(b []byte) { le.PutUint32(b[12:], 1<<32-1) }, false},
		{"slot", func(b []byte) { b[ndbHeaderSize]++ }, false},
		{"number", func(b []byte) { b[ndbHeaderSize+4]++ }, false},
		{"offset", func(b []byte) { le.PutUint32(b[ndbHeaderSize+8:], 1<<32-1) }, false},
		{"blob", func(b []byte) { b[ndbPage]++ }, false},
		{"length", func(b []byte) { le.PutUint32(b[ndbPage+12:], 1<<32-1) }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := makeNDB([]byte("one"), []byte("two"))
			tt.damage(b)
			got, err := readAll(t, func(do func([]byte) error) error { return readNDB(bytes.NewReader(b), int64(len(b)), do) })
			if tt.good && (err != nil || !cmp.Equal(got, []string{"one", "two"})) || !tt.good && !errors.Is(err, errNDB) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// FuzzNDB and FuzzBDB lay what is given over a whole database: the fuzzer is slow
// with long inputs.
func FuzzNDB(f *testing.F) {
	good := makeNDB([]byte("one"), []byte("two"))
	f.Add(good[:80], good[ndbPage:])
	f.Fuzz(func(_ *testing.T, head, blobs []byte) {
		b := append(makeNDB()[:ndbPage], blobs...)
		copy(b[:ndbPage], head)
		_ = readNDB(bytes.NewReader(b), int64(len(b)), func([]byte) error { return nil })
	})
}

func FuzzBDB(f *testing.F) {
	long := bytes.Repeat([]byte("long value "), 60)
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		good := makeBDB(order, long)
		f.Add(good[:36], good[512:512+40], good[1024-70:1024], good[1024:1024+40])
	}
	f.Fuzz(func(_ *testing.T, meta, head, items, value []byte) {
		b := makeBDB(binary.LittleEndian, long)
		copy(b, meta)
		copy(b[512:], head)
		copy(b[1024-min(len(items), 512):1024], items)
		copy(b[1024:], value)
		_ = readBDB(bytes.NewReader(b), int64(len(b)), func([]byte) error { return nil })
	})
}
