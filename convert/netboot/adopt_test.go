package netboot_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/netboot"
)

// Files that xCAT made give way to a version, and stay.
func TestAdopt(t *testing.T) {
	dir := t.TempDir()
	theirs := map[string]string{"kernel": "their kernel", "initrd-stateless.gz": "their initrd", "rootimg.sfs": "their root"}
	for name, text := range theirs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, round := range []string{"1", "2"} {
		s, err := netboot.Begin(t.Context(), dir, netboot.Options{Adopt: true})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"kernel": "k" + round, "rootimg.sfs": "s" + round}
		if err := errors.Join(s.Publish(t.Context(), write(t, s, want)), s.Abort()); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for name := range want {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			got[name] = string(text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("round %s (-want +got):\n%s", round, diff)
		}
	}
	for name, want := range theirs {
		if got, err := os.ReadFile(filepath.Join(dir, netboot.AdoptedDir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	if _, err := netboot.Rollback(t.Context(), dir, "", func(string, *netboot.Manifest) error { return nil }, netboot.Options{}); err != nil {
		t.Errorf("rolling back: %v", err)
	}
}
