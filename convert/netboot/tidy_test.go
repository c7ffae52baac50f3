package netboot_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/netboot"
)

func TestTidy(t *testing.T) {
	t.Parallel()
	make3 := func(t *testing.T) string {
		dir := t.TempDir()
		for _, text := range []string{"k1", "k2", "k3"} {
			if err := publish(t, dir, map[string]string{"kernel": text}); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	litter := func(t *testing.T, dir string) {
		if err := os.MkdirAll(filepath.Join(dir, "versions", ".tmp-1", "x"), 0o755); err != nil {
			t.Fatal(err)
		}
		for path, target := range map[string]string{".tmp-kernel": "current/kernel", "rootimg.sfs": "current/rootimg.sfs", "theirs": "nowhere"} {
			if err := os.Symlink(target, filepath.Join(dir, path)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct {
		name   string
		litter bool
		keep   int
		want   int // versions
	}{
		{"nothing to do", false, 0, 3},
		{"leftovers", true, 0, 3},
		{"versions beyond those that stay", false, 1, 1},
		{"both", true, 2, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := make3(t)
			want := names(t, dir)
			if tt.litter {
				litter(t, dir)
				want = slices.Insert(want, len(want)-1, "theirs") // which is nobody's business
			}
			if err := netboot.Tidy(dir, netboot.Options{Keep: tt.keep}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, names(t, dir)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got := names(t, filepath.Join(dir, "versions")); len(got) != tt.want {
				t.Errorf("versions holds %v, want %d", got, tt.want)
			}
			if diff := cmp.Diff(map[string]string{"kernel": "k3"}, offered(t, dir)); diff != "" {
				t.Errorf("what nodes boot (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("another process writes it", func(t *testing.T) {
		t.Parallel()
		dir := make3(t)
		s, err := netboot.Begin(t.Context(), dir, netboot.Options{})
		if err != nil {
			t.Fatal(err)
		}
		m := write(t, s, map[string]string{"kernel": "k4"})
		if err := netboot.Tidy(dir, netboot.Options{Keep: 1}); err != nil {
			t.Errorf("it is not left to that: %v", err)
		}
		if err := s.Publish(t.Context(), m); err != nil {
			t.Error(err)
		}
		if err := s.Abort(); err != nil {
			t.Error(err)
		}
	})
	t.Run("nothing to do touches no file", func(t *testing.T) {
		t.Parallel()
		dir := make3(t)
		if err := os.Remove(filepath.Join(dir, ".lock")); err != nil {
			t.Fatal(err)
		}
		if err := netboot.Tidy(dir, netboot.Options{}); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(filepath.Join(dir, ".lock")); !os.IsNotExist(err) {
			t.Errorf("it was locked: %v", err)
		}
	})
	t.Run("no directory", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "none")
		if err := netboot.Tidy(dir, netboot.Options{}); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(dir); !os.IsNotExist(err) {
			t.Errorf("it was made: %v", err)
		}
	})
}

// names lists what lies in dir, sorted.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := fs.ReadDir(os.DirFS(dir), ".")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	slices.Sort(list)
	return list
}
