package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/pkg/blobinfocache/none"
	"go.podman.io/image/v5/pkg/compression"
	"go.podman.io/image/v5/types"
	"golang.org/x/sync/errgroup"

	"github.com/rootcast/rootcast/convert/ctxio"
	"github.com/rootcast/rootcast/convert/spool"
)

// storeKey begins the Key of a layer that is taken as a local store has it.
const storeKey = "store:"

// atOnce is how many layers are fetched side by side.
const atOnce = 4

// fetcher brings the layers of one image to where they can be read at random.
type fetcher struct {
	ref      types.ImageReference
	src      types.ImageSource
	o        Options
	instance *digest.Digest

	total int64 // packed bytes of the layers, as far as they are known
	mu    sync.Mutex
	done  int64
}

func (f *fetcher) layers(ctx context.Context, sel *selected) ([]Layer, error) {
	infos, err := f.src.LayerInfosForCopy(ctx, f.instance)
	if err != nil {
		return nil, fmt.Errorf("listing its layers: %w", err)
	}
	if infos == nil {
		infos = sel.image.LayerInfos()
	}
	diffIDs := sel.config.RootFS.DiffIDs
	if len(infos) != len(diffIDs) {
		return nil, fmt.Errorf("its manifest has %d layers, its configuration %d", len(infos), len(diffIDs))
	}
	if len(infos) == 0 {
		return nil, errors.New("it has no layers")
	}
	layers, err := f.inPlace(infos, diffIDs)
	if err != nil {
		return nil, errors.Join(err, (&Image{Layers: layers}).Close())
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	if !f.src.HasThreadSafeGetBlob() && !f.isDirectory() {
		g.SetLimit(1)
	}
	for _, i := range largestFirst(infos) {
		info := infos[i]
		if layers[i].Tar != nil {
			continue
		}
		g.Go(func() (err error) {
			err = again(ctx, f.ref, func() error {
				layers[i], err = f.layer(ctx, info, diffIDs[i])
				return err
			})
			if err != nil {
				return fmt.Errorf("layer %s: %w", info.Digest, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, errors.Join(err, (&Image{Layers: layers}).Close())
	}
	return layers, nil
}

// largestFirst orders layers so that none that takes long begins when all others are done.
func largestFirst(infos []types.BlobInfo) []int {
	order := make([]int, len(infos))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(infos[b].Size, infos[a].Size) })
	return order
}

// inPlace opens what a local store has of the layers, and counts what has to come
// from elsewhere. The other layers have no Tar yet.
func (f *fetcher) inPlace(infos []types.BlobInfo, diffIDs []digest.Digest) ([]Layer, error) {
	layers := make([]Layer, len(infos))
	for _, info := range infos {
		if err := checkMediaType(info.MediaType); err != nil {
			return layers, fmt.Errorf("layer %s: %w", info.Digest, err)
		}
	}
	stored, err := openStore(f.ref, diffIDs)
	if err != nil {
		return layers, err
	}
	if f.ref.Transport().Name() == docker.Transport.Name() {
		stored = findLayers(f.o.Store, diffIDs)
	}
	for i, info := range infos {
		tar, err := stored.open(i, info.Digest.String())
		switch {
		case err != nil:
			return layers, fmt.Errorf("layer %s: %w", info.Digest, err)
		case tar != nil:
			layers[i] = Layer{Digest: info.Digest, DiffID: diffIDs[i], Key: storeKey + diffIDs[i].String(), Size: tar.size, Tar: tar}
		default:
			f.total += max(info.Size, 0)
		}
	}
	return layers, nil
}

// report counts n more bytes that have come.
func (f *fetcher) report(n int) {
	if f.o.Progress == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done += int64(n)
	f.o.Progress(f.done, max(f.total, f.done))
}

func (f *fetcher) layer(ctx context.Context, info types.BlobInfo, diffID digest.Digest) (Layer, error) {
	l := Layer{Digest: info.Digest, DiffID: diffID}
	blob, size, err := f.getBlob(ctx, info)
	if err != nil {
		return l, err
	}
	defer func() {
		if blob != nil {
			_ = blob.Close() // it was only read
		}
	}()
	if plain, ok := blob.(*os.File); ok && info.Digest == diffID && f.ref.Transport().Name() == "containers-storage" {
		// The store has made the layer's tar from its own files, and checked it, into an unlinked file.
		l.Key, l.Tar, l.Size, blob = storeKey+diffID.String(), plain, size, nil
		return l, nil
	}
	file, size, err := f.spool(ctx, blob, info, diffID)
	if err != nil {
		return l, err // and no nil file in an interface that is not nil
	}
	l.Key, l.Tar, l.Size = diffID.String(), file, size
	return l, nil
}

// getBlob never asks a place that the manifest names: what an image is made of
// comes from where the image is.
func (f *fetcher) getBlob(ctx context.Context, info types.BlobInfo) (io.ReadCloser, int64, error) {
	urls := info.URLs
	info.URLs = nil
	blob, size, err := f.readBlob(ctx, info)
	if err != nil && (len(urls) > 0 || isForeign(info.MediaType)) {
		err = fmt.Errorf("it is a foreign layer, which is not kept with the image (%s): %w", strings.Join(append([]string{info.MediaType}, urls...), ", "), err)
	}
	return blob, size, err
}

// isDirectory tells of the transports whose blobs are files in a directory. They
// do not say that several can be read at a time, and a source for each can.
func (f *fetcher) isDirectory() bool {
	name := f.ref.Transport().Name()
	return name == "oci" || name == "dir"
}

func (f *fetcher) readBlob(ctx context.Context, info types.BlobInfo) (io.ReadCloser, int64, error) {
	if !f.isDirectory() {
		return f.src.GetBlob(ctx, info, none.NoCache)
	}
	src, err := f.ref.NewImageSource(ctx, f.o.System)
	if err != nil {
		return nil, 0, err
	}
	blob, size, err := src.GetBlob(ctx, info, none.NoCache)
	if err != nil {
		return nil, 0, errors.Join(err, src.Close())
	}
	return ownBlob{blob, src}, size, nil
}

// ownBlob is a blob with a source of its own.
type ownBlob struct {
	io.ReadCloser
	src io.Closer
}

func (b ownBlob) Close() error { return errors.Join(b.ReadCloser.Close(), b.src.Close()) }

// isForeign tells of the types of layers that registries need not hold: Docker's
// "foreign" and OCI's "nondistributable".
func isForeign(mediaType string) bool {
	return strings.Contains(mediaType, ".foreign.") || strings.Contains(mediaType, ".nondistributable.")
}

func checkMediaType(mediaType string) error {
	switch {
	case strings.HasSuffix(mediaType, "+encrypted"):
		return fmt.Errorf("it is encrypted (%s); decrypt the image first", mediaType)
	case mediaType == "" || mediaType == manifest.DockerV2SchemaLayerMediaTypeUncompressed || strings.Contains(mediaType, "tar"):
		return nil
	}
	return fmt.Errorf("it is no file system layer but %s", mediaType)
}

// spool checks, decompresses and checks again, on the way to an unlinked file.
func (f *fetcher) spool(ctx context.Context, blob io.Reader, info types.BlobInfo, diffID digest.Digest) (_ *os.File, _ int64, err error) {
	if err := errors.Join(info.Digest.Validate(), diffID.Validate()); err != nil {
		return nil, 0, err
	}
	file, err := spool.File(f.o.TempDir)
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	packed := &verifiedReader{r: ctxio.NewReader(ctx, blob, f.report), v: info.Digest.Verifier(), want: info.Size}
	plain, err := decompress(ctx, packed)
	if err != nil {
		return nil, 0, fmt.Errorf("decompressing: %w", err)
	}
	defer plain.Close()
	diff := diffID.Verifier()
	const block = 256 << 10
	size, err := io.CopyBuffer(io.MultiWriter(&spoolWriter{f: file, limit: f.o.MaxLayerSize}, diff), onlyReader{plain}, make([]byte, block))
	if err != nil {
		return nil, 0, err
	}
	if err := packed.drain(); err != nil {
		return nil, 0, err
	}
	if !diff.Verified() {
		return nil, 0, fmt.Errorf("its content does not have the digest %s that the image's configuration gives", diffID)
	}
	return file, size, nil
}

// zstdWindow is the most memory that a layer by zstd may ask for, as of zstd
// itself without --long; each of those that are fetched side by side may.
const zstdWindow = 128 << 20

func decompress(ctx context.Context, r io.Reader) (io.ReadCloser, error) {
	format, unpack, r, err := compression.DetectCompressionFormat(r)
	switch {
	case err != nil:
		return nil, err
	case unpack == nil:
		return io.NopCloser(r), nil
	case format.Name() == compression.Gzip.Name():
		return gunzip(ctx, r)
	case format.Name() == compression.Zstd.Name():
		d, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}
	return unpack(r)
}

// onlyReader hides the WriteTo of decompressors, some of which report a failed
// write as a short one and lose its reason.
type onlyReader struct{ io.Reader }

// spoolWriter says what a full disk means here, and takes no more than a limit.
type spoolWriter struct {
	f           *os.File
	size, limit int64
}

func (s *spoolWriter) Write(p []byte) (int, error) {
	if s.size += int64(len(p)); s.limit > 0 && s.size > s.limit {
		return 0, fmt.Errorf("it unpacks to more than the limit of %d bytes, which --max-layer-size raises", s.limit)
	}
	n, err := s.f.Write(p)
	if err != nil {
		err = fmt.Errorf("spooling the layer (choose another directory with TMPDIR): %w", err)
	}
	return n, err
}

// verifiedReader checks a blob's digest and, where it is known, its size.
type verifiedReader struct {
	r    io.Reader
	v    digest.Verifier
	want int64 // -1: not known
	got  int64
}

func (v *verifiedReader) Read(p []byte) (int, error) {
	n, err := v.r.Read(p)
	v.got += int64(n)
	if _, werr := v.v.Write(p[:n]); werr != nil {
		return n, werr
	}
	if v.want >= 0 && v.got > v.want {
		return n, fmt.Errorf("it is longer than the %d bytes that its manifest gives", v.want)
	}
	return n, err
}

// drain reads what a decompressor has left, then judges.
func (v *verifiedReader) drain() error {
	if _, err := io.Copy(io.Discard, v); err != nil {
		return err
	}
	switch {
	case v.want >= 0 && v.got < v.want:
		return fmt.Errorf("it ends after %d of %d bytes: %w", v.got, v.want, io.ErrUnexpectedEOF)
	case !v.v.Verified():
		return errors.New("its bytes do not have its digest: it was changed or damaged on the way")
	}
	return nil
}
