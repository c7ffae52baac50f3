package media

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// need skips where a tool is missing; in CI it must be there.
func need(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		_, err := exec.LookPath(name)
		if _, serr := os.Stat("/usr/sbin/" + name); err == nil || serr == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed, and in CI it must be", name)
		}
		t.Skipf("%s is not installed", name)
	}
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "PATH="+os.Getenv("PATH")+":/usr/sbin")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

var longName = strings.Repeat("long-name.", 20) + "rpm"

// source is a directory with what media have: modes, links, long and deep names,
// more files than fit into a sector of the directory.
func source(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "src")
	files := map[string]string{
		".discinfo":               "1700000000.1\nRocky Linux 9.4\nx86_64\n1\n",
		"BaseOS/Packages/b/bash":  strings.Repeat("bash", 10000),
		"BaseOS/" + longName:      "long",
		"empty":                   "",
		"EFI/BOOT/grub.cfg":       "set timeout=1\n",
		"a/b/c/d/e/f/g/h/i/j/k/l": "deep", // deeper than ISO 9660 permits
		"name with ümlaut €":      "utf-8",
		"UPPER.lower;1x":          "semicolon",
	}
	for i := range 200 {
		files[fmt.Sprintf("many/file-number-%03d.rpm", i)] = strings.Repeat("x", i*7)
	}
	for name, text := range files {
		name = filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(name), 0o755))
		must(t, os.WriteFile(name, []byte(text), 0o644))
	}
	must(t, os.Chmod(filepath.Join(dir, "EFI/BOOT/grub.cfg"), 0o755))
	must(t, os.Mkdir(filepath.Join(dir, "nothing"), 0o755))
	must(t, os.Symlink(".", filepath.Join(dir, "self")))
	must(t, os.Symlink("../BaseOS/Packages/b/bash", filepath.Join(dir, "EFI/link")))
	must(t, os.Symlink(strings.Repeat("not/there/", 50)+"x", filepath.Join(dir, "EFI/longlink")))
	must(t, filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type() != fs.ModeSymlink {
			when := time.Unix(1700000000, 0)
			err = os.Chtimes(name, when, when)
		}
		return err
	}))
	return dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// listing is a line for each file: type and mode, size or target, and digest.
func listing(t *testing.T, fsys fs.ReadLinkFS, o listOptions) map[string]string {
	t.Helper()
	list := map[string]string{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." || name == "rr_moved" || name == fingerprintFile {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		line := info.Mode().Type().String()
		if o.modes && !d.IsDir() && d.Type() == 0 {
			line = info.Mode().String()
		}
		if o.times && d.Type() == 0 {
			line += info.ModTime().UTC().Format(" 2006-01-02T15:04:05")
		}
		switch d.Type() {
		case fs.ModeSymlink:
			target, err := fsys.ReadLink(name)
			if err != nil {
				return err
			}
			line += " -> " + target
		case 0:
			sum, err := digest(fsys, name)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %d %s", info.Size(), sum)
		}
		list[name] = line
		return nil
	})
	must(t, err)
	return list
}

type listOptions struct{ modes, times bool }

func digest(fsys fs.FS, name string) (string, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)[:8]), err
}

func openTest(t *testing.T, name string) *Medium {
	t.Helper()
	m, err := Open(name)
	must(t, err)
	t.Cleanup(func() { m.Close() })
	return m
}

func dirFS(t *testing.T, name string) fs.ReadLinkFS {
	t.Helper()
	return openTest(t, name).Files
}

