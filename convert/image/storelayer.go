package image

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	istorage "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/types"
	cstorage "go.podman.io/storage"
	graphdriver "go.podman.io/storage/drivers"
)

// storeLayers finds where a local store keeps layers.
type storeLayers struct {
	store   cstorage.Store
	layers  [][]cstorage.Layer // for each of the image's, the lowest first, those of the store that hold the same
	foreign bool               // the image is from somewhere else, and can be read without the store
}

// openStore finds the layers of an image of a local store; nil where ref is of
// another transport, or where the store keeps them in a way that cannot be read
// in place.
func openStore(ref types.ImageReference, diffIDs []digest.Digest) (*storeLayers, error) {
	if !isStore(ref) {
		return nil, nil
	}
	store, err := storeAt(ref.StringWithinTransport())
	if err != nil {
		return nil, err
	}
	_, img, err := istorage.ResolveReference(ref)
	if err != nil {
		return nil, err
	}
	s := &storeLayers{store: store, layers: make([][]cstorage.Layer, len(diffIDs))}
	id := img.TopLayer
	for i := len(diffIDs) - 1; i >= 0; i-- {
		l, err := store.Layer(id)
		if err != nil || l.UncompressedDigest != diffIDs[i] {
			return nil, nil //nolint:nilerr // made in another way, such as from a zstd:chunked table: read it by its blobs
		}
		s.layers[i], id = []cstorage.Layer{*l}, l.Parent
	}
	return s, nil
}

// findLayers looks in the store called place ([Options].Store) for layers of
// an image from somewhere else; nil where that store cannot be read.
func findLayers(place string, diffIDs []digest.Digest) *storeLayers {
	if place == "" {
		return nil
	}
	store, err := storeAt(place)
	if err != nil {
		return nil
	}
	s := &storeLayers{store: store, layers: make([][]cstorage.Layer, len(diffIDs)), foreign: true}
	for i, d := range diffIDs {
		if found, err := store.LayersByUncompressedDigest(d); err == nil {
			s.layers[i] = found
		}
	}
	return s
}

// storeAt is the open store that "[DRIVER@ROOT+RUNROOT:OPTIONS]" names.
func storeAt(place string) (cstorage.Store, error) {
	place, _, _ = strings.Cut(strings.TrimPrefix(place, "["), "]")
	driver, root, _ := strings.Cut(place, "@")
	root, run, _ := strings.Cut(root, "+")
	run, _, _ = strings.Cut(run, ":")
	store, err := cstorage.GetStore(cstorage.StoreOptions{GraphDriverName: driver, GraphRoot: root, RunRoot: run})
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	return store, nil
}

func isStore(ref types.ImageReference) bool {
	return ref.Transport().Name() == istorage.Transport.Name()
}

// open opens the i-th layer, which messages call name, in place; nil means that the store does not have it so.
func (s *storeLayers) open(i int, name string) (*storedTar, error) {
	if s == nil {
		return nil, nil
	}
	for _, l := range s.layers[i] {
		tar, err := s.openLayer(l, name)
		if tar != nil || err != nil && !s.foreign {
			return tar, err
		}
	}
	return nil, nil
}

func (s *storeLayers) openLayer(l cstorage.Layer, name string) (*storedTar, error) {
	packed, err := s.record(l.ID)
	if packed == nil || err != nil {
		return nil, err
	}
	dir, release, err := s.dir(l.ID)
	if dir == "" || err != nil {
		return nil, errors.Join(err, packed.Close())
	}
	size := l.UncompressedSize
	if size <= 0 {
		size = -1
	}
	tar, err := openStoredTar(name, dir, packed, size)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	tar.release = release
	return tar, nil
}

// record opens the record of a layer's tar, wherever the store has its layers; nil: there is none.
func (s *storeLayers) record(id string) (*os.File, error) {
	driver, err := s.store.GraphDriver()
	if err != nil {
		return nil, err
	}
	for _, root := range append([]string{s.store.GraphRoot(), s.store.ImageStore()}, driver.AdditionalImageStores()...) {
		if root == "" {
			continue
		}
		f, err := os.Open(filepath.Join(root, s.store.GraphDriverName()+"-layers", id+".tar-split.gz"))
		if err == nil || !os.IsNotExist(err) {
			return f, err
		}
	}
	return nil, nil
}

// dir is where the files of a layer lie; "" where that is not one directory.
func (s *storeLayers) dir(id string) (dir string, release func() error, err error) {
	driver, err := s.store.GraphDriver()
	if err != nil {
		return "", nil, err
	}
	nothing := func() error { return nil }
	if driver.String() == "vfs" { // its layers are whole trees, and no mount is needed to see them
		dir, err = driver.Get(id, graphdriver.MountOpts{})
		return dir, func() error { return driver.Put(id) }, err
	}
	place, err := driver.Metadata(id)
	dir = place["UpperDir"]
	if _, noErr := os.Lstat(filepath.Join(filepath.Dir(dir), "composefs-data")); noErr == nil {
		return "", nil, nil // its files are named by their digests
	}
	return dir, nothing, err
}
