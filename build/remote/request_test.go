package remote

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
)

// entry is a file of a tar stream; a directory's name ends in a slash.
type entry struct {
	name, content string
	edit          func(*tar.Header)
}

func typed(flag byte, link string) func(*tar.Header) {
	return func(h *tar.Header) { h.Typeflag, h.Linkname, h.Size = flag, link, 0 }
}

var someTime = time.Unix(1600000000, 123456789)

func archive(t testing.TB, entries ...entry) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: tar.TypeReg, Mode: 0o640, Size: int64(len(e.content)), ModTime: someTime, Format: tar.FormatPAX}
		if strings.HasSuffix(e.name, "/") {
			h.Typeflag, h.Mode = tar.TypeDir, 0o750
		}
		if e.edit != nil {
			e.edit(h)
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(w, e.content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

// raw is a request whose tar stream is as entries say.
func raw(t testing.TB, req Request, entries ...entry) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	if err := writeLine(&b, requestLine{version, req}); err != nil {
		t.Fatal(err)
	}
	b.Write(archive(t, entries...).Bytes())
	return &b
}

func TestSendAndReceive(t *testing.T) {
	no := false
	want := Request{
		Platform: "linux/arm64", Repository: "registry.example/x", Context: "/home/me/ctx",
		Files:   []File{{Source: "/home/me/ctx/Containerfile", Name: RecipeFile(0, "Containerfile")}, {Source: "https://example/Containerfile"}},
		Secrets: []string{"key"}, Args: map[string]string{"A": "line\nand <more>"}, Timestamp: &someTime, TLSVerify: &no, Retry: -1,
	}
	var stream bytes.Buffer
	s, err := NewSender(&stream, want)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{SecretFile(0): "hush", RecipeFile(0, "Containerfile"): "FROM scratch\n"} {
		if err := s.File(name, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	files := archive(
		t, entry{name: "d/"}, entry{name: "d/f", content: "text"}, entry{name: "d/hard", edit: typed(tar.TypeLink, "d/f")},
		entry{name: "d/soft", edit: typed(tar.TypeSymlink, "/etc/passwd")}, entry{name: "run", content: "x", edit: func(h *tar.Header) { h.Mode = 0o4755 }},
		entry{name: "d/sealed/", edit: func(h *tar.Header) { h.Mode = 0o555 }}, entry{name: "d/sealed/f", content: "y"},
	)
	if err := s.Context(tar.NewReader(files)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	got, err := Receive(&stream, dir, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	wantTree := map[string]string{
		"context": "drwx------", "recipe": "drwx------", "secrets": "drwx------", "recipe/0": "drwxr-xr-x",
		"context/d": "drwxr-x--- at", "context/d/f": "-rw-r----- at text", "context/d/hard": "-rw-r----- at text",
		"context/d/soft": "Lrwxrwxrwx at /etc/passwd", "context/run": "urwxr-xr-x at x",
		"context/d/sealed": "dr-xr-xr-x at", "context/d/sealed/f": "-rw-r----- at y",
		"secrets/0": "-rw------- hush", "recipe/0/Containerfile": "-rw------- FROM scratch\n",
	}
	if diff := cmp.Diff(wantTree, tree(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if err := os.Chmod(filepath.Join(dir, "context/d/sealed"), 0o755); err != nil { // so that it can be removed
		t.Fatal(err)
	}
}

// tree tells mode, time if it is someTime, and content of what lies below dir.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	list := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		text := fi.Mode().String()
		if fi.ModTime().Equal(someTime) {
			text += " at"
		}
		if fi.Mode().IsRegular() {
			content, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			text += " " + string(content)
		} else if fi.Mode()&os.ModeSymlink != 0 {
			target, err := os.Readlink(name)
			if err != nil {
				return err
			}
			text += " " + target
		}
		rel, err := filepath.Rel(dir, name)
		list[rel] = text
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestContextRefuses(t *testing.T) {
	for name, flag := range map[string]byte{"a named pipe": tar.TypeFifo, "a device": tar.TypeChar} {
		var b bytes.Buffer
		s, err := NewSender(&b, Request{})
		if err != nil {
			t.Fatal(err)
		}
		err = s.Context(tar.NewReader(archive(t, entry{name: "d/x", edit: typed(flag, "")})))
		if want := "d/x is " + name + ", which does not go to a node; name it in .containerignore"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestReceiveRefuses(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		stream io.Reader
		want   string
	}{
		{"nothing", strings.NewReader(""), "standard input holds no build request"},
		{"text", strings.NewReader("ls -l\n"), "standard input holds no build request"},
		{"half a line", strings.NewReader(`{"rootcastBuild"`), "the connection broke off"},
		{"rubbish", strings.NewReader("{rubbish}\n"), "it is not what a rootcast says"},
		{"another program's JSON", strings.NewReader("{}\n"), "versions 1 and 0 of their protocol); put the same one on both"},
		{"newer", strings.NewReader(`{"rootcastBuild":2,"platform":7}` + "\n"), "versions 1 and 2 of their protocol); put the same one on both"},
		{"unknown wish", strings.NewReader(`{"rootcastBuild":1,"coffee":true}` + "\n"), `unknown field "coffee"`},
		{"endless line", io.MultiReader(strings.NewReader("{"), endless{}), "the request's first line is longer than 1048576 bytes"},
		{"no files", strings.NewReader(`{"rootcastBuild":1}` + "\n"), ""},
		{"half a tar", io.LimitReader(raw(t, Request{}, entry{name: "context/f", content: strings.Repeat("x", 4096)}), 2000), "the connection broke off"},
		{"absolute", raw(t, Request{}, entry{name: "/etc/x"}), "/etc/x: it lies outside"},
		{"dots", raw(t, Request{}, entry{name: "context/../../x"}), "context/../../x: it lies outside"},
		{"another directory", raw(t, Request{}, entry{name: "other/x"}), "other/x: it lies outside"},
		{"directory itself", raw(t, Request{}, entry{name: "context", edit: typed(tar.TypeSymlink, "/")}), "context: it lies outside"},
		{"through a link", raw(t, Request{}, entry{name: "context/l", edit: typed(tar.TypeSymlink, filepath.Dir(outside))}, entry{name: "context/l/x", content: "x"}), "context/l/x: "},
		{"over a link", raw(t, Request{}, entry{name: "context/l", edit: typed(tar.TypeSymlink, outside)}, entry{name: "context/l", content: "x"}), "context/l: "},
		{"hard link out", raw(t, Request{}, entry{name: "context/h", edit: typed(tar.TypeLink, "../../../../../"+outside)}), "context/h: "},
		{"hard link through a link", raw(t, Request{}, entry{name: "context/l", edit: typed(tar.TypeSymlink, filepath.Dir(outside))}, entry{name: "context/h", edit: typed(tar.TypeLink, "context/l/outside")}), "context/h: "},
		{"device", raw(t, Request{}, entry{name: "context/d", edit: typed(tar.TypeBlock, "")}), "context/d: it is a device"},
		{"pipe", raw(t, Request{}, entry{name: "context/p", edit: typed(tar.TypeFifo, "")}), "context/p: it is a named pipe"},
		{"secret that is a link", raw(t, Request{}, entry{name: "secrets/0", edit: typed(tar.TypeSymlink, outside)}), "secrets/0: it is no file"},
		{"large secret", raw(t, Request{}, entry{name: "secrets/0", content: strings.Repeat("x", maxSecret+1)}), "secrets/0: it is no file of at most 4194304 bytes"},
		{"secret that does not come", raw(t, Request{Secrets: []string{"a"}}), `it names a file "secrets/0" and does not bring it`},
		{"recipe that does not come", raw(t, Request{Files: []File{{Name: "../x"}}}), `it names a file "../x" and does not bring it`},
		{"many files", raw(t, Request{}, entry{name: "context/1"}, entry{name: "context/2"}, entry{name: "context/3"}), ""},
		{"too many files", raw(t, Request{}, entry{name: "context/1"}, entry{name: "context/2"}, entry{name: "context/3"}, entry{name: "context/4"}), "more than 3 files"},
		{"too many bytes", raw(t, Request{}, entry{name: "context/1", content: strings.Repeat("x", 5<<20+1)}), "or 5242880 bytes; name in .containerignore"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Receive(tc.stream, t.TempDir(), Limits{Entries: 3, Bytes: 5 << 20})
			if (err == nil) != (tc.want == "") && tc.name != "no files" || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if fi, err := os.Stat(outside); err != nil || fi.Size() > 0 {
				t.Errorf("the file outside: %v, %v", fi, err)
			}
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, strings.Repeat("x", len(p))), nil }

func TestAnswer(t *testing.T) {
	d := digest.FromString("image")
	line := func(d digest.Digest, err error) string {
		var b strings.Builder
		if err := WriteAnswer(&b, d, err); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for _, tc := range []struct {
		name, printed string
		want          Answer
		ok            bool
		err           string
	}{
		{"digest", line(d, nil), Answer{Digest: d}, true, ""},
		{"error", line(d, errors.New("two\nlines")), Answer{Error: "two\nlines"}, true, ""},
		{"after a greeting", "Welcome to n01\r\n{}\n" + line(d, nil) + "\r\n", Answer{Digest: d}, true, ""},
		{"nothing", "", Answer{}, false, ""},
		{"a greeting alone", "Welcome to n01\n", Answer{}, false, ""},
		{"another version", `{"rootcastBuild":9,"digest":true}` + "\n", Answer{}, true, "versions 1 and 9"},
		{"half of it", `{"rootcastBuild":1,"dig`, Answer{}, true, "it is not what a rootcast says"},
		{"no digest", `{"rootcastBuild":1,"digest":"sha256:1"}`, Answer{}, true, `digest "sha256:1"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ok, err := readAnswer([]byte(tc.printed))
			if ok != tc.ok || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Fatalf("got %v %v, want %v %q", ok, err, tc.ok, tc.err)
			}
			if diff := cmp.Diff(tc.want, got); err == nil && diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzReceive unpacks whatever comes into a directory, beside which nothing may
// appear or change.
func FuzzReceive(f *testing.F) {
	for _, entries := range [][]entry{
		{{name: "context/d/"}, {name: "context/d/f", content: "x"}, {name: "context/h", edit: typed(tar.TypeLink, "context/d/f")}},
		{{name: "context/l", edit: typed(tar.TypeSymlink, "../../beside")}, {name: "context/l/x", content: "x"}},
		{{name: "context/l", edit: typed(tar.TypeSymlink, "../../beside/f")}, {name: "context/h", edit: typed(tar.TypeLink, "context/l")}},
		{{name: "secrets/0", content: "s"}, {name: "recipe/0/Containerfile", content: "FROM scratch\n"}},
	} {
		f.Add(raw(f, Request{Platform: "linux/arm64", Secrets: []string{"a"}}, entries...).Bytes())
	}
	f.Add([]byte(fmt.Sprintf(`{"rootcastBuild":%d}`+"\n", version)))
	f.Fuzz(func(t *testing.T, stream []byte) {
		top := t.TempDir()
		dir, beside := filepath.Join(top, "dir"), filepath.Join(top, "beside")
		for _, d := range []string{dir, beside} {
			if err := os.Mkdir(d, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(beside, "f"), []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		before := tree(t, beside)
		req, err := Receive(bytes.NewReader(stream), dir, Limits{Entries: 100, Bytes: 1 << 20})
		if diff := cmp.Diff(before, tree(t, beside)); diff != "" {
			t.Errorf("changed outside (-before +after):\n%s", diff)
		}
		if names, err := os.ReadDir(top); err != nil || len(names) != 2 {
			t.Errorf("outside are %v, %v", names, err)
		}
		if err != nil {
			return
		}
		if _, err := json.Marshal(req); err != nil {
			t.Errorf("a request that cannot be written: %v", err)
		}
	})
}
