package netboot_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/netboot"
)

func publishInputs(t *testing.T, dir, inputs string, files map[string]string) {
	t.Helper()
	s, err := netboot.Begin(t.Context(), dir, netboot.Options{Inputs: inputs})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(t.Context(), write(t, s, files)); err != nil {
		t.Fatal(err)
	}
	if err := s.Abort(); err != nil {
		t.Fatal(err)
	}
}

func TestUnchanged(t *testing.T) {
	t.Parallel()
	replace := func(name, text string) func(dir string) error {
		return func(dir string) error {
			temp := filepath.Join(dir, "versions", "new")
			if err := os.WriteFile(temp, []byte(text), 0o600); err != nil {
				return err
			}
			return os.Rename(temp, filepath.Join(dir, "current", name))
		}
	}
	inPlace := func(name, text string) func(dir string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, "current", name), []byte(text), 0o600) }
	}
	for name, tt := range map[string]struct {
		change func(dir string) error
		inputs string
		want   bool
	}{
		"as it was":                    {nil, "a", true},
		"made of something else":       {nil, "b", false},
		"made of nobody knows what":    {nil, "", false},
		"a file written again":         {inPlace("kernel", "k1"), "a", false},
		"other bytes of the same size": {inPlace("ramdisk.img", "xx"), "a", false},
		"another file in its place":    {replace("kernel", "k1"), "a", false},
		"a manifest written again":     {inPlace("manifest.json", "{}"), "a", false},
		"a file that is gone":          {func(dir string) error { return os.Remove(filepath.Join(dir, "current", "kernel")) }, "a", false},
		"a name that is gone":          {func(dir string) error { return os.Remove(filepath.Join(dir, "kernel")) }, "a", false},
		"no note of what it was made":  {func(dir string) error { return os.Remove(filepath.Join(dir, "current", ".made-of")) }, "a", false},
		"half a note":                  {inPlace(".made-of", `{"inputs": "a", "fi`), "a", false},
		"a note that names no file":    {inPlace(".made-of", `{"inputs": "a"}`), "a", false},
		"another version since": {func(dir string) error {
			publishInputs(t, dir, "b", map[string]string{"kernel": "k2"})
			return nil
		}, "a", false},
		"and back again": {func(dir string) error {
			publishInputs(t, dir, "b", map[string]string{"kernel": "k2"})
			publishInputs(t, dir, "a", map[string]string{"kernel": "k1", "ramdisk.img": "r1"})
			return nil
		}, "a", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			publishInputs(t, dir, "a", map[string]string{"kernel": "k1", "ramdisk.img": "r1"})
			if tt.change != nil {
				if err := tt.change(dir); err != nil {
					t.Fatal(err)
				}
			}
			m, got := netboot.Unchanged(dir, tt.inputs)
			if got != tt.want || got != (m != nil) {
				t.Errorf("unchanged: %v with %v, want %v", got, m, tt.want)
			}
		})
	}
	if _, ok := netboot.Unchanged(filepath.Join(t.TempDir(), "none"), "a"); ok {
		t.Error("a directory that is not there is unchanged")
	}
}

// A version whose manifest is damaged or gone is made anew by the same convert.
func TestDamagedManifestIsRepaired(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(manifest string) error{
		"damaged": func(manifest string) error { return os.WriteFile(manifest, []byte("{"), 0o600) },
		"gone":    os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, files := t.TempDir(), map[string]string{"kernel": "k1", "ramdisk.img": "r1"}
			publishInputs(t, dir, "a", files)
			if err := spoil(filepath.Join(dir, "current", "manifest.json")); err != nil {
				t.Fatal(err)
			}
			publishInputs(t, dir, "a", files)
			if _, err := netboot.ReadManifest(dir); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(files, offered(t, dir)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Tidy removes what a killed process left, and nothing while another one writes.
func TestTidy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, k := range []string{"k1", "k2", "k3"} {
		publishInputs(t, dir, k, map[string]string{"kernel": k})
	}
	left := filepath.Join(dir, "versions", ".tmp-1")
	if err := os.Mkdir(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("current/rootimg.sfs", filepath.Join(dir, "rootimg.sfs")); err != nil {
		t.Fatal(err)
	}
	s, err := netboot.Begin(t.Context(), dir, netboot.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(left, 0o700); err != nil { // Begin has removed it
		t.Fatal(err)
	}
	if err := netboot.Tidy(dir, netboot.Options{Keep: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); err != nil {
		t.Errorf("it changed what another process writes: %v", err)
	}
	if err := s.Abort(); err != nil {
		t.Fatal(err)
	}
	if err := netboot.Tidy(dir, netboot.Options{Keep: 1}); err != nil {
		t.Fatal(err)
	}
	if found := temporary(t, dir); len(found) > 0 {
		t.Errorf("left behind: %v", found)
	}
	if _, err := os.Lstat(filepath.Join(dir, "rootimg.sfs")); !os.IsNotExist(err) {
		t.Errorf("a name that leads nowhere stays: %v", err)
	}
	if list, err := netboot.Versions(dir); err != nil || len(list) != 1 || !list[0].Current {
		t.Errorf("versions %v, %v", list, err)
	}
}

// Boot servers can read what is published whatever the umask was.
func TestUmask(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	dir := filepath.Join(t.TempDir(), "compute")
	publishInputs(t, dir, "a", map[string]string{"kernel": "k"})
	for name, want := range map[string]os.FileMode{"": 0o755, "versions": 0o755, "current": 0o755, "kernel": 0o644, "manifest.json": 0o644} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q has mode %v, %v; want %v", name, info.Mode().Perm(), err, want)
		}
	}
}
