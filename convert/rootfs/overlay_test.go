package rootfs_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// The kernel is the judge: layers that overlayfs can hold are mounted, and what
// the mount shows is compared with the merged tree.
func TestMergeLikeOverlayfs(t *testing.T) {
	rootfstest.NeedRoot(t)
	programs := map[string][][]rootfstest.Entry{}
	for _, tt := range mergeCases {
		programs[tt.name] = parse(t, tt.layers...)
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same in every run
	for i := range 300 {
		b := make([]byte, 20+random.IntN(100))
		for j := range b {
			b[j] = byte(random.Uint32())
		}
		programs[fmt.Sprint("random ", i)] = program(b)
	}
	programs["everything"] = parse(t, everything...)
	err := inNamespace(func(dir string) error {
		for name, layers := range programs {
			for i := range layers {
				layers[i] = plain(layers[i])
			}
			if err := compareOverlay(t, name, dir, layers); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// everything is what the random programs have too little of.
var everything = []string{
	`dir . 0755 mtime=1
	dir etc 0755 mtime=2
	file etc/passwd 0644 mtime=3.123456789 size=100000
	file etc/shadow 0640 0:42 mtime=4 xattr:trusted.k=v
	dir tmp 01777
	file bin 04755
	file g 02711 5:6
	symlink s etc/passwd mtime=5 7:8
	char null 0666 1 3 mtime=9
	block sda 0660 0:6 8 0
	fifo pipe 0622 1:1
	dir gone 0755
	file gone/a 0644
	dir var 0755
	dir var/lib 0755
	file var/lib/x 0644
	link hard etc/shadow
	link hardpipe pipe
	file "a b\nc" 0644 odd`,
	`dir . 0700 1:2 mtime=20 xattr:trusted.root=1
	dir etc 0711 9:9 mtime=21 xattr:trusted.dir=2
	file etc/shadow 0600 new
	wh gone
	dir var 0755 mtime=22
	dir var/lib 0700 mtime=23
	opq var/lib
	file var/lib/y 0644
	symlink null s
	dir s 0755
	file s/in 0644
	wh hardpipe`,
	`dir . 0755 3:4 mtime=30
	dir gone 0750 mtime=31
	file gone/b 0644 back
	file etc 0644 mtime=32 no-directory-any-more
	wh bin
	file var 0600
	char sda 0600 5 1`,
	`dir . 0755
	dir etc 0700 mtime=40
	dir var 0711 mtime=41
	link g2 g3
	file g3 06755 size=5000`,
}

// plain makes of a layer one that a directory can hold: each path once, each
// directory named before what is in it, links behind their targets, markers last.
func plain(layer []rootfstest.Entry) []rootfstest.Entry {
	p := plainLayer{have: map[string]string{".": "dir"}}
	layer = slices.Clone(layer)
	for i := range layer { // not every tmpfs takes others, nor a capability of nonsense
		attrs := map[string]string{}
		for k, v := range layer[i].Xattrs {
			attrs[strings.NewReplacer("user.", "trusted.", "security.", "trusted.").Replace(k)] = v
		}
		layer[i].Xattrs = attrs
		_, empty := attrs["trusted.overlay.whiteout"] // Linux before 6.7 does not know it
		if e := &layer[i]; empty || e.Verb == "char" && e.Major == 0 && e.Minor == 0 {
			e.Verb = "wh" // which is written as a device 0/0
		}
		if path.Clean(layer[i].Path) == "." {
			delete(attrs, "trusted.overlay.opaque") // overlayfs has no opaque root
		}
	}
	root := directory(".")
	last := map[string]rootfstest.Entry{}
	var links, marks []rootfstest.Entry
	for _, e := range layer {
		e.Path = path.Clean(strings.TrimLeft(e.Path, "/"))
		e.Target = strings.TrimPrefix(e.Target, "./")
		switch {
		case e.Verb == "opq" && e.Path == ".": // overlayfs has no opaque root
		case e.Verb == "wh" || e.Verb == "opq":
			marks = append(marks, e)
		case e.Verb == "link":
			links = append(links, e)
		case e.Path == ".":
			root = e
		default:
			last[e.Path] = e
		}
	}
	p.out = append(p.out, root)
	var paths []string
	for name := range last {
		paths = append(paths, name)
	}
	slices.Sort(paths)
	for _, name := range paths {
		p.add(last[name])
	}
	for _, e := range links {
		if v := p.have[e.Target]; v != "" && v != "dir" {
			p.add(e)
		}
	}
	slices.SortStableFunc(marks, func(a, b rootfstest.Entry) int { return strings.Compare(a.Path, b.Path) })
	for _, e := range marks {
		p.mark(e)
	}
	return p.out
}

func directory(name string) rootfstest.Entry {
	return rootfstest.Entry{Verb: "dir", Path: name, Mode: 0o755, ModTime: time.Unix(0, 0)}
}

type plainLayer struct {
	have map[string]string // verbs by path
	out  []rootfstest.Entry
}

// add adds an entry with its parents, if they can be directories.
func (p *plainLayer) add(e rootfstest.Entry) bool {
	if p.have[e.Path] != "" {
		return false
	}
	if dir := path.Dir(e.Path); p.have[dir] != "dir" && !p.add(directory(dir)) {
		return false
	}
	p.have[e.Path] = e.Verb
	p.out = append(p.out, e)
	return true
}

func (p *plainLayer) mark(e rootfstest.Entry) {
	if e.Verb == "wh" && p.have[e.Path] == "dir" {
		e.Verb = "opq" // what was there is hidden, what is new is not
	}
	if e.Verb == "wh" {
		p.add(e)
		return
	}
	if p.have[e.Path] == "" {
		p.add(directory(e.Path))
	}
	if p.have[e.Path] == "dir" {
		p.out = append(p.out, e)
	}
}

// compareOverlay mounts the layers below dir and compares.
func compareOverlay(t *testing.T, name, dir string, layers [][]rootfstest.Entry) error {
	want, err := mergeAll(layers)
	if err != nil {
		return err
	}
	dirs := []string{filepath.Join(dir, "empty")} // overlayfs wants two
	for i, layer := range layers {
		at := filepath.Join(dir, fmt.Sprint(i))
		if err := errors.Join(os.MkdirAll(at, 0o755), rootfstest.WriteDir(at, layer)); err != nil {
			return err
		}
		dirs = append([]string{at}, dirs...)
	}
	mount := filepath.Join(dir, "mount")
	if err := errors.Join(os.MkdirAll(mount, 0o755), os.MkdirAll(dirs[len(dirs)-1], 0o755)); err != nil {
		return err
	}
	if len(layers) == 0 {
		return nil
	}
	if err := unix.Mount("overlay", mount, "overlay", unix.MS_RDONLY, "lowerdir="+strings.Join(dirs, ":")); err != nil {
		return fmt.Errorf("mounting an overlay: %w", err)
	}
	got, err := rootfstest.ListDir(mount)
	if err := errors.Join(err, unix.Unmount(mount, 0)); err != nil {
		return err
	}
	if d := cmp.Diff(got, want); d != "" {
		t.Errorf("%s (-overlayfs +tree):\n%s\nof\n%s", name, d, text(layers))
	}
	for _, d := range dirs {
		if err := os.RemoveAll(d); err != nil {
			return err
		}
	}
	return nil
}

// inNamespace runs f in a mount namespace of its own, with an empty tmpfs, on a
// thread that ends with it: no mount can stay behind.
func inNamespace(f func(dir string) error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread is not used again
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
				return fmt.Errorf("making a mount namespace: %w", err)
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return fmt.Errorf("keeping mounts private: %w", err)
			}
			if err := unix.Mount("tmpfs", "/mnt", "tmpfs", 0, "mode=0755"); err != nil {
				return fmt.Errorf("mounting a tmpfs: %w", err)
			}
			return f("/mnt")
		}()
	}()
	return <-done
}

// A layer that hides and holds names at once must read the same whatever the
// order of its markers.
func TestMarkersInAnyOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // the same in every run
	for range 300 {
		b := make([]byte, 20+random.IntN(60))
		for j := range b {
			b[j] = byte(random.Uint32())
		}
		layers := program(b)
		var indexes []*rootfs.Index
		for i, entries := range layers {
			x, err := rootfstest.Index(fmt.Sprint(i+1), entries)
			if err != nil {
				t.Fatal(err)
			}
			indexes = append(indexes, x)
		}
		list := func() []string {
			tree, err := rootfs.Merge(context.Background(), indexes...)
			if err != nil {
				return []string{"error"}
			}
			lines, err := rootfstest.List(tree)
			if err != nil {
				t.Fatal(err)
			}
			return lines
		}
		want := list()
		for _, x := range indexes { // markers from the front to the back, and turned round
			var marks, files []rootfs.Entry
			for _, e := range x.Entries {
				if e.Kind == rootfs.Whiteout || e.Kind == rootfs.Opaque {
					marks = append(marks, e)
				} else {
					files = append(files, e)
				}
			}
			slices.Reverse(marks)
			x.Entries = append(files, marks...)
		}
		if d := cmp.Diff(want, list()); d != "" {
			t.Errorf("(-one order +other):\n%s\nof\n%s", d, text(layers))
		}
	}
}
