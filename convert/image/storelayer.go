package image

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
	"github.com/vbatts/tar-split/tar/storage"
	istorage "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/types"
	cstorage "go.podman.io/storage"
	graphdriver "go.podman.io/storage/drivers"
	"golang.org/x/sys/unix"
)

// storedTar is the plain tar of a layer that a local store keeps as a directory
// and a record of the tar's headers (github.com/vbatts/tar-split). Nothing is
// copied: a read of a header comes from the record, a read of a body from the
// file. It is the same tar, to the byte, that a registry would give.
type storedTar struct {
	dir     *os.File // the layer's directory
	pieces  []piece
	size    int64
	release func() error // gives the directory back to the store; nil: nothing to give
}

// piece is a run of bytes of the tar: either headers and padding, or a file's.
type piece struct {
	off, size int64
	raw       []byte
	name      string
}

var _ Tar = (*storedTar)(nil)

// openStoredTar reads the record of a layer whose files are in dir.
func openStoredTar(ctx context.Context, dir string, record io.Reader) (*storedTar, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	t := &storedTar{dir: d}
	entries := storage.NewJSONUnpacker(record)
	for {
		e, err := entries.Next()
		if err == nil {
			err = ctx.Err()
		}
		switch {
		case errors.Is(err, io.EOF):
			return t, nil
		case err != nil:
			return nil, errors.Join(fmt.Errorf("reading the record of its tar: %w", err), d.Close())
		case e.Type == storage.SegmentType:
			t.headers(e.Payload)
		case e.Size > 0:
			t.pieces = append(t.pieces, piece{off: t.size, size: e.Size, name: e.GetName()})
			t.size += e.Size
		}
	}
}

func (t *storedTar) headers(raw []byte) {
	if n := len(t.pieces); n > 0 && t.pieces[n-1].name == "" {
		t.pieces[n-1].raw = append(t.pieces[n-1].raw, raw...)
		t.pieces[n-1].size += int64(len(raw))
	} else {
		t.pieces = append(t.pieces, piece{off: t.size, size: int64(len(raw)), raw: raw})
	}
	t.size += int64(len(raw))
}

// ReadAt implements io.ReaderAt; any number may read at a time.
func (t *storedTar) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	done := 0
	i := sort.Search(len(t.pieces), func(i int) bool { return t.pieces[i].off+t.pieces[i].size > off })
	for ; done < len(p) && i < len(t.pieces); i++ {
		at := &t.pieces[i]
		inside := off + int64(done) - at.off
		want := min(int64(len(p)-done), at.size-inside)
		n, err := t.readPiece(p[done:done+int(want)], at, inside)
		done += n
		if err != nil {
			return done, err
		}
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

func (t *storedTar) readPiece(p []byte, at *piece, inside int64) (int, error) {
	if at.name == "" {
		return copy(p, at.raw[inside:]), nil
	}
	f, err := openBeneath(t.dir, at.name)
	if err != nil {
		return 0, fmt.Errorf("opening %q in the store: %w", at.name, err)
	}
	defer f.Close()
	n, err := f.ReadAt(p, inside)
	if err != nil {
		return n, fmt.Errorf("reading %q in the store, which should have %d bytes: %w", at.name, at.size, noEOF(err))
	}
	return n, nil
}

// noEOF keeps a short file from looking like the end of the tar.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// openBeneath opens a file of the layer as if its directory were the root: a
// symlink that the layer holds must not lead to a file of this machine.
func openBeneath(dir *os.File, name string) (*os.File, error) {
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NONBLOCK, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	name = strings.TrimLeft(name, "/")
	fd, err := unix.Openat2(int(dir.Fd()), name, &how)
	switch {
	case errors.Is(err, unix.ENOSYS): // before Linux 5.6
		return os.OpenInRoot(dir.Name(), name)
	case err != nil:
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Close releases the layer's directory.
func (t *storedTar) Close() error {
	err := t.dir.Close()
	if t.release != nil {
		err = errors.Join(err, t.release())
	}
	return err
}

// storeLayers finds where a local store keeps the image's layers.
type storeLayers struct {
	store   cstorage.Store
	diffIDs []digest.Digest // the lowest first
	ids     []string        // of the store's layers, likewise
}

// openStore returns nil where ref is not of a local store, or where the store
// keeps its layers in a way that cannot be read in place.
func openStore(ref types.ImageReference, diffIDs []digest.Digest) (*storeLayers, error) {
	if ref.Transport().Name() != istorage.Transport.Name() {
		return nil, nil
	}
	where, _, _ := strings.Cut(strings.TrimPrefix(ref.StringWithinTransport(), "["), "]")
	driver, root, _ := strings.Cut(where, "@")
	root, run, _ := strings.Cut(root, "+")
	run, _, _ = strings.Cut(run, ":")
	store, err := cstorage.GetStore(cstorage.StoreOptions{GraphDriverName: driver, GraphRoot: root, RunRoot: run})
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	_, img, err := istorage.ResolveReference(ref)
	if err != nil {
		return nil, err
	}
	s := &storeLayers{store: store, diffIDs: diffIDs, ids: make([]string, len(diffIDs))}
	id := img.TopLayer
	for i := len(diffIDs) - 1; i >= 0; i-- {
		l, err := store.Layer(id)
		if err != nil || l.UncompressedDigest != diffIDs[i] {
			return nil, nil //nolint:nilerr // made in another way, such as from a zstd:chunked table: read it by its blobs
		}
		s.ids[i], id = id, l.Parent
	}
	return s, nil
}

// layer opens the i-th layer in place; no Tar means that it has to be copied.
func (s *storeLayers) layer(ctx context.Context, i int, info types.BlobInfo) (Layer, error) {
	if s == nil {
		return Layer{}, nil
	}
	record, err := os.Open(filepath.Join(s.store.GraphRoot(), s.store.GraphDriverName()+"-layers", s.ids[i]+".tar-split.gz"))
	if os.IsNotExist(err) {
		return Layer{}, nil
	}
	if err != nil {
		return Layer{}, err
	}
	defer record.Close()
	dir, release, err := s.dir(s.ids[i])
	if dir == "" || err != nil {
		return Layer{}, err
	}
	plain, err := gzip.NewReader(bufio.NewReaderSize(record, 256<<10))
	if err != nil {
		return Layer{}, errors.Join(fmt.Errorf("reading the record of its tar: %w", err), release())
	}
	tar, err := openStoredTar(ctx, dir, plain)
	if err != nil {
		return Layer{}, errors.Join(err, release())
	}
	tar.release = release
	return Layer{Digest: info.Digest, DiffID: s.diffIDs[i], Size: tar.size, Tar: tar}, nil
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
	return place["UpperDir"], nothing, err
}
