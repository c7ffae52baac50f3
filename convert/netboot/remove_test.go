package netboot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// plant makes files below dir: NAME, NAME/ or NAME->TARGET.
func plant(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		link, target, isLink := strings.Cut(name, "->")
		path := filepath.Join(dir, link)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		switch {
		case isLink:
			err = errors.Join(err, os.Symlink(target, path))
		case strings.HasSuffix(name, "/"):
			err = errors.Join(err, os.MkdirAll(path, 0o755))
		default:
			err = errors.Join(err, os.WriteFile(path, nil, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func everything(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if name, _ := filepath.Rel(dir, path); name != "." {
			if d.IsDir() {
				name += "/"
			}
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestRemove(t *testing.T) {
	rootcast := []string{
		".lock", ".history", "current->versions/a", "manifest.json->current/manifest.json", "kernel->current/kernel", "ramdisk.img->current/ramdisk.img",
		"versions/a/manifest.json", "versions/a/kernel", "versions/a/.made-of", "versions/b/manifest.json", "versions/.tmp-x/kernel",
	}
	xcat := []string{"kernel", "initrd-stateless.gz", "initrd-statelite.gz", "rootimg.cpio.gz", "rootimg.tar.xz", "rootimg.sfs", "rootimg.gz", "rootimg-statelite.gz"}
	for _, test := range []struct {
		name        string
		files, left []string // left: below the parent of the rootimgdir, dir
	}{
		{"rootcast's", rootcast, nil},
		{"xCAT's", xcat, nil},
		{"both", append([]string{"rootimg.cpio.gz"}, rootcast...), nil},
		{"empty", []string{"."}, nil},
		{"files of others", append([]string{"notes", "rootimg/etc/passwd", "rootimg.my", "sub/kernel"}, xcat...), []string{
			"dir/", "dir/notes", "dir/rootimg/", "dir/rootimg/etc/", "dir/rootimg/etc/passwd", "dir/rootimg.my", "dir/sub/", "dir/sub/kernel",
		}},
		{"links of others", append([]string{"initrd.gz->../outside/f", "x->current/x", "../outside/f"}, rootcast...), []string{"dir/", "dir/initrd.gz", "outside/", "outside/f"}},
		{"versions elsewhere", append([]string{"versions->../outside", "../outside/a/kernel"}, xcat...), []string{"dir/", "dir/versions", "outside/", "outside/a/", "outside/a/kernel"}},
		{"a directory in a version", append([]string{"versions/a/more/x", "versions/a/up->.."}, rootcast...), []string{
			"dir/", "dir/versions/", "dir/versions/a/", "dir/versions/a/more/", "dir/versions/a/more/x", "dir/versions/a/up",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			base := t.TempDir()
			dir := filepath.Join(base, "dir")
			plant(t, dir, "./")
			if test.files[0] != "." {
				plant(t, dir, test.files...)
			}
			r, err := Remove(t.Context(), dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.left, everything(t, base)); diff != "" {
				t.Errorf("what is left (-want +got)\n%s\n%+v", diff, r)
			}
			if (len(r.Left) > 0) != (test.left != nil) {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestRemoveRefuses(t *testing.T) {
	for _, test := range []struct {
		name  string
		files []string
		want  string
	}{
		{"what is none", []string{"passwd", "shadow"}, "it has no kernel with a root image beside it, and is left as it is"},
		{"a kernel alone", []string{"kernel", "grub/x"}, "it has no kernel with a root image beside it, and is left as it is"},
		{"a root alone", []string{"rootimg.cpio.gz"}, "it has no kernel with a root image beside it, and is left as it is"},
		{"directories of several platforms", []string{"x86_64/kernel", "x86_64/rootimg.sfs"}, "it has no kernel with a root image beside it, and is left as it is"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			plant(t, dir, test.files...)
			before := everything(t, dir)
			_, err := Remove(t.Context(), dir, Options{})
			if err == nil || err.Error() != "removing the rootimgdir "+dir+": "+test.want {
				t.Errorf("%v", err)
			}
			if diff := cmp.Diff(before, everything(t, dir)); diff != "" {
				t.Errorf("(-before +after)\n%s", diff)
			}
		})
	}
	if r, err := Remove(t.Context(), "/no/such/directory", Options{}); err != nil || r.Removed != nil {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestRemoveLocked(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, "kernel", "rootimg.sfs")
	s := &site{dir: dir}
	if err := s.tryLock("convert x"); err != nil {
		t.Fatal(err)
	}
	if _, err := Remove(t.Context(), dir, Options{}); !errors.Is(err, ErrBusy) {
		t.Errorf("%v", err)
	}
	if err := s.release(); err != nil {
		t.Fatal(err)
	}
	if _, err := Remove(t.Context(), dir, Options{}); err != nil {
		t.Errorf("%v", err)
	}
}

// A bind mount below a rootimgdir once cost a site all of /install.
func TestRemoveMounted(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("in CI this test must run as root")
		}
		t.Skip("only root mounts")
	}
	base := t.TempDir()
	dir := filepath.Join(base, "dir")
	plant(t, dir, "kernel", "rootimg.sfs", "versions/a/manifest.json", "../precious/file")
	at := filepath.Join(dir, "versions/a")
	if err := unix.Mount(filepath.Join(base, "precious"), at, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(at, 0); err != nil {
			t.Error(err)
		}
	})
	_, err := Remove(t.Context(), dir, Options{})
	if err == nil || !strings.HasSuffix(err.Error(), at+" is mounted below it; unmount it first") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(base, "precious/file")); err != nil {
		t.Error(err)
	}
}
