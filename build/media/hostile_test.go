package media

import (
	"bytes"
	"encoding/binary"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// smallISO is an image by genisoimage.
func smallISO(t testing.TB, files map[string]string) []byte {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "src"), files)
	iso := filepath.Join(dir, "x.iso")
	run(t, "genisoimage", "-quiet", "-no-pad", "-R", "-J", "-o", iso, filepath.Join(dir, "src"))
	text, err := os.ReadFile(iso)
	must(t, err)
	return text
}

// recordAt is where the directory record with a name begins.
func recordAt(t *testing.T, image []byte, name string) int {
	t.Helper()
	at := bytes.Index(image, append([]byte{byte(len(name))}, name...))
	if at < 0 {
		t.Fatalf("there is no record of %s", name)
	}
	return at - 32
}

func put32(b []byte, at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }

func TestHostileISO(t *testing.T) {
	need(t, "genisoimage")
	image := smallISO(t, map[string]string{"evil.txt": "text", "dir/inner.txt": "text", "link": "-> some/evil", "other/": ""})
	tests := []struct {
		name   string
		change func(b []byte)
		err    string
	}{
		{"a name with a slash", func(b []byte) { swap(b, "evil.txt", "ev/l.txt") }, `"ev/l.txt" has a slash`},
		{"a name with a zero byte", func(b []byte) { swap(b, "evil.txt", "evil\x00txt") }, "zero byte"},
		{"a name that is no UTF-8", func(b []byte) { swap(b, "evil.txt", "evil\xfftxt") }, "not UTF-8"},
		{"the name of the parent", func(b []byte) {
			at := bytes.Index(b, []byte("NM\x0d\x01\x00evil.txt"))
			b[at+4] = 4
		}, `a file is called "." or ".."`},
		{"a link out", func(b []byte) { swap(b, "\x00\x04some\x00\x04evil", "\x04\x00\x00\x08evilevil") }, `link: the symbolic link to "../evilevil" leads out`},
		{"an absolute link", func(b []byte) { swap(b, "\x00\x04some\x00\x04evil", "\x08\x00\x00\x08evilevil") }, `link: the symbolic link to "/evilevil" leads out`},
		{"a slash in a link", func(b []byte) { swap(b, "\x00\x04some", "\x00\x04so/e") }, "has a slash"},
		{"an extent beyond the end", func(b []byte) { put32(b, recordAt(t, b, "EVIL.TXT;1")+2, 1<<30) }, "evil.txt: 4 bytes of it are to be at"},
		{"a size beyond the end", func(b []byte) { put32(b, recordAt(t, b, "EVIL.TXT;1")+10, 0xffffffff) }, "evil.txt: 4294967295 bytes of it"},
		{"a directory within itself", func(b []byte) {
			copy(b[recordAt(t, b, "DIR")+2:][:4], b[16*2048+158:][:4])
		}, "dir: the directory is . at the same time"},
		{"a directory beyond the end", func(b []byte) { put32(b, recordAt(t, b, "DIR")+2, 1<<30) }, "dir: 2048 bytes of it"},
		{"a huge directory", func(b []byte) { put32(b, recordAt(t, b, "DIR")+10, 0xfffffff0) }, "dir: "},
		{"a device", func(b []byte) {
			at := recordAt(t, b, "EVIL.TXT;1")
			px := at + bytes.Index(b[at:], []byte("PX"))
			put32(b, px+4, 0o020644)
		}, "evil.txt: it is neither a file"},
		{"two of one name", func(b []byte) { swap(b, "NM\x0a\x01\x00other", "NM\x08\x01\x00dirXX") }, `the name "dir" is there twice`},
		{"attributes without end", func(b []byte) {
			at := recordAt(t, b, "EVIL.TXT;1")
			area := at + bytes.Index(b[at:], []byte("PX"))
			ce := append([]byte("CE\x1c\x01"), make([]byte, 24)...)
			put32(ce, 4, uint32(area/2048))
			put32(ce, 12, uint32(area%2048))
			put32(ce, 20, 28)
			copy(b[area:], ce)
		}, "go on without end"},
		{"a compressed file", func(b []byte) {
			at := recordAt(t, b, "EVIL.TXT;1")
			b[at+bytes.Index(b[at:], []byte("TF"))+0] = 'Z'
			b[at+bytes.Index(b[at:], []byte("ZF"))+0] = 'Z'
		}, "evil.txt: it is compressed"},
		{"an interleaved file", func(b []byte) { b[recordAt(t, b, "EVIL.TXT;1")+26] = 1 }, "interleaved"},
		{"a file whose end is missing", func(b []byte) { b[recordAt(t, b, "EVIL.TXT;1")+25] |= flagMore }, "the last part"},
		{"blocks of an odd size", func(b []byte) { b[16*2048+128] = 7 }, "which ISO 9660 does not know"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := bytes.Clone(image)
			tt.change(b)
			if bytes.Equal(b, image) {
				t.Fatal("nothing was changed")
			}
			_, err := Read(bytes.NewReader(b), int64(len(b)))
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
	t.Run("cut off", func(t *testing.T) {
		n := int(binary.LittleEndian.Uint32(image[16*2048+158:]))*2048 + 100
		if _, err := Read(bytes.NewReader(image[:n]), int64(n)); err == nil {
			t.Error("no error")
		}
	})
}

// swap replaces a text of the same length, everywhere.
func swap(b []byte, from, to string) {
	if len(from) != len(to) {
		panic(from)
	}
	copy(b, bytes.ReplaceAll(b, []byte(from), []byte(to)))
}

// FuzzISO and FuzzUDF: an image never makes the reader panic, hang, or show what
// is not a path within it.
func FuzzISO(f *testing.F) {
	need(f, "genisoimage")
	f.Add(smallISO(f, map[string]string{"file.txt": "text", "dir/inner.txt": "text", "link": "-> dir/inner.txt", "dir/" + longName: ""}))
	f.Fuzz(func(t *testing.T, b []byte) {
		iso, err := findISO(bytes.NewReader(b), int64(len(b)))
		if err != nil || iso == nil {
			return
		}
		for _, format := range []Format{RockRidge, Joliet, ISO9660} {
			v := iso.primary
			if format == Joliet {
				v = iso.joliet
			}
			if v == nil {
				continue
			}
			if m, err := iso.medium(format, v); err == nil {
				checkMedium(t, m, int64(len(b)))
			}
		}
	})
}

func FuzzUDF(f *testing.F) {
	f.Add(udfSeed(nil))
	f.Add(udfSeed(&udfOptions{metadata: true}))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = sealAll(b)
		u, err := findUDF(bytes.NewReader(b), int64(len(b)))
		if err != nil || u == nil {
			return
		}
		if m, err := u.medium(); err == nil {
			checkMedium(t, m, int64(len(b)))
		}
	})
}

// sealAll makes the checksums of what is a descriptor right, or the fuzzer would get
// no further than to them.
func sealAll(b []byte) []byte {
	b = bytes.Clone(b)
	for at := 0; at+16 <= len(b); at += 4 {
		if binary.LittleEndian.Uint16(b[at:]) == tagFileIdent {
			seal(b[at:], 0)
		}
	}
	for at := isoFirst * isoSector; at+seedBlock <= len(b); at += seedBlock {
		if tag := binary.LittleEndian.Uint16(b[at:]); tag > 0 && tag <= tagExtendedEntry && tag != tagFileIdent {
			seal(b[at:], seedBlock-16)
		}
	}
	return b
}

func checkMedium(t *testing.T, m *Medium, size int64) {
	t.Helper()
	err := fs.WalkDir(m.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !fs.ValidPath(name) {
			t.Errorf("the path %q", name)
		}
		info, err := d.Info()
		if err != nil || !info.Mode().IsRegular() || info.Size() > 4*size {
			return err
		}
		f, err := m.Files.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		n, err := io.Copy(io.Discard, f)
		if err == nil && n != info.Size() {
			t.Errorf("%s: %d bytes of %d", name, n, info.Size())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
