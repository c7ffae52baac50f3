package pack_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// A cancelled pack takes the tool with it at once, and a file that cannot be
// read is named whatever the tool thinks of its input's end.
func TestImageEnds(t *testing.T) {
	for _, m := range []pack.Method{pack.SquashFS, pack.EROFS} {
		t.Run(string(m), func(t *testing.T) {
			if m == pack.EROFS {
				rootfstest.NeedEROFS(t)
			}
			rootfstest.Need(t, "tar2sqfs")
			dir := t.TempDir()
			file := filepath.Join(dir, "root")
			before := runtime.NumGoroutine()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			content := &body{onRead: func(total int64) {
				if total > 32<<20 {
					cancel()
				}
			}}
			o := pack.Options{Method: m, Codec: pack.Zstd, Jobs: 2}
			began := time.Now()
			_, err := pack.Image(ctx, file, with(t, "big", content, 1<<40), o)
			if !errors.Is(err, context.Canceled) || time.Since(began) > 20*time.Second {
				t.Errorf("error %v after %v", err, time.Since(began))
			}
			_, err = pack.Image(t.Context(), file, with(t, "d/bad one", &body{fail: 1 << 20, failure: syscall.EIO}, 3_000_000), o)
			if err == nil || err.Error() != `packing "/d/bad one": input/output error` {
				t.Errorf("error %v", err)
			}
			noMoreGoroutines(t, before)
			if left, err := os.ReadDir(dir); err != nil || len(left) > 1 {
				t.Errorf("%v is left, %v", left, err)
			}
		})
	}
}

// Nothing of the user's environment changes the result, not even the settings of xz.
func TestImageAndEnvironment(t *testing.T) {
	tree := rootfstest.Tree(t, odd)
	for _, o := range []pack.Options{{Method: pack.SquashFS, Codec: pack.Zstd}, {Method: pack.EROFS, Codec: pack.LZ4}, {Codec: pack.XZ}} {
		if o.Method == pack.EROFS {
			rootfstest.NeedEROFS(t)
		}
		pack1 := func() string {
			if o.Method.IsArchive() {
				b, _ := pax(t, tree, o)
				return string(b)
			}
			file := filepath.Join(t.TempDir(), "root")
			if _, err := pack.Image(t.Context(), file, tree, o); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		plain := pack1()
		t.Setenv("SOURCE_DATE_EPOCH", "99")
		t.Setenv("XZ_OPT", "--check=sha256 -0")
		t.Setenv("TZ", "Asia/Tokyo")
		if pack1() != plain {
			t.Errorf("%s %s differs by the environment", o.Method, o.Codec)
		}
	}
}

func TestMethodCodecs(t *testing.T) {
	for _, tt := range []struct {
		method pack.Method
		codec  pack.Codec
		level  int
		want   string
	}{
		{pack.SquashFS, pack.Zstd, 22, ""},
		{pack.SquashFS, pack.Zstd, 23, "compression level 23: zstd has 1 to 22"},
		{pack.SquashFS, pack.None, 0, `squashfs cannot be compressed by "none": one of zstd, gzip, xz, lz4`},
		{pack.EROFS, pack.LZ4, 12, ""},
		{pack.EROFS, pack.LZ4, 13, "compression level 13: lz4 has 1 to 12"},
		{pack.EROFS, pack.None, 0, ""},
		{pack.Tar, pack.Zstd, 20, "compression level 20: zstd has 1 to 19"},
		{pack.CPIO, "bzip2", 0, `cpio cannot be compressed by "bzip2": one of zstd, gzip, xz, lz4, none`},
	} {
		got := ""
		if err := tt.method.CheckCodec(tt.codec, tt.level); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s by %s %d: %q, want %q", tt.method, tt.codec, tt.level, got, tt.want)
		}
	}
	for _, name := range []string{"cpio", "tar", "squashfs", "erofs"} {
		if m, err := pack.ParseMethod(name); err != nil || string(m) != name {
			t.Errorf("ParseMethod(%q) = %q, %v", name, m, err)
		}
	}
	if _, err := pack.ParseMethod(""); err == nil || !strings.Contains(err.Error(), "one of cpio, tar, squashfs, erofs") {
		t.Errorf("error %v", err)
	}
}
