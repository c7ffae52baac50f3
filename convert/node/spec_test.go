package node

import (
	"bytes"
	"errors"
	"math"
	"path"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func whole() *Spec {
	return &Spec{
		Version: Version, Tool: "1.2.3", Image: "compute <a&b> (0123456789ab)", Boot: "netroot", Init: "/usr/lib/systemd/systemd",
		Kernel: "6.1.0-37-amd64", Platform: "linux/arm64/v8", Peak: math.MaxInt64,
		Root: Root{
			Name: "rootimg.cpio.zst", Method: "cpio", Compress: "zstd", Size: 300, Unpacked: 5 << 40, SHA256: strings.Repeat("0f", 32),
			Segments: []Segment{{Offset: 0, Size: 100, Unpacked: 1 << 40}, {Offset: 100, Size: 200, Unpacked: 4 << 40}},
		},
	}
}

func encode(t testing.TB, s *Spec) []byte {
	t.Helper()
	b, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEncode(t *testing.T) {
	for name, s := range map[string]*Spec{"whole": whole(), "least": {Version: Version}, "mounted": {Version: Version, Boot: Ramdisk, Root: Root{Method: "squashfs", Size: 9}}} {
		b := encode(t, s)
		got, err := Decode(iotest.OneByteReader(bytes.NewReader(b)))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(s, got); d != "" {
			t.Errorf("%s (-encoded +decoded):\n%s", name, d)
		}
		if !bytes.HasSuffix(b, []byte("}\n")) || !bytes.Equal(b, encode(t, got)) {
			t.Errorf("%s: %s", name, b)
		}
	}
	if b := encode(t, whole()); !bytes.Contains(b, []byte(`"image": "compute <a&b> (0123456789ab)"`)) {
		t.Errorf("a person cannot read %s", b)
	}
	if b := encode(t, &Spec{}); bytes.Contains(b, []byte("segments")) || bytes.Contains(b, []byte("unpacked")) {
		t.Errorf("what is not known is there: %s", b)
	}
}

// A file that was cut off anywhere is no file.
func TestDecodeCut(t *testing.T) {
	b := encode(t, whole())
	for n := range len(b) - len("}\n") + 1 {
		if s, err := Decode(bytes.NewReader(b[:n])); err == nil || !strings.HasPrefix(err.Error(), "decoding etc/rootcast/node.json: ") {
			t.Fatalf("%d of %d bytes: %+v, error %v", n, len(b), s, err)
		}
	}
	broken := errors.New("input/output error")
	if _, err := Decode(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

func TestDecode(t *testing.T) {
	for name, tt := range map[string]struct{ text, err string }{
		"more than is known": {`{"version": 1, "later": {"x": [1]}, "root": {"also": null}}`, ""},
		"no version":         {`{"boot": "ramdisk"}`, "etc/rootcast/node.json has version 0, and this program reads version 1"},
		"a later one":        {`{"version": 2}`, "etc/rootcast/node.json has version 2, and this program reads version 1"},
		"null":               {`null`, "etc/rootcast/node.json has version 0, and this program reads version 1"},
		"a list":             {`[]`, "decoding etc/rootcast/node.json: json: cannot unmarshal array"},
		"another type":       {`{"version": 1, "peak": "1 GiB"}`, "decoding etc/rootcast/node.json: json: cannot unmarshal string"},
		"a fraction":         {`{"version": 1, "root": {"size": 1.5}}`, "decoding etc/rootcast/node.json: json: cannot unmarshal number 1.5"},
		"beyond all numbers": {`{"version": 1, "peak": 9223372036854775808}`, "decoding etc/rootcast/node.json: json: cannot unmarshal number 9223372036854775808"},
		"no JSON":            {"\x1f\x8b\x08", "decoding etc/rootcast/node.json: invalid character"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Decode(strings.NewReader(tt.text))
			switch {
			case tt.err == "" && (err != nil || s.Version != Version):
				t.Errorf("%+v, error %v", s, err)
			case tt.err != "" && (err == nil || s != nil || !strings.HasPrefix(err.Error(), tt.err)):
				t.Errorf("error\n%v, want\n%s", err, tt.err)
			}
		})
	}
}

func TestIsArchive(t *testing.T) {
	for method, want := range map[string]bool{"cpio": true, "tar": true, "squashfs": false, "erofs": false, "": false} {
		if got := (Root{Method: method}).IsArchive(); got != want {
			t.Errorf("%q: %t", method, got)
		}
	}
}

func TestRootDirs(t *testing.T) {
	above := "."
	for _, dir := range RootDirs() {
		if path.Dir(dir) != above {
			t.Errorf("%s comes behind %s", dir, above)
		}
		above = dir
	}
	if above != RootDir {
		t.Errorf("they end with %s", above)
	}
}

// FuzzDecode: what is read can be written, and is the same then.
func FuzzDecode(f *testing.F) {
	b, err := whole().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"version": 1, "root": {"segments": [{}, {"offset": -1}]}}`))
	f.Add([]byte(`{"version": 1, "VERSION": 1, "tool": "\ud800"} {`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Decode(bytes.NewReader(b))
		if err != nil {
			return
		}
		again, err := Decode(bytes.NewReader(encode(t, s)))
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Root.Segments) == 0 {
			s.Root.Segments = nil // an empty list is left out
		}
		if d := cmp.Diff(s, again); d != "" {
			t.Errorf("(-read +read again):\n%s", d)
		}
	})
}
