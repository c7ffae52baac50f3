package build

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// What is done to a root is a layer of another image; the same makes the same, at
// any time, and a failure makes none.
func TestChange(t *testing.T) {
	s := newStore(t)
	created := time.Unix(1700000000, 0)
	base, err := s.AddImage(t.Context(), ImageSpec{
		Layer: layer(t, "etc/", "etc/a"), Platform: v1.Platform{OS: "linux", Architecture: "s390x"}, Created: created, Tags: []string{"localhost/base:1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := Change{Image: "localhost/base:1", Tag: "localhost/base:more", History: "more", TempDir: t.TempDir()}
	write := func(_ context.Context, root string) error {
		return errors.Join(os.MkdirAll(filepath.Join(root, "opt/new"), 0o755), os.WriteFile(filepath.Join(root, "opt/new/b"), []byte("b"), 0o644))
	}
	first, err := s.Change(t.Context(), c, write)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond) // times of files have another second
	second, err := s.Change(t.Context(), c, write)
	if err != nil {
		t.Fatal(err)
	}
	if first.ID != second.ID || first.Digest != second.Digest || first.ID == base.ID || len(second.Names) != 1 || second.Names[0] != "localhost/base:more" {
		t.Errorf("%+v\n%+v", first, second)
	}
	images, err := s.Images(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	for _, img := range images {
		if !img.Created.Equal(created) || len(img.Platforms) != 1 || img.Platforms[0] != "linux/s390x" {
			t.Errorf("%+v", img)
		}
	}
	failed := errors.New("no")
	if _, err = s.Change(t.Context(), c, func(context.Context, string) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err = s.Change(ctx, c, func(context.Context, string) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if containers, err := s.store.Containers(); err != nil || len(containers) != 0 {
		t.Errorf("%d containers are left, %v", len(containers), err)
	}
	if img, err := s.store.Image("localhost/base:more"); err != nil || img.ID != first.ID {
		t.Errorf("the image is %+v, %v", img, err)
	}
}
