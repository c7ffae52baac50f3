package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// Annotation is where the index of an OCI archive says which of its blobs is the
// bundle of its image's definition. Programs that do not know it see the image
// alone: a layout may have blobs that no manifest references
// (image-spec, image-layout.md, "Blobs").
const Annotation = "io.rootcast.osimage.bundle"

const (
	indexName  = "index.json"
	maxIndex   = 4 << 20
	ociLayout  = "oci-layout"
	blobPrefix = "blobs/sha256/"
)

// WriteOCI writes the OCI layout in dir as an archive, with the bundle as one of its
// blobs: the same layout and bundle give the same bytes.
func WriteOCI(ctx context.Context, w io.Writer, dir *os.Root, bundle *os.File, progress Progress) (err error) {
	sum := sha256.New()
	size, err := io.Copy(sum, bundle)
	if err != nil {
		return fmt.Errorf("reading the bundle: %w", err)
	}
	id := digest.NewDigest(digest.SHA256, sum)
	index, err := annotate(dir, id)
	if err != nil {
		return err
	}
	a := &ociArchive{archive{tar: tar.NewWriter(w), ctx: ctx.Err, progress: progress, total: size}, dir}
	err = fs.WalkDir(dir.FS(), ".", func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			a.total += info.Size()
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := a.layout(index); err != nil {
		return fmt.Errorf("writing the OCI archive: %w", err)
	}
	if _, err := bundle.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := a.copy(blobPrefix+id.Encoded(), bundle, size); err != nil {
		return fmt.Errorf("writing the OCI archive: %w", err)
	}
	return a.tar.Close()
}

// annotate is the layout's index with the annotation.
func annotate(dir *os.Root, bundle digest.Digest) ([]byte, error) {
	text, err := dir.ReadFile(indexName)
	if err != nil {
		return nil, err
	}
	var index map[string]any
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, fmt.Errorf("reading the image's %s: %w", indexName, err)
	}
	annotations, _ := index["annotations"].(map[string]any)
	if annotations == nil {
		annotations = map[string]any{}
	}
	annotations[Annotation] = bundle.String()
	index["annotations"] = annotations
	return json.Marshal(index)
}

// ociArchive is a layout's tar as it is written.
type ociArchive struct {
	archive
	dir *os.Root
}

func (a *ociArchive) layout(index []byte) error {
	return fs.WalkDir(a.dir.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil || name == ".":
			return err
		case e.IsDir():
			return a.archive.dir(name, time.Unix(0, 0))
		case name == indexName:
			return a.copy(name, bytes.NewReader(index), int64(len(index)))
		case !e.Type().IsRegular():
			return fmt.Errorf("%s is no file", name)
		}
		f, err := a.dir.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		return a.copy(name, f, info.Size())
	})
}

func (a *ociArchive) copy(name string, r io.Reader, size int64) error {
	h := header(name, time.Unix(0, 0))
	h.Size = size
	if err := a.tar.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.Copy(a.tar, &counter{r, &a.archive})
	return err
}

// FindOCI reads an OCI archive up to its bundle, and returns that. ok tells whether
// the file is an OCI archive; a nil reader, that it has no bundle.
func FindOCI(ctx context.Context, f io.ReadSeeker) (bundle *io.SectionReader, ok bool, err error) {
	t := tar.NewReader(f)
	type place struct{ at, size int64 }
	blobs := map[string]place{}
	var index []byte
	for range 100_000 {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err := errors.Join(err, ctx.Err()); err != nil {
			return nil, ok, err
		}
		name := path.Clean(strings.TrimPrefix(h.Name, "./"))
		if h.Typeflag != tar.TypeReg {
			continue
		}
		switch {
		case name == ociLayout:
			ok = true
		case name == indexName:
			if index, err = io.ReadAll(io.LimitReader(t, maxIndex)); err != nil {
				return nil, ok, err
			}
		case strings.HasPrefix(name, blobPrefix):
			at, err := f.Seek(0, io.SeekCurrent)
			if err != nil {
				return nil, ok, err
			}
			blobs[strings.TrimPrefix(name, blobPrefix)] = place{at, h.Size}
		}
	}
	if !ok || index == nil {
		return nil, false, nil
	}
	var parsed struct {
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(index, &parsed); err != nil {
		return nil, true, fmt.Errorf("reading the archive's %s: %w", indexName, err)
	}
	text := parsed.Annotations[Annotation]
	if text == "" {
		return nil, true, nil
	}
	id, err := digest.Parse(text)
	if err != nil {
		return nil, true, fmt.Errorf("reading the archive's %s: %s: %w", indexName, Annotation, err)
	}
	blob, there := blobs[id.Encoded()]
	at, isAt := f.(io.ReaderAt)
	if !there || !isAt || id.Algorithm() != digest.SHA256 {
		return nil, true, fmt.Errorf("the archive lacks the blob %s that its %s calls the definition's bundle", id, indexName)
	}
	bundle = io.NewSectionReader(at, blob.at, blob.size)
	sum, err := digest.SHA256.FromReader(bundle)
	if err == nil && sum != id {
		err = fmt.Errorf("the definition's bundle in the archive is damaged: it is %s, not %s", sum, id)
	}
	if err == nil {
		_, err = bundle.Seek(0, io.SeekStart)
	}
	return bundle, true, err
}
