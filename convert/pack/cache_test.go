package pack_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rootcast/rootcast/convert/cache"
	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// cached has segments of many files and one of a large file.
var cached = manyLayer(600, 30<<20) + "\nfile usr/large 0644 size=34000000"

func openCache(t *testing.T, dir string) *cache.Store {
	t.Helper()
	s, err := cache.Open(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// entries lists the files of a cache.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// The bytes are the same with no cache, a cold, a warm, a half-deleted and a
// damaged one, at any number of jobs; and what is there is not packed again.
func TestCache(t *testing.T) {
	many, few := rootfstest.Tree(t, cached), rootfstest.Tree(t, manyLayer(600, 30<<20))
	for _, codec := range codecs {
		t.Run(string(codec), func(t *testing.T) {
			tree, least, dir := many, 6, t.TempDir()
			if codec == pack.XZ { // it takes its time
				tree, least = few, 3
			}
			want, plain := pax(t, tree, pack.Options{Codec: codec, Level: level(codec)})
			again := func(name string, jobs, least, most int) {
				t.Helper()
				got, info := pax(t, tree, pack.Options{Codec: codec, Level: level(codec), Jobs: jobs, Cache: openCache(t, dir)})
				if !bytes.Equal(got, want) {
					t.Errorf("%s: other bytes", name)
				}
				if info.Reused < least || info.Reused > most {
					t.Errorf("%s: %d segments of %d come from the cache, want %d to %d", name, info.Reused, len(info.Segments), least, most)
				}
			}
			n := len(plain.Segments)
			if n < least {
				t.Fatalf("%d segments show nothing", n)
			}
			again("cold", 1, 0, 0)
			again("warm", 1, n, n)
			again("warm, two jobs", 2, n, n)
			files := entries(t, dir)
			pieces := 0 // that the large file's segment has more than one of
			if codec == pack.Zstd {
				pieces = 2
			}
			if len(files) != n+pieces {
				t.Fatalf("%d entries for %d segments", len(files), n)
			}
			for i, name := range files {
				if i%2 == 0 {
					if err := os.Remove(name); err != nil {
						t.Fatal(err)
					}
				}
			}
			again("half deleted", 2, n/2-pieces, n/2+pieces)
			again("healed", 2, n, n)
			for _, name := range files {
				b, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				b[len(b)/2] ^= 1
				if err := os.WriteFile(name, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			again("damaged", 2, 0, 0)
			again("healed again", 1, n, n)
		})
	}
}

// A change packs its own segments again, and no option that changes bytes
// finds the bytes of another.
func TestCacheKeys(t *testing.T) {
	base := rootfstest.Indexes(t, cached)
	dir := t.TempDir()
	reused := func(layer string, o pack.Options) (reused, all int) {
		t.Helper()
		tree, err := rootfs.Merge(t.Context(), append(base, rootfstest.Indexes(t, layer)...)...)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := pax(t, tree, o)
		o.Cache = openCache(t, dir)
		got, info := pax(t, tree, o)
		if !bytes.Equal(got, want) {
			t.Errorf("%q, %+v: other bytes with the cache", layer, o)
		}
		return info.Reused, len(info.Segments)
	}
	reused("", pack.Options{})
	for layer, most := range map[string]int{
		"":                                       0,
		"file usr/lib/d3/file-0297 0644 size=99": 2,
		"file usr/lib/d3/file-0297 0600 297:297 size=99": 2,
		"file usr/large 0644 size=34000001":              2,
		"wh usr/lib/d3/file-0297":                        2,
		"dir usr 0700":                                   1,
	} {
		if got, all := reused(layer, pack.Options{}); all-got > most || layer != "" && got == all {
			t.Errorf("%q: %d segments of %d are packed again, want at most %d", layer, all-got, all, most)
		}
	}
	for name, o := range map[string]pack.Options{
		"another codec": {Codec: pack.Zstd},
		"another level": {Codec: pack.Zstd, Level: 1},
		"a third codec": {Codec: pack.Gzip, Level: 1},
	} {
		if got, _ := reused("", o); got != 0 {
			t.Errorf("%s: %d segments come from the cache", name, got)
		}
	}
}

// The same content in another layer is not known to be the same.
func TestCacheContent(t *testing.T) {
	dir := t.TempDir()
	pack1 := func(text string) string {
		b, _ := pax(t, rootfstest.Tree(t, "file a 0644 mtime=1 "+text), pack.Options{Cache: openCache(t, dir)})
		return string(b)
	}
	if a, b := pack1("one"), pack1("two"); !strings.Contains(a, "one") || !strings.Contains(b, "two") {
		t.Error("the content of another file of the same name and size")
	}
	// What has no identity is packed, and kept nowhere.
	before := len(entries(t, dir))
	tree := rootfstest.Tree(t, "dir d 0755")
	for _, text := range []string{"one", "two"} {
		if err := tree.Put("d/f", rootfs.NewFile(0o644, strings.NewReader(text), 0, 3)); err != nil {
			t.Fatal(err)
		}
		b, _ := pax(t, tree, pack.Options{Cache: openCache(t, dir)})
		if !bytes.Contains(b, []byte(text)) {
			t.Errorf("no %q in the archive", text)
		}
	}
	if after := len(entries(t, dir)); after != before {
		t.Errorf("%d entries, before there were %d", after, before)
	}
}

// A codec that takes minutes is left to itself.
func TestCancelOfSlowCodec(t *testing.T) {
	for name, size := range map[string]int64{"one large file": 200 << 20, "a segment as a whole": 30 << 20} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			content := &body{random: true, onRead: func(total int64) {
				if total >= 30<<20 {
					cancel()
				}
			}}
			began := time.Now()
			_, err := pack.Archive(ctx, io.Discard, with(t, "big", content, size), pack.Options{Codec: pack.Zstd, Level: 19, Jobs: 2})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			if took := time.Since(began); took > 20*time.Second { // to its end it takes much longer
				t.Errorf("it ended after %s", took)
			}
		})
	}
}
