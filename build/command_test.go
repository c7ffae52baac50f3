package build

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rootcast/rootcast/build/buildtest"
)

// boxTar is a tar of files by their content, or of symlinks by "-> TARGET".
func boxTar(t *testing.T, files map[string]string) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, text := range files {
		h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(text))}
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			h.Typeflag, h.Linkname, h.Size, text = tar.TypeSymlink, target, 0, ""
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

// boxImage is an image that has a shell.
func boxImage(t *testing.T, s *Store) string {
	t.Helper()
	box := filepath.Join(t.TempDir(), "box")
	if err := buildtest.Box(box); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(box)
	if err != nil {
		t.Fatal(err)
	}
	layer := boxTar(t, map[string]string{"bin/sh": string(text)})
	made, err := s.AddImage(t.Context(), ImageSpec{Layer: layer, Tags: []string{"box"}, Env: []string{"PATH=/bin", "OWN=image"}})
	if err != nil {
		t.Fatal(err)
	}
	return made.ID
}

func TestRun(t *testing.T) {
	s := newStore(t)
	image := boxImage(t, s)
	for _, tc := range []struct {
		name, script string
		result       string
		want, err    string // err is a pattern
	}{
		{"result", "cat /given > /made", "/made", "a file", ""},
		{"image's own file", "true", "/given", "a file", ""},
		{"environment", "echo $OWN $MORE > /made", "/made", "image more\n", ""},
		{"as root", "id > /made", "/made", "0 0\n", ""},
		{"exit code", "complain out of luck; exit 7", "/made", "", `^running sh of the image: failed with exit code 7: out of luck$`},
		{"nothing", "true", "/made", "", `^running sh of the image: it wrote no /made$`},
		{"directory", "mkdir /made", "/made", "", `^running sh of the image: what it left at /made is no file$`},
		{"link", "true", "/link", "", `^running sh of the image: what it left at /link is no file$`},
		{"link above", "true", "/out/passwd", "", `^running sh of the image: .*path escapes`},
		{"link far above", "true", "/bin/up/passwd", "", `^running sh of the image: .*path escapes`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			temp := t.TempDir()
			files := boxTar(t, map[string]string{"given": "a file", "link": "-> /etc/passwd", "out": "-> /etc", "bin/up": "-> ../../../../../../../../../../etc"})
			var out strings.Builder
			err := s.Run(t.Context(), Command{
				Image: image, Name: "the image", Args: []string{"sh", "-c", tc.script}, Env: []string{"MORE=more"},
				Files: files, Result: tc.result, TempDir: temp,
			}, &out)
			switch {
			case tc.err == "" && err != nil:
				t.Error(err)
			case tc.err != "" && (err == nil || !regexp.MustCompile(tc.err).MatchString(err.Error())):
				t.Errorf("got %v, want %s", err, tc.err)
			case out.String() != tc.want:
				t.Errorf("got %q, want %q", out.String(), tc.want)
			}
			leavesNothing(t, s, temp)
		})
	}
}

func TestRunStops(t *testing.T) {
	s := newStore(t)
	image, temp := boxImage(t, s), t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	said := make(chan struct{})
	go func() {
		<-said
		cancel()
	}()
	began := time.Now()
	err := s.Run(ctx, Command{Image: image, Args: []string{"sh", "-c", "daemon 3461s; echo asleep; sleep 3461s"}, TempDir: temp, Output: &onWord{word: "asleep", said: said}}, &bytes.Buffer{})
	if err == nil || ctx.Err() == nil || time.Since(began) > time.Minute {
		t.Errorf("got %v after %s", err, time.Since(began))
	}
	leavesNothing(t, s, temp)
}

func TestRunRefuses(t *testing.T) {
	s := newStore(t)
	err := s.Run(t.Context(), Command{Image: "nosuch", Name: "x:1", Args: []string{"sh"}, TempDir: t.TempDir()}, &bytes.Buffer{})
	if err == nil || !strings.HasPrefix(err.Error(), "running sh of x:1: ") {
		t.Errorf("got %v", err)
	}
}

// onWord closes said when the word is written.
type onWord struct {
	word string
	said chan struct{}
	text strings.Builder
	done bool
}

func (o *onWord) Write(p []byte) (int, error) {
	o.text.Write(p)
	if !o.done && strings.Contains(o.text.String(), o.word) {
		o.done = true
		close(o.said)
	}
	return len(p), nil
}

// leavesNothing: no container in the store, no image but the first, no file.
func leavesNothing(t *testing.T, s *Store, temp string) {
	t.Helper()
	containers, err := s.store.Containers()
	if err != nil || len(containers) > 0 {
		t.Errorf("containers %v, %v", containers, err)
	}
	images, err := s.store.Images()
	if err != nil || len(images) != 1 {
		t.Errorf("images %v, %v", images, err)
	}
	left, err := filepath.Glob(filepath.Join(temp, "rootcast-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}
