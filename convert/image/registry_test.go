package image_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/types"

	"github.com/rootcast/rootcast/convert/image"
)

// serve starts a registry behind a filter, which may answer itself.
func serve(t *testing.T, filter func(w http.ResponseWriter, r *http.Request) (done bool)) (host string) {
	t.Helper()
	reg := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if filter == nil || !filter(w, r) {
			reg.ServeHTTP(w, r)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func push(t *testing.T, host string, f *fixture) {
	t.Helper()
	manifest := f.seal(t).Digest
	send := func(method, path, mediaType string, body []byte) {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+host+"/v2/test/"+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", mediaType)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusCreated {
			t.Fatalf("%s %s: %s, %v", method, path, resp.Status, err)
		}
	}
	for d, blob := range f.blobs {
		send(http.MethodPost, "blobs/uploads/?digest="+d.String(), "application/octet-stream", blob)
	}
	send(http.MethodPut, "manifests/1", v1.MediaTypeImageManifest, f.blobs[manifest])
}

// plainHTTP is for a registry on loopback, whatever this machine is configured for.
func plainHTTP(t *testing.T) *types.SystemContext {
	t.Helper()
	return &types.SystemContext{
		DockerInsecureSkipTLSVerify: types.OptionalBoolTrue,
		DockerAuthConfig:            &types.DockerAuthConfig{},
		SystemRegistriesConfPath:    os.DevNull,
		SystemRegistriesConfDirPath: t.TempDir(),
		RegistriesDirPath:           t.TempDir(),
		DockerPerHostCertDirPath:    t.TempDir(),
	}
}

func TestOpenRegistry(t *testing.T) {
	for _, packed := range compressions {
		host := serve(t, nil)
		f := newFixture(t, packed...)
		push(t, host, f)
		for _, ref := range []string{"docker://" + host + "/test:1", "docker://" + host + "/test@" + f.seal(t).Digest.String()} {
			img, err := open(t, ref, image.Options{System: plainHTTP(t), Platform: "linux/amd64"})
			if err != nil {
				t.Fatal(err)
			}
			defer img.Close()
			checkTree(t, img)
			if want := strings.TrimPrefix(ref, "docker://"); img.Name != want || img.Digest != f.seal(t).Digest {
				t.Errorf("name %s, digest %s, want %s, %s", img.Name, img.Digest, want, f.seal(t).Digest)
			}
		}
	}
}

func TestOpenBadRegistry(t *testing.T) {
	f := newFixture(t, "gzip")
	layer := f.manifest.Layers[0]
	blob := f.blobs[layer.Digest]
	isLayer := func(r *http.Request) bool {
		return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, layer.Digest.String())
	}
	isManifest := func(r *http.Request) bool {
		return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/")
	}
	// answer gives body in place of what the registry has.
	answer := func(which func(*http.Request) bool, status int, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !which(r) {
				return false
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
			return true
		}
	}
	tests := []struct {
		name   string
		filter func(http.ResponseWriter, *http.Request) bool
		want   []string // parts of the message
	}{
		{"no such image", func(w http.ResponseWriter, r *http.Request) bool {
			r.URL.Path = strings.ReplaceAll(r.URL.Path, "/test/manifests/1", "/test/manifests/2")
			return false
		}, []string{"manifest unknown"}},
		{"wants a password", func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}, []string{"auth"}},
		{"says 500", answer(isManifest, 500, "broken"), []string{"500"}},
		{"answers with a web page", answer(isManifest, 200, "<html>Welcome!</html>"), []string{`reading its manifest of type "`}},
		{"answers with the wrong layer", answer(isLayer, 200, strings.Repeat("x", len(blob))), []string{"layer " + layer.Digest.String()}},
		{"answers with a short layer", answer(isLayer, 200, string(blob[:len(blob)/2])), []string{"layer " + layer.Digest.String()}},
		{"answers with a long layer", answer(isLayer, 200, string(blob)+"more"), []string{"layer " + layer.Digest.String()}},
		{"has lost the layer", answer(isLayer, 404, ""), []string{"layer " + layer.Digest.String()}},
		{"cuts the connection in a layer", func(w http.ResponseWriter, r *http.Request) bool {
			if !isLayer(r) {
				return false
			}
			w.Header().Set("Content-Length", "1000000")
			_, _ = w.Write(blob[:len(blob)/2])
			panic(http.ErrAbortHandler)
		}, []string{"layer " + layer.Digest.String()}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // some are tried again after a pause
			ready := false
			host := serve(t, func(w http.ResponseWriter, r *http.Request) bool { return ready && tt.filter(w, r) })
			push(t, host, newFixture(t, "gzip")) // one of its own: f again, byte for byte
			ready = true
			_, err := open(t, "docker://"+host+"/test:1", image.Options{System: plainHTTP(t)})
			checkError(t, err, "reading image "+host+"/test:1: ")
			for _, part := range tt.want {
				if err != nil && !strings.Contains(err.Error(), part) {
					t.Errorf("error %v, without %q", err, part)
				}
			}
		})
	}
	t.Run("is not there", func(t *testing.T) {
		t.Parallel()
		s := httptest.NewServer(http.NotFoundHandler())
		host := strings.TrimPrefix(s.URL, "http://")
		s.Close()
		_, err := open(t, "docker://"+host+"/test:1", image.Options{System: plainHTTP(t)})
		checkError(t, err, "reading image "+host+"/test:1: ")
	})
}

