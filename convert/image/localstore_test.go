package image_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	cstorage "go.podman.io/storage"
	"go.podman.io/storage/pkg/reexec"

	"github.com/rootcast/rootcast/convert/image"
	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

func TestMain(m *testing.M) {
	if reexec.Init() { // the store unpacks layers in a process of its own
		return
	}
	os.Exit(m.Run())
}

// localStore is a store with the first n layers of the fixture, and its place.
func localStore(t *testing.T, driver string, f *fixture, n int) (store cstorage.Store, place string) {
	t.Helper()
	rootfstest.NeedRoot(t)
	dir := t.TempDir()
	root, run := filepath.Join(dir, "root"), filepath.Join(dir, "run")
	store, err := cstorage.GetStore(cstorage.StoreOptions{GraphDriverName: driver, GraphRoot: root, RunRoot: run})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := store.Shutdown(false); err != nil {
			t.Error(err)
		}
		store.Free()
		if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || bytes.Contains(mounts, []byte(dir)) {
			t.Errorf("left mounted below %s: %v", dir, err)
		}
	})
	parent := ""
	for _, l := range f.manifest.Layers[:n] {
		id := l.Digest.Encoded()
		if _, _, err := store.PutLayer(id, parent, nil, "", false, nil, bytes.NewReader(f.blobs[l.Digest])); err != nil {
			t.Fatal(err)
		}
		parent = id
	}
	return store, fmt.Sprintf("[%s@%s+%s]", driver, root, run)
}

// countingRegistry has the fixture and counts which layers are fetched.
func countingRegistry(t *testing.T, f *fixture) (host string, fetched func() []int) {
	t.Helper()
	var mu sync.Mutex
	times := make([]int, len(f.manifest.Layers))
	host = serve(t, func(_ http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		for i, l := range f.manifest.Layers {
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, l.Digest.String()) {
				times[i]++
			}
		}
		return false
	})
	push(t, host, f)
	return host, func() []int {
		mu.Lock()
		defer mu.Unlock()
		return append([]int(nil), times...)
	}
}

func TestLayersOfTheStoreAreNotFetched(t *testing.T) {
	for _, driver := range []string{"overlay", "vfs"} {
		t.Run(driver, func(t *testing.T) {
			f := newFixture(t, compressions[0]...)
			_, place := localStore(t, driver, f, 2)
			host, fetched := countingRegistry(t, f)
			var total int64
			img, err := open(t, "docker://"+host+"/test:1", image.Options{
				System: plainHTTP(t), Store: place, MaxLayerSize: 200_000, // the lowest has more, and is not fetched
				Progress: func(_, all int64) { total = all },
			})
			if err != nil {
				t.Fatal(err)
			}
			defer img.Close()
			checkTree(t, img)
			if diff := cmp.Diff([]int{0, 0, 1}, fetched()); diff != "" {
				t.Errorf("fetched layers (-want +got):\n%s", diff)
			}
			if total != f.manifest.Layers[2].Size {
				t.Errorf("progress told of %d bytes, one layer has %d", total, f.manifest.Layers[2].Size)
			}
			var keys []string
			for i, l := range img.Layers {
				keys = append(keys, strings.ReplaceAll(l.Key, f.config.RootFS.DiffIDs[i].String(), "DIFFID"))
				if _, ok := l.Tar.(rootfs.FileReader); ok != (i < 2) {
					t.Errorf("layer %d reads files: %v", i, ok)
				}
				if plain, err := io.Copy(io.Discard, io.NewSectionReader(l.Tar, 0, 1<<40)); err != nil || plain != l.Size {
					t.Errorf("layer %d: read %d of %d bytes, %v", i, plain, l.Size, err)
				}
			}
			if diff := cmp.Diff([]string{"store:DIFFID", "store:DIFFID", "DIFFID"}, keys); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
		})
	}
}

// What the store has is a reason to fetch less, never to fail.
func TestStoreThatDoesNotHelp(t *testing.T) {
	f := newFixture(t, "gzip")
	nothing := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(nothing, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	places := map[string]string{
		"no store":        "[vfs@" + nothing + "/root+" + nothing + "/run]",
		"no such driver":  "[none@" + t.TempDir() + "+" + t.TempDir() + "]",
		"no place at all": "rubbish",
	}
	_, places["other layers"] = localStore(t, "vfs", f, 0)
	store, place := localStore(t, "vfs", f, 3)
	places["no records"] = place
	records, err := filepath.Glob(filepath.Join(store.GraphRoot(), "vfs-layers", "*.tar-split.gz"))
	if err != nil || len(records) != 3 {
		t.Fatalf("records: %v, %v", records, err)
	}
	for _, name := range records {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	for name, place := range places {
		t.Run(name, func(t *testing.T) {
			host, fetched := countingRegistry(t, f)
			img, err := open(t, "docker://"+host+"/test:1", image.Options{System: plainHTTP(t), Store: place})
			if err != nil {
				t.Fatal(err)
			}
			defer img.Close()
			checkTree(t, img)
			if diff := cmp.Diff([]int{1, 1, 1}, fetched()); diff != "" {
				t.Errorf("fetched layers (-want +got):\n%s", diff)
			}
		})
	}
}

// An archive or a layout is read as it is, so that what is wrong with it is found.
func TestStoreIsForRegistries(t *testing.T) {
	f := newFixture(t, "gzip")
	_, place := localStore(t, "vfs", f, 3)
	f.blobs[f.manifest.Layers[1].Digest][20] ^= 1
	_, err := open(t, "oci:"+f.ociLayout(t, f.seal(t)), image.Options{Store: place})
	if err == nil || !strings.Contains(err.Error(), "layer "+f.manifest.Layers[1].Digest.String()) {
		t.Errorf("error %v", err)
	}
}

// A layer that is removed from the store while it is read is an error that names
// it, never a short file.
func TestStoredLayerIsRemoved(t *testing.T) {
	for _, driver := range []string{"overlay", "vfs"} {
		t.Run(driver, func(t *testing.T) {
			f := newFixture(t, "gzip")
			store, place := localStore(t, driver, f, 1)
			host, _ := countingRegistry(t, f)
			img, err := open(t, "docker://"+host+"/test:1", image.Options{System: plainHTTP(t), Store: place})
			if err != nil {
				t.Fatal(err)
			}
			defer img.Close()
			if err := store.DeleteLayer(f.manifest.Layers[0].Digest.Encoded()); err != nil {
				t.Fatal(err)
			}
			l := img.Layers[0]
			x, err := rootfs.IndexTar(t.Context(), rootfs.Layer{Name: l.DiffID.String(), Tar: l.Tar, Size: l.Size})
			if err != nil {
				t.Fatal(err) // the record is held open
			}
			failed := 0
			for _, e := range x.Entries {
				if e.Kind != rootfs.Add || e.Inode.Size == 0 {
					continue
				}
				_, err := io.Copy(io.Discard, e.Inode.Open())
				if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("opening %q of layer %s in the store: no such file", e.Path, l.Digest)) {
					t.Errorf("%s: error %v", e.Path, err)
				}
				failed++
			}
			if failed == 0 {
				t.Error("no file was read")
			}
			if files, ok := l.Tar.(rootfs.FileReader); ok {
				if _, err := files.ReadFileAt("old", make([]byte, 1), 0); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("error %v", err)
				}
			}
		})
	}
}
