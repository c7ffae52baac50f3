package tarsplit_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/vbatts/tar-split/tar/asm"
	"github.com/vbatts/tar-split/tar/storage"

	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
	"github.com/rootcast/rootcast/convert/tarsplit"
)

const layer = `
	dir  a 0755
	file a/small 0644 "small"
	file a/empty 0644
	file a/big 0644 size=10000
	file "a/two words\nand a line" 0644 "x"
	file "a/<&>\u2028" 0644 "x"
	file "a/\xff" 0644 "no UTF-8"
	link a/again a/small`

// split makes the record of a layer's tar as containers/storage does.
func split(t testing.TB, text string) []byte {
	t.Helper()
	var record bytes.Buffer
	in, err := asm.NewInputTarStream(rootfstest.Tar(t, text), storage.NewJSONPacker(&record), storage.NewDiscardFilePutter())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		t.Fatal(err)
	}
	return record.Bytes()
}

func TestReadErrors(t *testing.T) {
	t.Parallel()
	const file = `{"type":1,"name":"a","size":1,"payload":null,"position":0}`
	for _, tc := range []struct{ name, record, want string }{
		{"no JSON", "{", "unexpected end of JSON"},
		{"no base64", `{"type":2,"payload":"!","position":0}`, "illegal base64"},
		{"another type", `{"type":3,"position":0}`, "unknown type 3"},
		{"a negative size", `{"type":1,"name":"a","size":-1,"payload":null,"position":0}`, `"a" has -1 bytes`},
		{"more than can be", `{"type":2,"payload":"AAAA","position":0}` + "\n" + `{"type":1,"name":"a","size":9223372036854775807,"payload":null,"position":0}`, `"a" has 9223372036854775807 bytes`},
		{"no name", `{"type":1,"size":1,"payload":null,"position":0}`, "a file without a name"},
		{"a file twice", file + "\n" + strings.Replace(file, `"a"`, `"./a"`, 1), `"./a" stands in it twice`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := tarsplit.Read(strings.NewReader(tc.record))
			if err == nil || !strings.HasPrefix(err.Error(), "reading the record of its tar: ") || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
	broken := errors.New("broken")
	if _, err := tarsplit.Read(io.MultiReader(strings.NewReader(file+"\n"), failing(broken))); !errors.Is(err, broken) {
		t.Errorf("a reader's error comes as %v", err)
	}
}

// failing is a reader that fails.
func failing(err error) io.Reader {
	r, w := io.Pipe()
	_ = w.CloseWithError(err)
	return r
}

// Lines and layers larger than any buffer of the reader come whole.
func TestReadLong(t *testing.T) {
	t.Parallel()
	name := strings.Repeat("n/", 50_000) + "n"
	segment := strings.Repeat("QUJD", 1<<19) // 1.5 MiB, more than a chunk
	lines := strings.Repeat(`{"type":2,"payload":"`+segment+`","position":0}`+"\n", 3) +
		`{"type":1,"name":"` + name + `","size":5,"payload":"AAAAAAAAAAA=","position":1}` + "\n" +
		`{"type":2,"payload":"QUJD","position":2}`
	got, err := tarsplit.Read(strings.NewReader(lines))
	if err != nil {
		t.Fatal(err)
	}
	var raw int
	for _, p := range got.Pieces {
		if p.Name == "" && (int64(len(p.Raw)) != p.Size || !strings.HasPrefix(string(p.Raw), "ABC")) {
			t.Errorf("a piece of %d bytes holds %d", p.Size, len(p.Raw))
		}
		raw += len(p.Raw)
	}
	if last := got.Pieces[len(got.Pieces)-2]; last.Name != name || last.Off != 3*3<<19 || raw != 3*3<<19+3 || got.Size != 3*3<<19+3+5 {
		t.Errorf("%d bytes of headers, the file at %d, %d in all", raw, last.Off, got.Size)
	}
}

// FuzzRead holds the reader to tar-split's own: what it takes, that one
// takes too, with the same pieces.
func FuzzRead(f *testing.F) {
	whole := split(f, layer)
	f.Add(whole)
	f.Add(bytes.ReplaceAll(whole, []byte(`"position":`), []byte(`"position": `)))
	f.Add([]byte(`{"type":1,"name":"a","payload":null,"position":0}` + "\n\n" + `{"type":2,"payload":"","position":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := tarsplit.Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		var tar, want []byte
		for _, p := range got.Pieces {
			if p.Name == "" {
				tar = append(tar, p.Raw...)
			} else {
				tar = fmt.Appendf(tar, "%q %d\n", p.Name, p.Size)
			}
		}
		entries := storage.NewJSONUnpacker(bytes.NewReader(data))
		for {
			e, err := entries.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("tar-split refuses it: %v", err)
			}
			if e.Type == storage.SegmentType {
				want = append(want, e.Payload...)
			} else if e.Size > 0 {
				want = fmt.Appendf(want, "%q %d\n", e.GetName(), e.Size)
			}
		}
		if !bytes.Equal(tar, want) {
			t.Errorf("read\n%q, want\n%q", tar, want)
		}
	})
}