// What a foreign layer's manifest names is never asked, in whatever registry it is.
func TestOpenForeignFromRegistry(t *testing.T) {
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) bool {
		t.Error("the address in the manifest is asked")
		return false
	})
	f := newFixture(t, "gzip")
	l := &f.manifest.Layers[1]
	l.MediaType, l.URLs = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", []string{"http://" + elsewhere + "/layer"}
	gone := false
	host := serve(t, func(w http.ResponseWriter, r *http.Request) bool {
		if gone && strings.HasSuffix(r.URL.Path, l.Digest.String()) {
			w.WriteHeader(http.StatusNotFound)
			return true
		}
		return false
	})
	push(t, host, f)
	img, err := open(t, "docker://"+host+"/test:1", image.Options{System: plainHTTP(t)})
	if err != nil {
		t.Fatal(err)
	}
	checkTree(t, img)
	if err := img.Close(); err != nil {
		t.Error(err)
	}
	gone = true
	_, err = open(t, "docker://"+host+"/test:1", image.Options{System: plainHTTP(t)})
	checkError(t, err, "reading image "+host+"/test:1: layer "+l.Digest.String()+": it is a foreign layer, which is not kept with the image ("+
		"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip, http://"+elsewhere+"/layer): ")
}

// A connection that is cut once is not the end.
func TestOpenAgain(t *testing.T) {
	f := newFixture(t, "gzip")
	layer := f.manifest.Layers[0]
	cuts := 0
	host := serve(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, layer.Digest.String()) || cuts > 0 {
			return false
		}
		cuts++
		w.Header().Set("Content-Length", "1000000")
		_, _ = w.Write(f.blobs[layer.Digest][:10])
		panic(http.ErrAbortHandler)
	})
	push(t, host, f)
	img, err := open(t, "docker://"+host+"/test:1", image.Options{System: plainHTTP(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	checkTree(t, img)
	if cuts != 1 {
		t.Errorf("%d cuts", cuts)
	}
}

// A registry that stops in the middle of a layer does not hold a cancelled Open.
func TestOpenIsCancelled(t *testing.T) {
	f := newFixture(t, "gzip")
	layer := f.manifest.Layers[0]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	host := serve(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, layer.Digest.String()) {
			return false
		}
		w.Header().Set("Content-Length", "1000000")
		_, _ = w.Write(f.blobs[layer.Digest][:100])
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		cancel()
		<-r.Context().Done()
		return true
	})
	push(t, host, f)
	_, err := image.Open(ctx, "docker://"+host+"/test:1", image.Options{System: plainHTTP(t), TempDir: t.TempDir()})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
