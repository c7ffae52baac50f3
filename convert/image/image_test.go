package image_test

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/pkg/compression"

	"github.com/rootcast/rootcast/convert/image"
	"github.com/rootcast/rootcast/convert/rootfs"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// fixture is an image as blobs, for tests to break.
type fixture struct {
	blobs    map[digest.Digest][]byte
	config   v1.Image
	manifest v1.Manifest
	refName  string // in a layout

	configType string // "": an image's
}

// layers are those of every image here.
var layers = []string{
	"dir etc 0755\nfile etc/os-release 0644 ID=test\nfile old 0644 size=300000\nchar null 0666 1 3",
	"file etc/hosts 0644 1:2 hosts\nlink hosts etc/hosts\nwh old",
	"file new 04755 size=100000",
}

// compressions are what the layers of an image may be packed by.
var compressions = [][]string{{"gzip", "zstd", "none"}, {"gzip"}, {"zstd"}, {"none"}, {"zstd:chunked"}, {"estargz"}}

// newFixture makes the image with a layer of each compression.
func newFixture(t testing.TB, packed ...string) *fixture {
	t.Helper()
	f := &fixture{blobs: map[digest.Digest][]byte{}}
	f.config = v1.Image{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}, RootFS: v1.RootFS{Type: "layers"}}
	for i, text := range layers {
		plain, err := io.ReadAll(rootfstest.Tar(t, text))
		if err != nil {
			t.Fatal(err)
		}
		f.config.RootFS.DiffIDs = append(f.config.RootFS.DiffIDs, digest.FromBytes(plain))
		f.manifest.Layers = append(f.manifest.Layers, f.add(compress(t, packed[i%len(packed)], plain)))
	}
	f.manifest.Versioned = specs.Versioned{SchemaVersion: 2}
	f.manifest.MediaType = v1.MediaTypeImageManifest
	return f
}

func (f *fixture) add(mediaType string, blob []byte) v1.Descriptor {
	d := digest.FromBytes(blob)
	f.blobs[d] = blob
	return v1.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(blob))}
}

func compress(t testing.TB, by string, plain []byte) (mediaType string, blob []byte) {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch by {
	case "gzip":
		w, mediaType = gzip.NewWriter(&b), v1.MediaTypeImageLayerGzip
	case "zstd":
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w, mediaType = z, v1.MediaTypeImageLayerZstd
	case "zstd:chunked":
		z, err := compression.CompressStream(&b, compression.ZstdChunked, nil)
		if err != nil {
			t.Fatal(err)
		}
		w, mediaType = z, v1.MediaTypeImageLayerZstd
	case "estargz":
		w, mediaType = &members{to: &b}, v1.MediaTypeImageLayerGzip
	default:
		return v1.MediaTypeImageLayer, plain
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return mediaType, b.Bytes()
}

// members packs each write, and each 50,000 bytes of one, as a gzip file of its own
// and puts an empty one behind, as estargz does.
type members struct{ to io.Writer }

func (m *members) Write(p []byte) (int, error) {
	done := 0
	for part := range slices.Chunk(p, 50_000) {
		z := gzip.NewWriter(m.to)
		n, err := z.Write(part)
		done += n
		if err := errors.Join(err, z.Close()); err != nil {
			return done, err
		}
	}
	return done, nil
}

func (m *members) Close() error {
	z := gzip.NewWriter(m.to)
	z.Extra = []byte("SG\x16\x000000000000000123STARGZ")
	return z.Close()
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// seal adds the configuration and the manifest as they are now.
func (f *fixture) seal(t testing.TB) v1.Descriptor {
	t.Helper()
	f.manifest.Config = f.add(cmp.Or(f.configType, v1.MediaTypeImageConfig), encode(t, f.config))
	d := f.add(f.manifest.MediaType, encode(t, f.manifest))
	d.Platform = &v1.Platform{OS: f.config.OS, Architecture: f.config.Architecture, Variant: f.config.Variant}
	if f.refName != "" {
		d.Annotations = map[string]string{v1.AnnotationRefName: f.refName}
	}
	return d
}

func write(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	for name, b := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// ociLayout writes an OCI layout that holds what the descriptors say.
func (f *fixture) ociLayout(t testing.TB, manifests ...v1.Descriptor) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string][]byte{
		"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`),
		"index.json": encode(t, v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: manifests}),
	}
	for d, b := range f.blobs {
		files["blobs/sha256/"+d.Encoded()] = b
	}
	write(t, dir, files)
	return dir
}

