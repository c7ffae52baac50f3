package netboot_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/rootcast/rootcast/convert/netboot"
)

// publish writes a version of dir that holds the files.
func publish(t *testing.T, dir string, files map[string]string) error {
	t.Helper()
	s, err := netboot.Begin(t.Context(), dir, netboot.Options{})
	if err != nil {
		return err
	}
	defer func() {
		if err := s.Abort(); err != nil {
			t.Error(err)
		}
	}()
	m := write(t, s, files)
	return s.Publish(t.Context(), m)
}

func write(t *testing.T, s *netboot.Stage, files map[string]string) *netboot.Manifest {
	t.Helper()
	m := &netboot.Manifest{Version: netboot.ManifestVersion, Boot: "ramdisk"}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		f, err := s.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, files[name]); err != nil {
			t.Fatal(err)
		}
		file, err := f.Finish(t.Context())
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(files[name]))
		want := netboot.File{Name: name, Size: int64(len(files[name])), SHA256: hex.EncodeToString(sum[:])}
		if d := cmp.Diff(want, file); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		m.Files = append(m.Files, file)
	}
	return m
}

// offered is what a boot server that knows only dir would serve.
func offered(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, name := range []string{"kernel", "ramdisk.img", "rootimg.sfs"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			files[name] = string(b)
		} else if !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	return files
}

func TestPublish(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "compute")
	for _, files := range []map[string]string{
		{"kernel": "k1", "ramdisk.img": "r1"},
		{"kernel": "k2", "ramdisk.img": "r2"},
		{"kernel": "k3", "rootimg.sfs": "s3"}, // another set of names
		{"kernel": "k3", "rootimg.sfs": "s3"}, // the same again
		{"kernel": "k4", "ramdisk.img": "r4"},
	} {
		if err := publish(t, dir, files); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(files, offered(t, dir)); diff != "" {
			t.Errorf("after publishing (-want +got):\n%s", diff)
		}
		m, err := netboot.ReadManifest(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Files) != len(files) {
			t.Errorf("the manifest names %d files, want %d", len(m.Files), len(files))
		}
	}
	versions, err := os.ReadDir(filepath.Join(dir, "versions"))
	if err != nil {
		t.Fatal(err)
	}
	if len(versions) != netboot.DefaultKeep {
		t.Errorf("%d versions stay, want %d", len(versions), netboot.DefaultKeep)
	}
	if _, err := os.Lstat(filepath.Join(dir, "rootimg.sfs")); !os.IsNotExist(err) {
		t.Errorf("the name of a dropped file is still there: %v", err)
	}
}

// Files that are made side by side are all published.
func TestCreateSideBySide(t *testing.T) {
	s, err := netboot.Begin(t.Context(), t.TempDir(), netboot.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Abort(); err != nil {
			t.Error(err)
		}
	}()
	m := &netboot.Manifest{Version: netboot.ManifestVersion, Boot: "ramdisk", Files: make([]netboot.File, 300)}
	var g errgroup.Group
	begin := make(chan struct{})
	for i := range m.Files {
		g.Go(func() error {
			<-begin
			f, err := s.Create(fmt.Sprintf("file%d", i))
			if err != nil {
				return err
			}
			m.Files[i], err = f.Finish(t.Context())
			return errors.Join(err, f.Close())
		})
	}
	close(begin)
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(t.Context(), m); err != nil {
		t.Error(err)
	}
}

