package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/rootcast/rootcast/convert"
	"github.com/rootcast/rootcast/convert/crashtest"
	"github.com/rootcast/rootcast/convert/netboot"
)

// nodeImage writes an OCI layout of an image with a megabyte of files and returns
// its name.
func nodeImage(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(name string, mode int64, content []byte) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	add("boot/vmlinuz-6.1.0-1-test", 0o644, []byte("kernel"))
	add("sbin/init", 0o755, []byte("init"))
	noise := rand.NewChaCha8([32]byte{})
	for i := range 32 {
		content := make([]byte, 32<<10)
		_, _ = noise.Read(content)
		add(fmt.Sprintf("usr/share/noise/%d", i), 0o644, content)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture = "linux", "amd64"
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "node")
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendImage(img); err != nil {
		t.Fatal(err)
	}
	return "oci:" + dir
}

// TestConvertKilled kills converts all over their course and at each of their
// last steps, publishing among them: what nodes boot is one whole version each
// time, and the next convert leaves nothing behind, be it of the same image or not.
func TestConvertKilled(t *testing.T) {
	program, err := exec.LookPath("rootcast")
	if err != nil {
		t.Fatal(err)
	}
	image, dir := nodeImage(t), filepath.Join(t.TempDir(), "compute")
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	home := t.TempDir()
	run := func(name string, kill int) crashtest.Result {
		r, err := crashtest.Run(crashtest.Command{
			Args: []string{program, "convert", "--rootimgdir", dir, "--platform", "linux/amd64", "--append", name, image},
			Env:  append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home), Output: log, Kill: kill,
		})
		if err != nil {
			t.Fatal(err)
		}
		if !r.Killed && r.Exit != 0 {
			text, err := os.ReadFile(log.Name())
			t.Fatalf("convert failed: %s %v", text, err)
		}
		return r
	}
	run("version=old", 0)
	steps := run("version=new", 0).Changes
	const spread, last = 20, 25 // publishing takes the last score of steps
	var points []int
	for i := range spread {
		points = append(points, 1+i*(steps-last)/spread)
	}
	for i := range last {
		points = append(points, steps-i)
	}
	slices.Sort(points)
	replaced := 0
	for _, at := range slices.Compact(points) {
		run("version=old", 0)
		name := fmt.Sprintf("version=%d", at)
		if r := run(name, at); !r.Killed {
			t.Logf("it had only %d of %d steps this time", r.Changes, steps)
		}
		current := wholeVersion(t, dir)
		if current == name {
			replaced++
		} else if current != "version=old" {
			t.Errorf("killed at step %d of %d, nodes boot %q", at, steps, current)
		}
		for _, next := range []string{current, "version=next"} { // first one that has nothing to change
			run(next, 0)
			if current := wholeVersion(t, dir); current != next {
				t.Errorf("killed at step %d of %d, then converted with %s, nodes boot %q", at, steps, next, current)
			}
			if diff := cmp.Diff([]string{".history", ".lock", "current", "kernel", "manifest.json", "ramdisk.img", "versions"}, namesIn(t, dir)); diff != "" {
				t.Errorf("killed at step %d of %d, then converted with %s (-want +got):\n%s", at, steps, next, diff)
			}
			if got := namesIn(t, filepath.Join(dir, "versions")); len(got) > netboot.DefaultKeep || strings.HasPrefix(got[0], ".") {
				t.Errorf("killed at step %d of %d, then converted with %s: versions holds %v", at, steps, next, got)
			}
		}
	}
	t.Logf("killed at %d of %d steps; %d times the new version was there", len(points), steps, replaced)
	if replaced == 0 || steps < 30 {
		t.Errorf("killed at %d steps, of which %d came after the change", steps, replaced)
	}
}

// wholeVersion checks what nodes would get and returns its kernel arguments.
func wholeVersion(t *testing.T, dir string) string {
	t.Helper()
	m, err := netboot.ReadManifest(dir)
	if err == nil {
		err = convert.VerifyFiles(t.Context(), dir, m, nil) // by the names that a boot server knows
	}
	if err != nil {
		t.Error(err)
		return ""
	}
	return m.Arguments
}

func namesIn(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}