// dockerDir writes the image for the dir: transport.
func (f *fixture) dockerDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string][]byte{"version": []byte("Directory Transport Version: 1.1\n"), "manifest.json": f.blobs[f.seal(t).Digest]}
	for d, b := range f.blobs {
		files[d.Encoded()] = b
	}
	write(t, dir, files)
	return dir
}

// ggcrImage is the image as go-containerregistry has it.
func (f *fixture) ggcrImage(t testing.TB) ggcr.Image {
	t.Helper()
	d := f.seal(t)
	index, err := layout.ImageIndexFromPath(f.ociLayout(t, d))
	if err != nil {
		t.Fatal(err)
	}
	img, err := index.Image(ggcr.Hash{Algorithm: "sha256", Hex: d.Digest.Encoded()})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func tarOf(t testing.TB, dir string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// open opens ref and checks that no file stays in the place for spooled layers.
func open(t testing.TB, ref string, o image.Options) (*image.Image, error) {
	t.Helper()
	o.TempDir = t.TempDir()
	img, err := image.Open(t.Context(), ref, o)
	left, readErr := os.ReadDir(o.TempDir)
	if readErr != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, readErr)
	}
	return img, err
}

// checkTree compares what the image's layers make with what they were made of.
func checkTree(t *testing.T, img *image.Image) {
	t.Helper()
	var list []*rootfs.Index
	for _, l := range img.Layers {
		x, err := rootfs.IndexTar(t.Context(), rootfs.Layer{Name: l.Digest.String(), Tar: l.Tar, Size: l.Size})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, x)
	}
	tree, err := rootfs.Merge(t.Context(), list...)
	if err != nil {
		t.Fatal(err)
	}
	want, err := rootfstest.List(rootfstest.Tree(t, layers...))
	if err != nil {
		t.Fatal(err)
	}
	rootfstest.Diff(t, tree, strings.Join(want, "\n"))
}

