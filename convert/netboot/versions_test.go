package netboot_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/netboot"
)

// files are those of the version that tests call name; a capital letter has
// another set of names.
func files(name string) map[string]string {
	if strings.ToUpper(name) == name {
		return map[string]string{"kernel": name, "rootimg.sfs": "root of " + name}
	}
	return map[string]string{"kernel": name, "ramdisk.img": "root of " + name}
}

// changeBy does what words say: "a" publishes version a, "a/1" does so and keeps
// one, "<" rolls back, "<a" rolls back to version a, "touch" mixes up the times
// of the directories, "forget" removes the history.
func changeBy(t *testing.T, dir, words string) error {
	t.Helper()
	for word := range strings.FieldsSeq(words) {
		var err error
		switch to, back := strings.CutPrefix(word, "<"); {
		case back:
			_, err = netboot.Rollback(t.Context(), dir, idOf(t, dir, to), whole, netboot.Options{})
		case word == "touch":
			for i, v := range versions(t, dir) {
				at := time.Unix(int64(1000+i), 0) // the current version is the oldest
				err = errors.Join(err, os.Chtimes(filepath.Join(dir, "versions", v.ID), at, at))
			}
		case word == "forget":
			err = os.Remove(filepath.Join(dir, ".history"))
		default:
			name, keep, _ := strings.Cut(word, "/")
			var s *netboot.Stage
			o := netboot.Options{}
			if keep != "" {
				if o.Keep, err = strconv.Atoi(keep); err != nil {
					return err
				}
			}
			if err == nil {
				s, err = netboot.Begin(t.Context(), dir, o)
			}
			if err == nil {
				err = errors.Join(s.Publish(t.Context(), write(t, s, files(name))), s.Abort())
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", word, err)
		}
	}
	return nil
}

func whole(string, *netboot.Manifest) error { return nil }

func versions(t *testing.T, dir string) []netboot.Version {
	t.Helper()
	list, err := netboot.Versions(dir)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// letters names the versions in the order in which they are listed.
func letters(t *testing.T, dir string) string {
	t.Helper()
	var names []string
	for _, v := range versions(t, dir) {
		kernel, err := os.ReadFile(filepath.Join(dir, "versions", v.ID, "kernel"))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, string(kernel))
	}
	return strings.Join(names, " ")
}

func idOf(t *testing.T, dir, name string) string {
	t.Helper()
	for i, n := range strings.Fields(letters(t, dir)) {
		if n == name {
			return versions(t, dir)[i].ID
		}
	}
	return name
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ words, want string }{
		{"a", "a"},
		{"a b c", "c b a"},
		{"a b c d", "d c b"},
		{"a b c d/1", "d"},
		{"a b/9 c/9 d/9 e/9", "e d c b a"},
		{"a b a", "a b"}, // the same bytes again
		{"a b <", "a b"},
		{"a b < <", "b a"},
		{"a b c < <", "c b a"},
		{"a b c <a", "a c b"},
		{"a b c <a <", "c a b"},
		{"a b c <a d", "d a c"},   // b was current longest ago
		{"a b c <a d <", "a d c"}, // what was current is neither the newest nor the next older
		{"a b c <a d/1", "d"},
		{"a B < c", "c a B"},
		{"a B <a", "a B"},
		{"a b <b", "b a"},
		{"a b c touch", "c b a"},
		{"a b c touch d", "d c b"},
		{"a b c <a touch d/2", "d a"},
		{"a b forget <", "a b"},
		{"a b forget < <", "b a"},
		{"a b c forget d", "d c b"},
		{"a b forget c < forget touch d/2 <", "b d"},
	} {
		t.Run(tc.words, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "compute")
			if err := changeBy(t, dir, tc.words); err != nil {
				t.Fatal(err)
			}
			if got := letters(t, dir); got != tc.want {
				t.Errorf("it has %s, want %s", got, tc.want)
			}
			current, _, _ := strings.Cut(tc.want, " ")
			if diff := cmp.Diff(files(current), offered(t, dir)); diff != "" {
				t.Errorf("what nodes get (-want +got):\n%s", diff)
			}
			names, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			if want := len(files(current)) + len([]string{"manifest.json", "current", "versions", ".lock", ".history"}); len(names) != want {
				t.Errorf("the directory has %v, want %d names", names, want)
			}
			for _, v := range versions(t, dir) {
				if v.Published.IsZero() || v.Err != nil || v.Manifest == nil || v.Size() == 0 {
					t.Errorf("version %+v", v)
				}
			}
		})
	}
}

func TestRollbackErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, words, to, want string }{
		{"nothing is there", "", "", "is no rootimgdir"},
		{"one version", "a", "", "it keeps no version that was current before; it has "},
		{"an unknown version", "a b", "zz", `it has no version "zz"; it has `},
		{"a path", "a b", "../versions", `it has no version "../versions"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "compute")
			if err := changeBy(t, dir, tc.words); err != nil {
				t.Fatal(err)
			}
			_, err := netboot.Rollback(t.Context(), dir, tc.to, whole, netboot.Options{})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func TestRollbackRefuses(t *testing.T) {
	t.Parallel()
	damaged := errors.New("ramdisk.img has the sha256 0, its manifest says 1")
	for _, tc := range []struct {
		name   string
		damage func(t *testing.T, dir, version string)
		check  error
		want   string
	}{
		{"a damaged file", func(*testing.T, string, string) {}, damaged, damaged.Error()},
		{"a damaged manifest", func(t *testing.T, _, version string) {
			put(t, filepath.Join(version, "manifest.json"), `{"version": 1}`)
		}, nil, "manifest.json is damaged: it is not the one of version "},
		{"a lost manifest", func(t *testing.T, _, version string) {
			if err := os.Remove(filepath.Join(version, "manifest.json")); err != nil {
				t.Fatal(err)
			}
		}, nil, "manifest.json: no such file"},
		{"somebody's file in the way", func(t *testing.T, dir, _ string) {
			put(t, filepath.Join(dir, "ramdisk.img"), "theirs")
		}, nil, "ramdisk.img is there and was not made by rootcast"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "compute")
			if err := changeBy(t, dir, "a B"); err != nil {
				t.Fatal(err)
			}
			tc.damage(t, dir, filepath.Join(dir, "versions", idOf(t, dir, "a")))
			check := func(string, *netboot.Manifest) error { return tc.check }
			if _, err := netboot.Rollback(t.Context(), dir, "", check, netboot.Options{}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
			if got, _ := os.ReadFile(filepath.Join(dir, "rootimg.sfs")); string(got) != "root of B" {
				t.Errorf("nodes get %q now", got)
			}
			if err := errors.Join(os.RemoveAll(filepath.Join(dir, "ramdisk.img")), changeBy(t, dir, "C")); err != nil {
				t.Errorf("publishing afterwards: %v", err)
			}
		})
	}
}

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestWait has a second writer wait for the first, which publishes or, having
// made the directory, removes it again.
func TestWait(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		publish bool
	}{{"for one that publishes", true}, {"for one that gives up", false}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "compute")
			first, err := netboot.Begin(t.Context(), dir, netboot.Options{Doing: "convert x"})
			if err != nil {
				t.Fatal(err)
			}
			waits := make(chan string, 10)
			done := make(chan error)
			go func() {
				s, err := netboot.Begin(t.Context(), dir, netboot.Options{Wait: true, Waiting: func(what string) { waits <- what }})
				if err == nil {
					err = errors.Join(s.Publish(t.Context(), write(t, s, files("b"))), s.Abort())
				}
				done <- err
			}()
			host, _ := os.Hostname()
			want := fmt.Sprintf("waiting for %s: another rootcast is writing it: process %d on %s has been at it since ", dir, os.Getpid(), host)
			if got := <-waits; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, " (convert x)") {
				t.Errorf("it says %q, want %q", got, want)
			}
			if tc.publish {
				err = first.Publish(t.Context(), write(t, first, files("a")))
			}
			if err := errors.Join(err, first.Abort()); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(files("b"), offered(t, dir)); diff != "" {
				t.Errorf("after both (-want +got):\n%s", diff)
			}
			if len(waits) > 0 {
				t.Errorf("it says more than once that it waits")
			}
		})
	}
}

func TestWaitEndsWithTheContext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := netboot.Begin(t.Context(), dir, netboot.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Abort() //nolint:errcheck // nothing depends on it
	ctx, cancel := context.WithCancel(t.Context())
	_, err = netboot.Begin(ctx, dir, netboot.Options{Wait: true, Waiting: func(string) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want what the context says", err)
	}
}

// TestBusy has what a lock file may hold while another process has its lock.
func TestBusy(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, text, want string }{
		{"nothing yet", "", "another rootcast is writing it; try again"},
		{"rubbish", "<html>", "another rootcast is writing it; try again"},
		{"somebody", `{"pid": 12, "host": "mn1", "since": "2026-01-02T03:04:05Z", "doing": "rollback"}`, "another rootcast is writing it: process 12 on mn1 has been at it since 202"},
		{"a terminal's escape", `{"pid": 12, "host": "mn1\u001b[2J"}`, "another rootcast is writing it; try again"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s, err := netboot.Begin(t.Context(), dir, netboot.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Abort() //nolint:errcheck // nothing depends on it
			put(t, filepath.Join(dir, ".lock"), tc.text)
			_, err = netboot.Begin(t.Context(), dir, netboot.Options{})
			if !errors.Is(err, netboot.ErrBusy) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want ErrBusy with %q", err, tc.want)
			}
		})
	}
}
