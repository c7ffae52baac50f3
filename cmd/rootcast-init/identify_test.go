package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// packed is a root of a file of some size.
func packed(t testing.TB, size int, method pack.Method, codec pack.Codec) []byte {
	t.Helper()
	o := pack.Options{Method: method, Codec: codec}
	if codec != pack.None {
		o.Level = 1
	}
	var b bytes.Buffer
	if _, err := pack.Archive(t.Context(), &b, rootfstest.Tree(t, fmt.Sprintf("dir . 0755\nfile a 0644 size=%d\nfile b 0644 x", size)), o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Whatever rootcast packs is known, and all of it can be read behind that.
func TestIdentify(t *testing.T) {
	all := map[[2]string][]byte{
		{"squashfs", ""}: []byte("hsqs" + strings.Repeat("x", 92)),
		{"erofs", ""}:    []byte(strings.Repeat("\x00", 1024) + "\xe2\xe1\xf5\xe0" + strings.Repeat("x", 124)),
	}
	for _, method := range []pack.Method{pack.CPIO, pack.Tar} {
		for _, codec := range method.Codecs() {
			size := 1 << 20
			if codec == pack.LZ4 {
				size = 9 << 20 // more than a block
			}
			all[[2]string{string(method), string(codec)}] = packed(t, size, method, codec)
		}
	}
	for what, b := range all {
		s, err := identify(iotest.HalfReader(bytes.NewReader(b)), "http://boot.example/compute/rootimg.x")
		if err != nil {
			t.Errorf("%q: %v", what, err)
			continue
		}
		if s.root.Name != "rootimg.x" || s.root.Method != what[0] || s.root.Compress != what[1] {
			t.Errorf("%q is taken for %+v", what, s.root)
		}
		if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, b) {
			t.Errorf("%q: %d of %d bytes, %v", what, len(got), len(b), err)
		}
		if err := s.check(); err != nil {
			t.Errorf("%q: %v", what, err)
		}
	}
}

func TestIdentifyRefuses(t *testing.T) {
	for name, b := range map[string]string{
		"nothing":            "",
		"a page":             "<!DOCTYPE html><html><title>404 Not Found</title></html>",
		"a kernel":           "MZ\x00\x00" + strings.Repeat("\x00", 4096),
		"zeros":              strings.Repeat("\x00", 1<<20),
		"half a magic":       "07070",
		"a cut file system":  strings.Repeat("\x00", 1024) + "\xe2\xe1",
		"a cut tar":          "./" + strings.Repeat("\x00", 255) + "usta",
		"a cut gzip":         "\x1f\x8b\x08",
		"a damaged zstd":     "\x28\xb5\x2f\xfd" + strings.Repeat("\xff", 100),
		"a damaged xz":       "\xfd7zXZ\x00" + strings.Repeat("\xff", 100),
		"a damaged lz4":      "\x04\x22\x4d\x18" + strings.Repeat("\xff", 100),
		"an old lz4, damage": "\x02\x21\x4c\x18" + strings.Repeat("\xff", 100),
	} {
		_, err := identify(strings.NewReader(b), "http://a/b")
		if err == nil || !strings.HasPrefix(err.Error(), "what was fetched is no root") || !strings.Contains(err.Error(), "imgurl=") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	// A compressed root that is cut before its content says what it is.
	for _, codec := range []pack.Codec{pack.Zstd, pack.Gzip, pack.XZ, pack.LZ4} {
		b := packed(t, 1<<20, pack.Tar, codec)
		if _, err := identify(bytes.NewReader(b[:20]), "http://a/b"); err == nil || !strings.HasPrefix(err.Error(), "what was fetched is no root") {
			t.Errorf("20 bytes of %s: error %v", codec, err)
		}
	}
}

// A stream that fails is not taken for one that holds something else.
func TestIdentifyReadError(t *testing.T) {
	broken := errors.New("connection reset")
	for _, start := range []string{"", "0707", "070701 and more"} {
		if _, err := identify(io.MultiReader(strings.NewReader(start), iotest.ErrReader(broken)), "http://a/b"); !errors.Is(err, broken) {
			t.Errorf("after %q: error %v", start, err)
		}
	}
}

// A root that is read to its end fails its check where the stream fails.
func TestIdentifyCheck(t *testing.T) {
	wrong := errors.New("it has another digest")
	b := packed(t, 10<<20, pack.CPIO, pack.None)
	s, err := identify(io.MultiReader(bytes.NewReader(b), iotest.ErrReader(wrong)), "http://a/b")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.check(); !errors.Is(err, wrong) {
		t.Errorf("error %v", err)
	}
}