func TestOpenTransports(t *testing.T) {
	for _, packed := range compressions {
		refs := map[string]func(f *fixture) string{
			"oci":         func(f *fixture) string { return "oci:" + f.ociLayout(t, f.seal(t)) },
			"oci by name": func(f *fixture) string { f.refName = "v1"; return "oci:" + f.ociLayout(t, f.seal(t)) + ":v1" },
			"oci-archive": func(f *fixture) string { return "oci-archive:" + tarOf(t, f.ociLayout(t, f.seal(t))) },
			"dir":         func(f *fixture) string { return "dir:" + f.dockerDir(t) },
			"docker-archive": func(f *fixture) string {
				file := filepath.Join(t.TempDir(), "image.tar")
				if err := tarball.WriteToFile(file, name.MustParseReference("example/test:1"), f.ggcrImage(t)); err != nil {
					t.Fatal(err)
				}
				return "docker-archive:" + file
			},
		}
		for transport, ref := range refs {
			t.Run(transport+" of "+strings.Join(packed, " "), func(t *testing.T) {
				f := newFixture(t, packed...)
				var done, all int64
				img, err := open(t, ref(f), image.Options{Platform: "linux/amd64", Progress: func(n, total int64) {
					if n < done || n > total {
						t.Errorf("progress %d of %d after %d", n, total, done)
					}
					done, all = n, total
				}})
				if err != nil {
					t.Fatal(err)
				}
				defer img.Close()
				checkTree(t, img)
				if img.Platform() != "linux/amd64" || done == 0 || done != all || img.Name == "" {
					t.Errorf("platform %s, %d bytes of %d reported, name %q", img.Platform(), done, all, img.Name)
				}
				for i, l := range img.Layers {
					if l.DiffID != f.config.RootFS.DiffIDs[i] {
						t.Errorf("layer %d is %s, want %s", i, l.DiffID, f.config.RootFS.DiffIDs[i])
					}
				}
				if err := img.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// broken are the ways in which an image may be bad, and what is said of it.
// LAYER stands for the second layer's digest.
var broken = []struct {
	name  string
	spoil func(t *testing.T, f *fixture)
	want  string
}{
	{"other bytes of the same size", func(_ *testing.T, f *fixture) {
		b := f.blobs[f.manifest.Layers[1].Digest]
		b[len(b)/2] ^= 1
	}, "layer LAYER: "},
	{"other bytes that decompress", func(t *testing.T, f *fixture) {
		_, f.blobs[f.manifest.Layers[1].Digest] = compress(t, "gzip", []byte("something else"))
		f.manifest.Layers[1].Size = int64(len(f.blobs[f.manifest.Layers[1].Digest]))
	}, "layer LAYER: its bytes do not have its digest"},
	{"cut off", func(_ *testing.T, f *fixture) {
		d := f.manifest.Layers[1].Digest
		f.blobs[d] = f.blobs[d][:len(f.blobs[d])/2]
	}, "layer LAYER: "},
	{"empty", func(_ *testing.T, f *fixture) { f.blobs[f.manifest.Layers[1].Digest] = nil }, "layer LAYER: "},
	{"longer than its manifest says", func(_ *testing.T, f *fixture) { f.manifest.Layers[1].Size-- }, "layer LAYER: "},
	{"shorter than its manifest says", func(_ *testing.T, f *fixture) { f.manifest.Layers[1].Size++ }, "layer LAYER: "},
	{"missing", func(_ *testing.T, f *fixture) { delete(f.blobs, f.manifest.Layers[1].Digest) }, "layer LAYER: "},
	{"not the content that the configuration gives", func(t *testing.T, f *fixture) {
		_, blob := compress(t, "gzip", []byte("something else"))
		f.manifest.Layers[1] = f.add(v1.MediaTypeImageLayerGzip, blob)
	}, "layer LAYER: its content does not have the digest DIFFID that the image's configuration gives"},
	{"not gzip, though it says so", func(_ *testing.T, f *fixture) {
		f.manifest.Layers[1] = f.add(v1.MediaTypeImageLayerGzip, []byte("<html>404</html>"))
	}, "layer LAYER: its content does not have the digest DIFFID"},
	{"encrypted", func(_ *testing.T, f *fixture) { f.manifest.Layers[1].MediaType += "+encrypted" }, "layer LAYER: it is encrypted (application/vnd.oci.image.layer.v1.tar+gzip+encrypted); decrypt the image first"},
	{"bigger than the limit", func(t *testing.T, f *fixture) {
		f.replace(t, "gzip", make([]byte, testLimit+1))
	}, "layer LAYER: it unpacks to more than the limit of 1048576 bytes, which --max-layer-size raises"},
	{"a bomb of gzip", func(t *testing.T, f *fixture) {
		f.replace(t, "gzip", make([]byte, 20*testLimit))
	}, "layer LAYER: it unpacks to more than the limit of 1048576 bytes, which --max-layer-size raises"},
	{"a bomb of zstd", func(t *testing.T, f *fixture) {
		f.replace(t, "zstd", make([]byte, 20*testLimit))
	}, "layer LAYER: it unpacks to more than the limit of 1048576 bytes, which --max-layer-size raises"},
	{"bigger than the limit, not packed", func(t *testing.T, f *fixture) {
		f.replace(t, "none", make([]byte, testLimit+1))
	}, "layer LAYER: it unpacks to more than the limit of 1048576 bytes, which --max-layer-size raises"},
	{"zstd that wants a window of 512 MiB", func(t *testing.T, f *fixture) {
		f.replace(t, "zstd", nil)
		f.manifest.Layers[1] = f.add(v1.MediaTypeImageLayerZstd, []byte("\x28\xb5\x2f\xfd\x00\x98\x01\x00\x00"))
	}, "layer LAYER: window size exceeded"},
	{"zstd that is cut off", func(t *testing.T, f *fixture) {
		f.replace(t, "zstd", rootfstest.Pattern(100_000))
		d := f.manifest.Layers[1].Digest
		f.manifest.Layers[1] = f.add(v1.MediaTypeImageLayerZstd, f.blobs[d][:len(f.blobs[d])/2])
	}, "layer LAYER: unexpected EOF"},
	{"gzip that is cut off, under a digest of its own", func(_ *testing.T, f *fixture) {
		d := f.manifest.Layers[1].Digest
		f.manifest.Layers[1] = f.add(v1.MediaTypeImageLayerGzip, f.blobs[d][:len(f.blobs[d])/2])
	}, "layer LAYER: CUT"},
	{"foreign and not there", func(_ *testing.T, f *fixture) {
		f.manifest.Layers[1].MediaType = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
		f.manifest.Layers[1].URLs = []string{"http://127.0.0.1:1/layer"}
		delete(f.blobs, f.manifest.Layers[1].Digest)
	}, "layer LAYER: it is a foreign layer, which is not kept with the image (application/vnd.oci.image.layer.nondistributable.v1.tar+gzip, http://127.0.0.1:1/layer): "},
	{"of an unknown type", func(_ *testing.T, f *fixture) { f.manifest.Layers[1].MediaType = "application/vnd.example.squashfs" }, "layer LAYER: it is no file system layer but application/vnd.example.squashfs"},
	{"an attestation", func(_ *testing.T, f *fixture) { f.manifest.Layers[1].MediaType = "application/vnd.in-toto+json" }, "layer LAYER: it is no file system layer but application/vnd.in-toto+json"},
	{"a diffID too few", func(_ *testing.T, f *fixture) { f.config.RootFS.DiffIDs = f.config.RootFS.DiffIDs[:2] }, "its manifest has 3 layers, its configuration 2"},
	{"a diffID too many", func(_ *testing.T, f *fixture) {
		f.config.RootFS.DiffIDs = append(f.config.RootFS.DiffIDs, digest.FromString("x"))
	}, "its manifest has 3 layers, its configuration 4"},
	{"a diffID that is none", func(_ *testing.T, f *fixture) { f.config.RootFS.DiffIDs[1] = "sha256:../../etc/passwd" }, "layer LAYER: "},
	{"no layers", func(_ *testing.T, f *fixture) { f.manifest.Layers, f.config.RootFS.DiffIDs = nil, nil }, "it has no layers"},
	{"a chart and no image", func(_ *testing.T, f *fixture) { f.configType = "application/vnd.cncf.helm.config.v1+json" }, "it is no image but has a configuration of type application/vnd.cncf.helm.config.v1+json"},
	{"a manifest of an unknown type", func(_ *testing.T, f *fixture) { f.manifest.MediaType = "application/vnd.example.manifest+json" }, `reading its manifest of type "application/vnd.example.manifest+json": `},
	{"a manifest of version 1", func(_ *testing.T, f *fixture) {
		f.manifest.SchemaVersion, f.manifest.MediaType = 1, "application/vnd.docker.distribution.manifest.v1+json"
	}, "reading its manifest of type "},
	{"another platform", func(_ *testing.T, f *fixture) { f.config.Architecture = "s390x" }, "it is for linux/s390x, not for linux/amd64"},
	{"a digest that is a path", func(_ *testing.T, f *fixture) { f.manifest.Layers[1].Digest = "sha256:../../../../etc/passwd" }, ""},
	{"a digest of no known kind", func(_ *testing.T, f *fixture) { f.manifest.Layers[1].Digest = "md5:d41d8cd98f00b204e9800998ecf8427e" }, ""},
}

// testLimit is the largest layer that these tests take.
const testLimit = 1 << 20

// replace puts another second layer in.
func (f *fixture) replace(t testing.TB, compression string, plain []byte) {
	t.Helper()
	f.config.RootFS.DiffIDs[1] = digest.FromBytes(plain)
	f.manifest.Layers[1] = f.add(compress(t, compression, plain))
}

// gunzips are the programs that unpack gzip, with what they say of a file that is
// cut off. Where igzip is not installed the library stands in for it.
func gunzips(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{"the library": "unexpected EOF"}
	if path, err := exec.LookPath("igzip"); err == nil {
		all["igzip"] = "running " + path + ": exit status 1: igzip: Error (null) does not contain a complete gzip file"
	} else if os.Getenv("CI") != "" && (runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64") {
		t.Error(err)
	}
	return all
}

// unpackBy makes this program the one that unpacks gzip.
func unpackBy(t *testing.T, program string) {
	t.Helper()
	if program == "the library" {
		t.Setenv("PATH", t.TempDir())
	}
}

func TestOpenBroken(t *testing.T) {
	for program, cut := range gunzips(t) {
		t.Run(program, func(t *testing.T) {
			unpackBy(t, program)
			testOpenBroken(t, cut)
		})
	}
}

func testOpenBroken(t *testing.T, cut string) {
	for _, tt := range broken {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, "gzip")
			tt.spoil(t, f)
			ref := "oci:" + f.ociLayout(t, f.seal(t))
			before := openFiles(t)
			img, err := open(t, ref, image.Options{Platform: "linux/amd64", MaxLayerSize: testLimit})
			want := tt.want
			if len(f.manifest.Layers) > 1 {
				want = strings.ReplaceAll(want, "LAYER", f.manifest.Layers[1].Digest.String())
				want = strings.ReplaceAll(want, "DIFFID", f.config.RootFS.DiffIDs[1].String())
			}
			want = strings.ReplaceAll(want, "CUT", cut)
			checkError(t, err, "reading image "+ref+": "+want)
			if img != nil {
				t.Error("an image comes with the error")
			}
			if after := openFiles(t); after > before {
				t.Errorf("%d files open, %d before", after, before)
			}
		})
	}
}

// What a layer's media type says of where it comes from does not matter if it is there.
func TestOpenForeign(t *testing.T) {
	for _, mediaType := range []string{
		"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
	} {
		f := newFixture(t, "gzip")
		f.manifest.Layers[1].MediaType = mediaType
		f.manifest.Layers[1].URLs = []string{"http://127.0.0.1:1/never-asked"}
		img, err := open(t, "oci:"+f.ociLayout(t, f.seal(t)), image.Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		checkTree(t, img)
		if err := img.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Members of a gzip file follow each other, and what follows the last is passed over.
func TestOpenGzip(t *testing.T) {
	for program := range gunzips(t) {
		for name, pack := range map[string]func(plain, packed []byte) []byte{
			"more bytes behind its end": func(_, packed []byte) []byte { return append(packed, "and more of what is no gzip"...) },
			"zeros behind its end":      func(_, packed []byte) []byte { return append(packed, make([]byte, 1000)...) },
			"members": func(plain, _ []byte) []byte {
				_, one := compress(t, "gzip", plain[:1000])
				_, two := compress(t, "gzip", plain[1000:])
				return append(one, two...)
			},
		} {
			t.Run(program+", "+name, func(t *testing.T) {
				unpackBy(t, program)
				f := newFixture(t, "gzip")
				plain, err := io.ReadAll(rootfstest.Tar(t, layers[1]))
				if err != nil {
					t.Fatal(err)
				}
				f.manifest.Layers[1] = f.add(v1.MediaTypeImageLayerGzip, pack(plain, f.blobs[f.manifest.Layers[1].Digest]))
				img, err := open(t, "oci:"+f.ociLayout(t, f.seal(t)), image.Options{})
				if err != nil {
					t.Fatal(err)
				}
				checkTree(t, img)
				if err := img.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// A layer of exactly the limit is taken, and without a limit any is.
func TestOpenLimit(t *testing.T) {
	f := newFixture(t, "gzip")
	largest := int64(rootfstest.Tar(t, layers[0]).Len())
	ref := "oci:" + f.ociLayout(t, f.seal(t))
	for limit, ok := range map[int64]bool{largest: true, 0: true, largest - 1: false} {
		img, err := open(t, ref, image.Options{MaxLayerSize: limit})
		if (err == nil) != ok {
			t.Errorf("limit %d: %v", limit, err)
		}
		if err == nil {
			if err := img.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// checkError wants one line that starts as want says.
func checkError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error\n%v, want\n%s", err, want)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// blank leaves blobs that are not JSON where JSON should be.
func TestOpenRubbish(t *testing.T) {
	f := newFixture(t, "gzip")
	d := f.seal(t)
	for name, spoil := range map[string]func(){
		"manifest":      func() { f.blobs[d.Digest] = []byte("<html>") },
		"configuration": func() { f.blobs[d.Digest] = encode(t, f.manifest); f.blobs[f.manifest.Config.Digest] = []byte("{}") },
	} {
		t.Run(name, func(t *testing.T) {
			spoil()
			ref := "oci:" + f.ociLayout(t, d)
			_, err := open(t, ref, image.Options{})
			checkError(t, err, "reading image "+ref+": ")
		})
	}
	for _, ref := range []string{"oci:/no/such/layout", "dir:/no/such", "docker-archive:/no/such.tar", "oci-archive:/no/such.tar"} {
		_, err := open(t, ref, image.Options{})
		checkError(t, err, "")
	}
	for _, ref := range []string{"nonsense:x", "", "docker://", "docker://UPPER/Case"} {
		_, err := open(t, ref, image.Options{})
		checkError(t, err, "opening image "+ref+": ")
	}
	for _, platform := range []string{"linux", "linux/", "/arm64", "linux/arm/v7/x"} {
		_, err := open(t, "oci:/x", image.Options{Platform: platform})
		checkError(t, err, fmt.Sprintf("platform %q is not OS/ARCH[/VARIANT], such as linux/arm64", platform))
	}
}

// indexOf puts an image of each platform into one index.
func indexOf(t testing.TB, platforms ...string) (*fixture, v1.Descriptor) {
	t.Helper()
	f := newFixture(t, "gzip")
	index := v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex}
	for _, p := range platforms {
		parts := append(strings.Split(p, "/"), "")
		f.config.OS, f.config.Architecture, f.config.Variant = parts[0], parts[1], parts[2]
		index.Manifests = append(index.Manifests, f.seal(t))
	}
	return f, f.add(v1.MediaTypeImageIndex, encode(t, index))
}

func TestOpenIndex(t *testing.T) {
	f, d := indexOf(t, "linux/amd64", "linux/arm64", "linux/arm/v7", "linux/ppc64le")
	ref := "oci:" + f.ociLayout(t, d)
	for _, tt := range []struct{ platform, want, err string }{
		{"linux/amd64", "linux/amd64", ""},
		{"linux/arm64", "linux/arm64", ""},
		{"linux/arm/v7", "linux/arm/v7", ""},
		{"linux/ppc64le", "linux/ppc64le", ""},
		{"linux/riscv64", "", "the index has no image for linux/riscv64; it has linux/amd64, linux/arm64, linux/arm/v7, linux/ppc64le"},
		{"windows/amd64", "", "the index has no image for windows/amd64; it has linux/amd64, linux/arm64, linux/arm/v7, linux/ppc64le"},
	} {
		t.Run(tt.platform, func(t *testing.T) {
			img, err := open(t, ref, image.Options{Platform: tt.platform})
			if tt.err != "" {
				checkError(t, err, "reading image "+ref+": "+tt.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer img.Close()
			checkTree(t, img)
			if img.Platform() != tt.want {
				t.Errorf("platform %s, want %s", img.Platform(), tt.want)
			}
		})
	}
}

// Every image's digest is the one of its own manifest, in an index or not.
func TestOpenDigests(t *testing.T) {
	f := newFixture(t, "gzip")
	d := f.seal(t)
	img, err := open(t, "oci:"+f.ociLayout(t, d), image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	got := []digest.Digest{img.Digest, img.ID}
	if diff := gocmp.Diff([]digest.Digest{d.Digest, f.manifest.Config.Digest}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPlatforms(t *testing.T) {
	for _, tt := range []struct {
		name  string
		index []string
		want  []string
		err   string
	}{
		{"an index in its order", []string{"linux/ppc64le", "linux/amd64", "linux/arm64/v8"}, []string{"linux/ppc64le", "linux/amd64", "linux/arm64/v8"}, ""},
		{"twice the same", []string{"linux/amd64", "linux/amd64"}, []string{"linux/amd64"}, ""},
		{"what nodes do not run", []string{"windows/amd64", "linux/arm64", "unknown/unknown"}, []string{"linux/arm64"}, ""},
		{"nothing else", []string{"windows/amd64", "unknown/unknown"}, nil, "the index has no image for linux; it has windows/amd64, unknown/unknown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, d := indexOf(t, tt.index...)
			ref := "oci:" + f.ociLayout(t, d)
			got, err := image.Platforms(t.Context(), ref, image.Options{TempDir: t.TempDir()})
			if tt.err != "" {
				checkError(t, err, "reading image "+ref+": "+tt.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlatformsOfOneImage(t *testing.T) {
	f := newFixture(t, "gzip")
	f.config.OS, f.config.Architecture = "linux", "ppc64le"
	got, err := image.Platforms(t.Context(), "oci:"+f.ociLayout(t, f.seal(t)), image.Options{TempDir: t.TempDir()})
	if diff := gocmp.Diff([]string{"linux/ppc64le"}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
