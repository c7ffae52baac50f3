package netboot_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

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
