package build

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/transports/alltransports"
)

func TestMain(m *testing.M) {
	if InitReexec() {
		return
	}
	os.Exit(m.Run())
}

// newStore opens a store of its own, which must be left with nothing mounted.
func newStore(t *testing.T) *Store {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("in CI this test must run as root")
		}
		t.Skip("needs root; cmd/rootcast tests a store in a user namespace")
	}
	dir := t.TempDir()
	driver := os.Getenv("ROOTCAST_TEST_DRIVER")
	if driver == "" {
		driver = "overlay"
	}
	s, err := OpenStore(StoreOptions{Root: filepath.Join(dir, "root"), RunRoot: filepath.Join(dir, "run"), Driver: driver})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		mounts, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(mounts), dir) {
			t.Errorf("left mounted below %s", dir)
		}
	})
	return s
}

func layer(t *testing.T, names ...string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range names {
		h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(name)), ModTime: time.Unix(1, 0)}
		if strings.HasSuffix(name, "/") {
			h.Typeflag, h.Mode, h.Size = tar.TypeDir, 0o755, 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(w, name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func spec(t *testing.T, tags ...string) ImageSpec {
	t.Helper()
	return ImageSpec{
		Layer:    layer(t, "etc/", "etc/hosts"),
		Platform: v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"},
		Created:  time.Unix(1700000000, 0),
		Author:   "nobody",
		History:  "made of nothing",
		Env:      []string{"PATH=/bin"},
		Labels:   map[string]string{"b": "2", "a": "1"},
		Tags:     tags,
	}
}

func TestAddImage(t *testing.T) {
	s := newStore(t)
	first, err := s.AddImage(t.Context(), spec(t, "base", "registry.example/base:2"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"localhost/base:latest", "registry.example/base:2"}
	if diff := cmp.Diff(want, first.Names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	other := newStore(t)
	second, err := other.AddImage(t.Context(), spec(t, "another"))
	if err != nil {
		t.Fatal(err)
	}
	if first.Digest != second.Digest || first.ID != second.ID {
		t.Errorf("the same image in two stores: %s %s and %s %s", first.ID, first.Digest, second.ID, second.Digest)
	}
	changed := spec(t, "base")
	changed.Labels["a"] = "other"
	third, err := s.AddImage(t.Context(), changed)
	if err != nil {
		t.Fatal(err)
	}
	if third.Digest == first.Digest {
		t.Error("another configuration makes the same digest")
	}
	images, err := s.Images(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, img := range images {
		names = append(names, img.Names...)
		if diff := cmp.Diff([]string{"linux/arm/v7"}, img.Platforms); diff != "" {
			t.Errorf("platforms (-want +got):\n%s", diff)
		}
	}
	if len(images) != 2 || len(names) != 2 {
		t.Errorf("the store holds %d images with names %q; want two of each, the tag moved", len(images), names)
	}
}

func TestAddImageStops(t *testing.T) {
	s := newStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.AddImage(ctx, spec(t, "gone")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
	bad := spec(t, "gone")
	bad.Layer = strings.NewReader("this is no tar archive, however long one looks at it")
	if _, err := s.AddImage(t.Context(), bad); err == nil {
		t.Error("a layer of rubbish was taken")
	}
	if images, err := s.Images(t.Context(), true); err != nil || len(images) > 0 {
		t.Errorf("left behind: %v %v", images, err)
	}
}

func TestResolve(t *testing.T) {
	s := newStore(t)
	added, err := s.AddImage(t.Context(), spec(t, "base:1", "registry.example/x/base:2"))
	if err != nil {
		t.Fatal(err)
	}
	there, err := s.reference(added.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, give, want string
		found            bool
	}{
		{"short name", "base:1", there, true},
		{"full name", "localhost/base:1", there, true},
		{"registry's name", "registry.example/x/base:2", there, true},
		{"ID", added.ID, there, true},
		{"beginning of the ID", added.ID[:12], there, true},
		{"digest", "base@" + added.Digest.String(), there, true},
		{"bare transport", "containers-storage:localhost/base:1", "containers-storage:localhost/base:1", true},
		{"other transport", "oci:dir:tag", "oci:dir:tag", true},
		{"registry transport", "docker://r.example/x:1", "docker://r.example/x:1", true},
		{"not there", "registry.example/none:1", "docker://registry.example/none:1", false},
		{"not there, no tag", "registry.example/none", "docker://registry.example/none:latest", false},
		{"not there, short", "debian:12", "docker://docker.io/library/debian:12", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, found, err := s.Resolve(t.Context(), tc.give)
			if err != nil {
				t.Fatal(err)
			}
			if got != tc.want || found != tc.found {
				t.Errorf("Resolve(%q) = %q, %v; want %q, %v", tc.give, got, found, tc.want, tc.found)
			}
			if _, err := alltransports.ParseImageName(got); err != nil {
				t.Errorf("nobody can open %s: %v", got, err)
			}
		})
	}
	if _, _, err := s.Resolve(t.Context(), "Not A Name"); err == nil {
		t.Error("a name with blanks was resolved")
	}
	ref, err := alltransports.ParseImageName(there)
	if err != nil {
		t.Fatal(err)
	}
	src, err := ref.NewImageSource(t.Context(), s.registry.SystemContext())
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Close(); err != nil {
		t.Fatal(err)
	}
}

// A store that is there is opened; of one that is not, nothing is made.
func TestOpenStoreIfAny(t *testing.T) {
	s := newStore(t)
	if _, err := s.AddImage(t.Context(), spec(t, "base")); err != nil {
		t.Fatal(err)
	}
	there := StoreOptions{Root: s.store.GraphRoot(), RunRoot: s.store.RunRoot(), Driver: s.store.GraphDriverName()}
	again, ok := OpenStoreIfAny(there)
	if !ok || again.Place() != s.Place() {
		t.Errorf("the store was not opened again: %v, %+v", ok, again)
	}
	dir := filepath.Join(t.TempDir(), "none")
	for name, o := range map[string]StoreOptions{
		"no directory":   {Root: dir, RunRoot: filepath.Join(dir, "run"), Driver: "vfs"},
		"another driver": {Root: there.Root, RunRoot: filepath.Join(dir, "run"), Driver: "none"},
	} {
		if s, ok := OpenStoreIfAny(o); ok {
			t.Errorf("%s: %s is open", name, s.Place())
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was made: %v", err)
	}
}