func TestImages(t *testing.T) {
	need(t, "xorriso", "genisoimage")
	src, short := source(t), source(t)
	must(t, os.Remove(filepath.Join(short, "EFI", "longlink"))) // genisoimage 1.1.11 never ends on it
	all := listOptions{modes: true, times: true}
	// Without Rock Ridge genisoimage leaves out links and what is deep, and changes the semicolon.
	noUnix := []string{"self", "EFI/link", "a/b/c/d/e/f/g/h", "BaseOS/long-name", "UPPER"}
	tests := []struct {
		name   string
		tool   []string
		format Format
		same   listOptions
		drop   []string // names that begin so, which the format cannot hold
	}{
		{name: "rock ridge by xorriso", tool: []string{"xorriso", "-as", "mkisofs", "-R", "-J", "-joliet-long"}, format: RockRidge, same: all},
		{name: "rock ridge alone by genisoimage", tool: []string{"genisoimage", "-R"}, format: RockRidge, same: all},
		{name: "rock ridge with directories that are moved", tool: []string{"xorriso", "-compliance", "deep_paths_off:iso_9660_level=3", "-as", "mkisofs", "-R"}, format: RockRidge, same: all},
		{name: "UDF bridge", tool: []string{"genisoimage", "-R", "-udf"}, format: RockRidge, same: all},
		{name: "joliet", tool: []string{"genisoimage", "-J", "-joliet-long", "-input-charset", "utf-8"}, format: Joliet, drop: noUnix},
		{name: "UDF without rock ridge", tool: []string{"genisoimage", "-udf", "-input-charset", "utf-8"}, format: UDF, drop: noUnix},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := src
			if tt.tool[0] == "genisoimage" {
				src = short
			}
			iso := filepath.Join(t.TempDir(), "x.iso")
			args := append(tt.tool[1:len(tt.tool):len(tt.tool)], "-quiet", "-V", "LABEL", "-o", iso, src)
			run(t, tt.tool[0], args...)
			m := openTest(t, iso)
			if m.Format != tt.format || m.Label != "LABEL" {
				t.Errorf("format %q, label %q", m.Format, m.Label)
			}
			got, want := listing(t, m.Files, tt.same), listing(t, dirFS(t, src), tt.same)
			for _, prefix := range tt.drop {
				isDropped := func(name, _ string) bool { return strings.HasPrefix(name, prefix) }
				maps.DeleteFunc(want, isDropped)
				maps.DeleteFunc(got, isDropped)
			}
			if len(got) < 200 {
				t.Errorf("%d files alone", len(got))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestOracle compares with what bsdtar and 7z unpack.
func TestOracle(t *testing.T) {
	need(t, "xorriso", "genisoimage", "bsdtar", "7z")
	src := source(t)
	dir := t.TempDir()
	hybrid, udf := filepath.Join(dir, "hybrid.iso"), filepath.Join(dir, "udf.iso")
	run(t, "xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "-joliet-long", "-o", hybrid, src)
	must(t, os.Remove(filepath.Join(src, "EFI", "longlink"))) // see TestImages
	run(t, "genisoimage", "-quiet", "-udf", "-input-charset", "utf-8", "-o", udf, src)
	for _, d := range []string{"bsdtar", "osirrox", "7z"} {
		must(t, os.Mkdir(filepath.Join(dir, d), 0o755))
	}
	run(t, "bsdtar", "-C", filepath.Join(dir, "bsdtar"), "-xf", hybrid)
	run(t, "xorriso", "-osirrox", "on", "-indev", hybrid, "-extract", "/", filepath.Join(dir, "osirrox"))
	run(t, "7z", "x", "-tudf", "-y", "-o"+filepath.Join(dir, "7z"), udf)
	o := listOptions{modes: true, times: true}
	got := listing(t, openTest(t, hybrid).Files, o)
	for _, d := range []string{"bsdtar", "osirrox"} {
		want := listing(t, dirFS(t, filepath.Join(dir, d)), o)
		if d == "bsdtar" { // libarchive 3.6 loses a slash where the target goes on in another entry
			want["EFI/longlink"] = got["EFI/longlink"]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", d, diff)
		}
	}
	if diff := cmp.Diff(listing(t, dirFS(t, filepath.Join(dir, "7z")), listOptions{}), listing(t, openTest(t, udf).Files, listOptions{})); diff != "" {
		t.Errorf("7z (-want +got):\n%s", diff)
	}
}

// TestLargeFile: more than 4 GiB are several extents in ISO 9660. The file is
// sparse; what is read of it is its end.
func TestLargeFile(t *testing.T) {
	need(t, "xorriso")
	if testing.Short() {
		t.Skip("it writes 4 GiB")
	}
	dir := t.TempDir()
	big := filepath.Join(dir, "src", "big.rpm")
	must(t, os.MkdirAll(filepath.Dir(big), 0o755))
	f, err := os.Create(big)
	must(t, err)
	const size = 4<<30 + 4<<20
	_, err = f.WriteAt([]byte("here is the end"), size-15)
	must(t, err)
	_, err = f.WriteAt([]byte("across"), 4<<30-4096)
	must(t, err)
	must(t, f.Close())
	iso := filepath.Join(dir, "big.iso")
	run(t, "sh", "-c", `xorriso -as mkisofs -quiet -iso-level 3 -R "$1" | cp --sparse=always /dev/stdin "$2"`, "sh", filepath.Dir(big), iso)
	m := openTest(t, iso)
	files, ok := m.Files.(*tree)
	if !ok {
		t.Fatalf("the format is %q", m.Format)
	}
	n := files.lookup("big.rpm")
	if n == nil || n.size != size || len(n.extents) < 2 {
		t.Fatalf("big.rpm is %+v", n)
	}
	for at, want := range map[int64]string{size - 15: "here is the end", 4<<30 - 4096: "across"} {
		got := readAt(t, files, n, at, len(want))
		if got != want {
			t.Errorf("at %d there is %q, want %q", at, got, want)
		}
	}
}

func readAt(t *testing.T, tr *tree, n *node, at int64, length int) string {
	t.Helper()
	r := &fileReader{t: tr, extents: n.extents, size: n.size}
	for at > 0 { // skips without reading
		step := min(at, r.extents[0].length)
		if step == r.extents[0].length {
			r.extents = r.extents[1:]
		} else {
			r.within = step
		}
		at, r.size = at-step, r.size-step
	}
	b := make([]byte, length)
	_, err := io.ReadFull(r, b)
	must(t, err)
	return string(b)
}

// TestEmptyUDF: mkudffs makes file systems of UDF alone.
func TestEmptyUDF(t *testing.T) {
	need(t, "mkudffs")
	for _, rev := range []string{"1.02", "1.50", "2.00", "2.01"} {
		for _, block := range []string{"512", "2048", "4096"} {
			t.Run(rev+" with blocks of "+block, func(t *testing.T) {
				img := filepath.Join(t.TempDir(), "x.udf")
				must(t, os.WriteFile(img, nil, 0o644))
				must(t, os.Truncate(img, 8<<20))
				run(t, "mkudffs", "--utf8", "-r", rev, "-b", block, "-l", "LÄBEL", img)
				m := openTest(t, img)
				if got := listing(t, m.Files, listOptions{}); m.Format != UDF || m.Label != "LÄBEL" || len(got) > 1 {
					t.Errorf("format %q, label %q, files %v", m.Format, m.Label, got)
				}
			})
		}
	}
}

// TestPureUDF: a bridge whose ISO 9660 is struck out is UDF alone.
func TestPureUDF(t *testing.T) {
	need(t, "genisoimage")
	src := source(t)
	must(t, os.Remove(filepath.Join(src, "EFI", "longlink"))) // see TestImages
	iso := filepath.Join(t.TempDir(), "x.iso")
	run(t, "genisoimage", "-quiet", "-R", "-udf", "-input-charset", "utf-8", "-o", iso, src)
	bridge := listing(t, openTest(t, iso).Files, listOptions{})
	f, err := os.OpenFile(iso, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	for sector := isoFirst; ; sector++ {
		b := make([]byte, 6)
		_, err := f.ReadAt(b, int64(sector)*isoSector)
		must(t, err)
		if string(b[1:]) != "CD001" {
			break
		}
		_, err = f.WriteAt(make([]byte, isoSector), int64(sector)*isoSector)
		must(t, err)
	}
	m := openTest(t, iso)
	if m.Format != UDF {
		t.Errorf("format %q", m.Format)
	}
	got := listing(t, m.Files, listOptions{})
	// genisoimage leaves links out of UDF, and changes the semicolon.
	for _, link := range []string{"self", "EFI/link", "UPPER.lower;1x", "UPPER.lower_1x"} {
		delete(bridge, link)
		delete(got, link)
	}
	if diff := cmp.Diff(bridge, got); diff != "" {
		t.Errorf("(-bridge +got):\n%s", diff)
	}
}

// TestFS: a medium is an fs.FS as the library means it.
func TestFS(t *testing.T) {
	need(t, "xorriso")
	src := source(t)
	must(t, os.Remove(filepath.Join(src, "self")))
	must(t, os.Remove(filepath.Join(src, "EFI", "longlink")))
	iso := filepath.Join(t.TempDir(), "x.iso")
	run(t, "xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", iso, src)
	m := openTest(t, iso)
	if err := fstest.TestFS(m.Files, "EFI/BOOT/grub.cfg", "a/b/c/d/e/f/g/h/i/j/k/l", "nothing"); err != nil {
		t.Error(err)
	}
	_, err := m.Files.Open("nope")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nope: %v", err)
	}
}

func TestNoMedium(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	must(t, os.WriteFile(text, bytes.Repeat([]byte("text\n"), 20000), 0o644))
	for name, want := range map[string]string{
		text:                      "it is neither an ISO 9660 nor a UDF image",
		filepath.Join(dir, "not"): "no such file",
		os.DevNull:                "it is neither",
	} {
		if _, err := Open(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
