package netboot_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/crashtest"
	"github.com/rootcast/rootcast/convert/netboot"
)

// change is what a process of its own does to a rootimgdir.
type change struct {
	Dir      string
	Keep     int
	Publish  map[string]string // the files of a new version
	Rollback bool
}

const changeVariable = "ROOTCAST_TEST_CHANGE"

func TestMain(m *testing.M) {
	text := os.Getenv(changeVariable)
	if text == "" {
		os.Exit(m.Run())
	}
	var c change
	err := json.Unmarshal([]byte(text), &c)
	if err == nil {
		err = c.run(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (c change) run(ctx context.Context) error {
	if c.Rollback {
		_, err := netboot.Rollback(ctx, c.Dir, "", func(string, *netboot.Manifest) error { return nil }, netboot.Options{})
		return err
	}
	s, err := netboot.Begin(ctx, c.Dir, netboot.Options{Keep: c.Keep, Doing: "publish"})
	if err != nil {
		return err
	}
	defer s.Abort() //nolint:errcheck // after Publish it only unlocks
	m := &netboot.Manifest{Version: netboot.ManifestVersion, Boot: "ramdisk"}
	for _, name := range []string{"kernel", "ramdisk.img", "rootimg.sfs"} {
		text, ok := c.Publish[name]
		if !ok {
			continue
		}
		f, err := s.Create(name)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(f, text); err != nil {
			return err
		}
		file, err := f.Finish(ctx)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		m.Files = append(m.Files, file)
	}
	return s.Publish(ctx, m)
}

// TestKilledAnywhere kills a process before each of its changes of a file
// system. What was current before must be whole then, or what is to be current;
// and the next process finds nothing in its way and leaves nothing behind.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	first := map[string]string{"kernel": "k1", "ramdisk.img": "r1"}
	second := map[string]string{"kernel": "k2", "ramdisk.img": "r2"}
	other := map[string]string{"kernel": "k3", "rootimg.sfs": "s3"} // with another set of names
	for _, tc := range []struct {
		name   string
		before []map[string]string // versions that are there
		change change
		want   map[string]string
		steps  int // at least
	}{
		{"the first version", nil, change{Publish: first}, first, 20},
		{"another version", []map[string]string{first, second}, change{Publish: other}, other, 20},
		{"the last one that is kept", []map[string]string{first, second}, change{Publish: other, Keep: 1}, other, 25},
		{"an old version again", []map[string]string{first, other, second}, change{Publish: other}, other, 10},
		{"a rollback", []map[string]string{first, other, second}, change{Rollback: true}, other, 5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			steps, replaced := 0, 0
			for ; ; steps++ {
				dir := filepath.Join(t.TempDir(), "compute")
				var old map[string]string
				for _, files := range tc.before {
					if err := publish(t, dir, files); err != nil {
						t.Fatal(err)
					}
					old = files
				}
				c := tc.change
				c.Dir = dir
				if !killed(t, c, steps+1) {
					break
				}
				got := offered(t, dir)
				if cmp.Equal(got, tc.want) {
					replaced++
				} else if diff := cmp.Diff(old, got); diff != "" && len(old)+len(got) > 0 {
					t.Errorf("killed at step %d: neither the old version nor the new one (-old +got):\n%s", steps+1, diff)
				}
				checkVersions(t, dir, len(tc.before) > 0)
				checkTidied(t, dir, len(tc.before) > 0)
				next := map[string]string{"kernel": "next"}
				if err := publish(t, dir, next); err != nil {
					t.Fatalf("killed at step %d, then publishing: %v", steps+1, err)
				}
				if diff := cmp.Diff(next, offered(t, dir)); diff != "" {
					t.Errorf("killed at step %d, then published (-want +got):\n%s", steps+1, diff)
				}
				if left := temporary(t, dir); len(left) > 0 {
					t.Errorf("killed at step %d: the next process leaves %v", steps+1, left)
				}
				if list := checkVersions(t, dir, true); len(list) > netboot.DefaultKeep {
					t.Errorf("killed at step %d: %d versions stay", steps+1, len(list))
				}
				if t.Failed() {
					return
				}
			}
			t.Logf("killed at each of %d steps; at the last %d of them the new version was there", steps, replaced)
			if steps < tc.steps || replaced == 0 {
				t.Errorf("killed at %d steps, of which %d came after the change, want %d and 1", steps, replaced, tc.steps)
			}
		})
	}
}

func killed(t *testing.T, c change, step int) bool {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, err := crashtest.Run(crashtest.Command{Args: []string{program}, Env: append(os.Environ(), changeVariable+"="+string(text)), Output: os.Stderr, Kill: step})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Killed && r.Exit != 0 {
		t.Fatalf("killed at no step, it ended with code %d", r.Exit)
	}
	return r.Killed
}

// checkTidied checks what the next process makes of dir if it has nothing to change.
func checkTidied(t *testing.T, dir string, want bool) {
	t.Helper()
	if _, err := os.Lstat(dir); os.IsNotExist(err) {
		return
	}
	tidied := filepath.Join(t.TempDir(), "tidied")
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", dir, tidied).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := netboot.Tidy(tidied, netboot.Options{Keep: 2}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(offered(t, dir), offered(t, tidied)); diff != "" {
		t.Errorf("tidying changed what nodes boot (-before +after):\n%s", diff)
	}
	if left := append(temporary(t, tidied), dangling(t, tidied)...); len(left) > 0 {
		t.Errorf("tidying leaves %v", left)
	}
	if list := checkVersions(t, tidied, want); len(list) > 2 {
		t.Errorf("of %d versions 2 were to stay", len(list))
	}
}

// dangling lists the names in dir that lead nowhere.
func dangling(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(dir, e.Name())); os.IsNotExist(err) {
			names = append(names, e.Name())
		}
	}
	return names
}

// checkVersions checks that every version of dir is whole.
func checkVersions(t *testing.T, dir string, want bool) []netboot.Version {
	t.Helper()
	list, err := netboot.Versions(dir)
	if err != nil && want {
		t.Error(err)
	}
	for _, v := range list {
		if v.Err != nil {
			t.Errorf("version %s: %v", v.ID, v.Err)
			continue
		}
		for _, f := range v.Manifest.Files {
			text, err := os.ReadFile(filepath.Join(dir, "versions", v.ID, f.Name))
			if sum := sha256.Sum256(text); err != nil || hex.EncodeToString(sum[:]) != f.SHA256 {
				t.Errorf("version %s: %s is damaged: %v", v.ID, f.Name, err)
			}
		}
	}
	if want && (len(list) == 0 || !list[0].Current) {
		t.Errorf("no version of %d is current", len(list))
	}
	return list
}