func TestFailureLeavesTheOldVersion(t *testing.T) {
	t.Parallel()
	old := map[string]string{"kernel": "k1", "ramdisk.img": "r1"}
	for _, tc := range []struct {
		name string
		fail func(t *testing.T, dir string) error
		want string
	}{
		{"aborted", func(t *testing.T, dir string) error {
			s, err := netboot.Begin(t.Context(), dir, netboot.Options{})
			if err != nil {
				return err
			}
			write(t, s, map[string]string{"kernel": "half"})
			return errors.Join(errors.New("aborted"), s.Abort())
		}, "aborted"},
		{"a file that is not the manifest's", func(t *testing.T, dir string) error {
			s, err := netboot.Begin(t.Context(), dir, netboot.Options{})
			if err != nil {
				return err
			}
			m := write(t, s, map[string]string{"kernel": "k2", "ramdisk.img": "r2"})
			m.Files[1].SHA256 = strings.Repeat("0", 64)
			return errors.Join(s.Publish(t.Context(), m), s.Abort())
		}, "ramdisk.img has the sha256"},
		{"a file that is missing", func(t *testing.T, dir string) error {
			s, err := netboot.Begin(t.Context(), dir, netboot.Options{})
			if err != nil {
				return err
			}
			m := write(t, s, map[string]string{"kernel": "k2"})
			m.Files = append(m.Files, netboot.File{Name: "ramdisk.img"})
			return errors.Join(s.Publish(t.Context(), m), s.Abort())
		}, "no such file"},
		{"a file in the way", func(t *testing.T, dir string) error {
			if err := os.WriteFile(filepath.Join(dir, "rootimg.sfs"), []byte("theirs"), 0o600); err != nil {
				t.Fatal(err)
			}
			err := publish(t, dir, map[string]string{"kernel": "k2", "rootimg.sfs": "s2"})
			return errors.Join(err, os.Remove(filepath.Join(dir, "rootimg.sfs")))
		}, "was not made by rootcast"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := publish(t, dir, old); err != nil {
				t.Fatal(err)
			}
			if err := tc.fail(t, dir); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want one with %q", err, tc.want)
			}
			if diff := cmp.Diff(old, offered(t, dir)); diff != "" {
				t.Errorf("the old version changed (-want +got):\n%s", diff)
			}
			if left := temporary(t, dir); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			if err := publish(t, dir, map[string]string{"kernel": "k9"}); err != nil {
				t.Errorf("publishing afterwards: %v", err)
			}
		})
	}
}

func temporary(t *testing.T, dir string) []string {
	t.Helper()
	var left []string
	for _, pattern := range []string{".tmp-*", "versions/.tmp-*", "versions/*/.tmp-*"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, found...)
	}
	return left
}

func TestLeftoversOfAKilledProcessGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"versions/.tmp-1/kernel", "versions/.tmp-2/x"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("current/kernel", filepath.Join(dir, ".tmp-kernel")); err != nil {
		t.Fatal(err)
	}
	if err := publish(t, dir, map[string]string{"kernel": "k"}); err != nil {
		t.Fatal(err)
	}
	if left := temporary(t, dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestNothingStaysOfAFirstVersionThatFailed(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "compute")
	s, err := netboot.Begin(t.Context(), dir, netboot.Options{})
	if err != nil {
		t.Fatal(err)
	}
	write(t, s, map[string]string{"kernel": "half"})
	if err := s.Abort(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(dir); !os.IsNotExist(err) {
		t.Errorf("the directory that was made is still there: %v", err)
	}
}

func TestOneWriterAtATime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := netboot.Begin(t.Context(), dir, netboot.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := netboot.Begin(t.Context(), dir, netboot.Options{}); !errors.Is(err, netboot.ErrBusy) {
		t.Errorf("a second writer got %v, want ErrBusy", err)
	}
	if err := s.Abort(); err != nil {
		t.Fatal(err)
	}
	if err := publish(t, dir, map[string]string{"kernel": "k"}); err != nil {
		t.Errorf("after the first was done: %v", err)
	}
}

func TestReadManifestErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, text, want string }{
		{"none", "", "is no rootimgdir"},
		{"rubbish", "<html>", "decoding the manifest"},
		{"another version", `{"version": 99}`, "manifest version 99"},
		{"a name that escapes", `{"version": 1, "files": [{"name": "../etc/shadow"}]}`, "outside its directory"},
		{"an absolute name", `{"version": 1, "files": [{"name": "/etc/shadow"}]}`, "outside its directory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if tc.text != "" {
				if err := os.WriteFile(filepath.Join(dir, "manifest.json"), []byte(tc.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := netboot.ReadManifest(dir); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func FuzzDecodeManifest(f *testing.F) {
	f.Add(`{"version": 1, "files": [{"name": "kernel", "segments": [{"offset": 1}]}]}`)
	f.Add(`{"version": 1, "files": [{"name": ".."}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := netboot.DecodeManifest(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, file := range m.Files {
			if strings.Contains(file.Name, "/") || file.Name == ".." || file.Name == "" || file.Name == "." {
				t.Errorf("accepted the name %q", file.Name)
			}
		}
	})
}
