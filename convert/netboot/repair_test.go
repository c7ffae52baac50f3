package netboot_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/netboot"
)

// A version that is damaged in any of its files is made good by the same bytes,
// whether nodes boot it now or it is an older one.
func TestDamagedVersionIsReplaced(t *testing.T) {
	t.Parallel()
	files := map[string]string{"kernel": "k1", "ramdisk.img": "r1"}
	spoil := func(name, text string) func(dir string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600) }
	}
	for name, damage := range map[string]func(version string) error{
		"a file of other bytes":       spoil("kernel", "kX"),
		"a file that is gone":         func(dir string) error { return os.Remove(filepath.Join(dir, "ramdisk.img")) },
		"a manifest of other bytes":   spoil("manifest.json", `{"version": 1}`),
		"a manifest that is none":     spoil("manifest.json", "\x00\x00"),
		"an empty manifest":           spoil("manifest.json", ""),
		"a manifest that is gone":     func(dir string) error { return os.Remove(filepath.Join(dir, "manifest.json")) },
		"nothing of it is there":      func(dir string) error { return os.RemoveAll(dir) },
		"an empty directory is there": func(dir string) error { return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)) },
	} {
		for _, newer := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				if err := publish(t, dir, files); err != nil {
					t.Fatal(err)
				}
				version := netboot.Current(dir)
				if newer {
					if err := publish(t, dir, map[string]string{"kernel": "k2"}); err != nil {
						t.Fatal(err)
					}
				}
				if err := damage(version); err != nil {
					t.Fatal(err)
				}
				if err := publish(t, dir, files); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(files, offered(t, dir)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if got := netboot.Current(dir); got != version {
					t.Errorf("nodes boot %s, want %s", got, version)
				}
				checkVersions(t, dir, true)
				if left := temporary(t, dir); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
			})
		}
	}
}

// countdown is a context that ends when it was asked so many times.
type countdown struct {
	context.Context //nolint:containedctx // it is one
	left            int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// A version that is whole is left in its place by a process that is interrupted
// while it finds that out.
func TestInterruptedCheckReplacesNothing(t *testing.T) {
	t.Parallel()
	dir, files := t.TempDir(), map[string]string{"kernel": "k1", "ramdisk.img": "r1"}
	if err := publish(t, dir, files); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(netboot.Current(dir))
	if err != nil {
		t.Fatal(err)
	}
	interrupted := 0
	for asked := 0; ; asked++ {
		s, err := netboot.Begin(t.Context(), dir, netboot.Options{})
		if err != nil {
			t.Fatal(err)
		}
		err = s.Publish(&countdown{t.Context(), asked}, write(t, s, files))
		if err := s.Abort(); err != nil {
			t.Fatal(err)
		}
		after, statErr := os.Stat(netboot.Current(dir))
		if statErr != nil || !os.SameFile(before, after) {
			t.Fatalf("interrupted when asked %d times, another directory is in its place: %v", asked, statErr)
		}
		if err == nil {
			break
		}
		if interrupted++; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if interrupted < 3 {
		t.Errorf("interrupted %d times only", interrupted)
	}
}
