package build

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker/reference"

	"github.com/rootcast/rootcast/build/buildtest"
)

// tags asks a registry for the tags of a repository.
func tags(t *testing.T, reg *buildtest.Registry, repository string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+reg.Addr+"/v2/"+repository+"/tags/list", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// plainHTTP is how the tests' registry is spoken to.
func plainHTTP() Registry {
	no := false
	return Registry{TLSVerify: &no}
}

func TestPushByDigest(t *testing.T) {
	reg := buildtest.NewRegistry(buildtest.Faults{})
	defer reg.Close()
	s := newStore(t)
	img, err := s.AddImage(t.Context(), spec(t, "base"))
	if err != nil {
		t.Fatal(err)
	}
	o := PushOptions{Registry: plainHTTP(), Retry: -1}
	pushed, err := s.PushByDigest(t.Context(), img.ID, reg.Addr+"/a/b", o)
	if err != nil {
		t.Fatal(err)
	}
	if want := reg.Addr + "/a/b@" + pushed.Digest.String(); len(pushed.Names) != 1 || pushed.Names[0] != want {
		t.Errorf("names %q, want %s", pushed.Names, want)
	}
	if got := tags(t, reg, "a/b"); strings.Contains(got, `"tags":["`) && !strings.Contains(got, "sha256:") {
		t.Errorf("it got a tag: %s", got)
	}
	other := newStore(t)
	pulled, err := other.pullNameless(t.Context(), named(t, reg.Addr+"/a/b"), pushed.Digest, PullOptions{Registry: plainHTTP()})
	if err != nil {
		t.Fatal(err)
	}
	if pulled.ID != img.ID || pulled.Digest != pushed.Digest || len(pulled.Names) > 0 {
		t.Errorf("pulled %+v, pushed %+v", pulled, pushed)
	}
	for name, tc := range map[string]struct{ image, repository, want string }{
		"no image":    {"none", reg.Addr + "/a", "pushing none: there is no such image"},
		"with a tag":  {"base", reg.Addr + "/a:1", "may have neither tag nor digest"},
		"no name":     {"base", reg.Addr + "/A", "repository"},
		"no registry": {"base", "127.0.0.1:1/a", "pushing to 127.0.0.1:1/a: "},
		"not its own": {"base", reg.Addr + "/a@" + pushed.Digest.String(), "may have neither tag nor digest"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.PushByDigest(t.Context(), tc.image, tc.repository, o)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func named(t *testing.T, text string) reference.Named {
	t.Helper()
	n, err := reference.ParseNormalizedNamed(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// request sends r as one machine would, and lets a second store do it as a node
// would.
func request(t *testing.T, r Recipe, platform string) (digest.Digest, string, error) {
	t.Helper()
	o := offload{platform: platform, recipe: r, files: []string{filepath.Join(r.Context, "Containerfile")}, contextDir: r.Context, log: io.Discard}
	in, out := io.Pipe()
	sent := make(chan error, 1)
	go func() { sent <- o.send(out, named(t, r.Tags[0])) }()
	var log bytes.Buffer
	tmp := t.TempDir()
	d, err := newStore(t).BuildRequested(t.Context(), in, NodeOptions{TempDir: tmp, Output: &log})
	in.Close()
	if serr := <-sent; serr != nil && err == nil {
		t.Errorf("sending: %v", serr)
	}
	left, lerr := filepath.Glob(filepath.Join(tmp, "rootcast-*"))
	if lerr != nil || len(left) > 0 {
		t.Errorf("left behind: %q %v", left, lerr)
	}
	return d, log.String(), err
}

func TestBuildRequested(t *testing.T) {
	reg := buildtest.NewRegistry(buildtest.Faults{})
	defer reg.Close()
	r := recipe(t, "FROM scratch\nARG WHO\nCOPY . /all/\nLABEL who=$WHO\n")
	r.Tags, r.Registry, r.Args, r.Retry = []string{reg.Addr + "/node"}, plainHTTP(), map[string]string{"WHO": "me"}, -1
	for name, text := range map[string]string{"secret.key": "hush", ".containerignore": "*.key\n.containerignore\nempty\n!empty/but\n", "empty/but": "this", "empty/not": "that"} {
		name = filepath.Join(r.Context, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	epoch := time.Unix(1600000000, 0)
	r.Timestamp = &epoch
	platform := "linux/" + runtime.GOARCH
	d, log, err := request(t, r, platform)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log, "STEP 3/4: COPY . /all/") || !strings.Contains(log, "pushing to "+reg.Addr+"/node\n") {
		t.Errorf("log:\n%s", log)
	}
	here := newStore(t)
	got, err := here.pullNameless(t.Context(), named(t, r.Tags[0]), d, PullOptions{Registry: r.Registry})
	if err != nil {
		t.Fatal(err)
	}
	local := r
	local.Platforms, local.Tags = []string{platform}, nil
	want, err := newStore(t).Build(t.Context(), local)
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != want.ID {
		t.Errorf("the node's image is %s, the one that is built here %s", got.ID, want.ID)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Log(diff)
		}
	}
}

func TestBuildRequestedErrors(t *testing.T) {
	reg := buildtest.NewRegistry(buildtest.Faults{User: "robot", Password: "hunter2"})
	defer reg.Close()
	other := "linux/s390x"
	if runtime.GOARCH == "s390x" {
		other = "linux/amd64"
	}
	for _, tc := range []struct{ name, text, platform, want string }{
		{"no login", "FROM scratch\nCOPY one /\n", "linux/" + runtime.GOARCH, "the node uses its own login: run rootcast login " + reg.Addr + " there"},
		{"step", "FROM scratch\nCOPY none /\n", "linux/" + runtime.GOARCH, "/Containerfile:2"},
		{"base image of another store", "FROM localhost/base:1\n", "linux/" + runtime.GOARCH, "base images for a node must be in a registry)"},
		{"not native", "FROM scratch\nCOPY one /\n", other, "the node is linux/" + runtime.GOARCH + " and runs programs of " + other},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := recipe(t, tc.text)
			r.Tags, r.Registry, r.Retry = []string{reg.Addr + "/node"}, plainHTTP(), -1
			_, _, err := request(t, r, tc.platform)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "rootcast-") {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if tc.name == "step" && !strings.Contains(err.Error(), "building "+r.Context+"/Containerfile:2") {
				t.Errorf("the recipe is called otherwise than here, %s: %v", r.Context, err)
			}
		})
	}
}

// What cannot be sent ends the sending, and says why.
func TestSendFails(t *testing.T) {
	r := recipe(t, "FROM scratch\nCOPY . /\n")
	r.Tags, r.Secrets = []string{"registry.example/x"}, []string{"id=key,src=" + filepath.Join(r.Context, "one")}
	if err := os.WriteFile(filepath.Join(r.Context, "large"), make([]byte, 8<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	o := offload{platform: "linux/arm64", recipe: r, files: []string{filepath.Join(r.Context, "Containerfile")}, contextDir: r.Context}
	t.Run("nobody reads on", func(t *testing.T) {
		in, out := io.Pipe()
		go func() {
			_, _ = io.CopyN(io.Discard, in, 1<<20)
			_ = in.CloseWithError(syscall.EPIPE)
		}()
		if err := o.send(out, named(t, "registry.example/x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a pipe", func(t *testing.T) {
		if err := syscall.Mkfifo(filepath.Join(r.Context, "fifo"), 0o600); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(filepath.Join(r.Context, "fifo"))
		err := o.send(io.Discard, named(t, "registry.example/x"))
		wantError(t, err, "sending the build context: fifo is a named pipe, which does not go to a node; name it in .containerignore")
	})
}

func TestValidateNodes(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func(*Recipe)
		want string // "": fine
	}{
		{"fine", func(*Recipe) {}, ""},
		{"bad URL", func(r *Recipe) { r.Nodes["linux/arm64"] = "n01" }, "node for linux/arm64: it is not ssh://"},
		{"platform that is not built", func(r *Recipe) { r.Nodes["linux/riscv64"] = "ssh://n01" }, "node for linux/riscv64: this is none of the platforms to build for (linux/amd64, linux/arm64)"},
		{"two nodes", func(r *Recipe) { r.Nodes["arm64"] = "ssh://n02" }, "this platform has two nodes"},
		{"no platform", func(r *Recipe) { r.Nodes["arm64e"] = "ssh://n01" }, `node: platform "arm64e" is not OS/ARCH`},
		{"volume", func(r *Recipe) { r.Volumes = []string{"/srv:/srv"} }, "volume /srv:/srv: nothing of this machine is mounted on a node"},
		{"no tag", func(r *Recipe) { r.Tags = nil }, "there is no tag"},
		{"no registry", func(r *Recipe) { r.Tags = []string{"compute:1"} }, "the name begins with no registry"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := Recipe{
				Platforms: []string{"linux/amd64", "linux/arm64"}, Tags: []string{"registry.example/x:1"},
				Nodes: map[string]string{"linux/arm64": "ssh://me@n01/opt/rootcast"},
			}
			tc.edit(&r)
			err := r.Validate()
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}
