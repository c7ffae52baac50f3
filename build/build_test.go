package build

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	istorage "go.podman.io/image/v5/storage"

	"github.com/rootcast/rootcast/build/buildtest"
)

// recipe is a recipe over a context that holds sh, one and two.
func recipe(t *testing.T, text string) Recipe {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"Containerfile": text, "one": "1", "two": "2"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Recipe{Context: dir, TempDir: t.TempDir()}
}

// imageConfig reads what a build made.
func imageConfig(t *testing.T, s *Store, id string) *v1.Image {
	t.Helper()
	ref, err := istorage.Transport.NewStoreReference(s.store, nil, id)
	if err != nil {
		t.Fatal(err)
	}
	img, err := ref.NewImage(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	c, err := img.OCIConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestBuildOptions(t *testing.T) {
	s := newStore(t)
	r := recipe(t, "FROM scratch\nCOPY one /one\nCOPY two /two\nENV A=b\n")
	epoch := time.Unix(1600000000, 0).UTC()
	r.Labels, r.Timestamp, r.Squash = []string{"who=me", "empty="}, &epoch, true
	got, err := s.Build(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	c := imageConfig(t, s, got.ID)
	if n := len(c.RootFS.DiffIDs); n != 1 {
		t.Errorf("a squashed build has %d layers", n)
	}
	if !c.Created.Equal(epoch) {
		t.Errorf("created %v, want %v", c.Created, epoch)
	}
	delete(c.Config.Labels, "io.buildah.version")
	if diff := cmp.Diff(map[string]string{"who": "me", "empty": ""}, c.Config.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	other := newStore(t)
	r.Context = recipe(t, "FROM scratch\nCOPY one /one\nCOPY two /two\nENV A=b\n").Context
	again, err := other.Build(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if again.Digest != got.Digest {
		t.Errorf("the same recipe, timestamp and files make %s and %s", got.Digest, again.Digest)
	}
}

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		name string
		r    Recipe
		want string // "": fine
	}{
		{"nothing", Recipe{}, ""},
		{"all of it", Recipe{
			Tags: []string{"a/b:c"}, Platforms: []string{"linux/arm64", "linux/arm/v7", "amd64"}, Pull: "Newer", Labels: []string{"k"},
			Annotations: []string{"k=v"}, AddHosts: []string{"h:::1", "g:host-gateway"}, DNS: []string{"192.0.2.1", "2001:db8::1"}, Isolation: "oci", Network: "none",
		}, "name servers are of no use"},
		{"tag", Recipe{Tags: []string{"UPPER"}}, "must be lower case, as in upper"},
		{"tag with digest", Recipe{Tags: []string{"a@sha256:" + strings.Repeat("a", 64)}}, "has a digest"},
		{"platform", Recipe{Platforms: []string{"linux/pdp11"}}, `platform "linux/pdp11" is unknown`},
		{"system", Recipe{Platforms: []string{"windows/amd64"}}, `platform "windows/amd64" is unknown`},
		{"no platform", Recipe{Platforms: []string{""}}, "is not OS/ARCH"},
		{"pull", Recipe{Pull: "maybe"}, "none of always"},
		{"isolation", Recipe{Isolation: "vm"}, "none of chroot, oci, rootless"},
		{"network", Recipe{Network: "private"}, "network private needs isolation oci"},
		{"namespace", Recipe{Network: "ns:/no/such", Isolation: "oci"}, "no such file"},
		{"host", Recipe{AddHosts: []string{"box"}}, "is not NAME:IP"},
		{"dns", Recipe{DNS: []string{"resolver"}}, "is not an IP address"},
		{"dns none", Recipe{DNS: []string{"none", "192.0.2.1"}}, "goes with no other"},
		{"annotation", Recipe{Annotations: []string{"k"}}, "is not KEY=VALUE"},
		{"secret", Recipe{Secrets: []string{"src=x"}}, "secret: "},
		{"volume", Recipe{Volumes: []string{"relative"}}, "volume: "},
		{"jobs", Recipe{Jobs: -1}, "is negative"},
		{"credentials", Recipe{Registry: Registry{Creds: "robot"}}, "USER:PASSWORD"},
		{"policy", Recipe{Registry: Registry{Policy: "/no/such.json"}}, "no such file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.r.Validate()
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestBuildLog(t *testing.T) {
	var out bytes.Buffer
	l := newBuildLog(&out)
	id := strings.Repeat("0123456789abcdef", 4)
	other := strings.Repeat("f", 64)
	for _, text := range []string{
		"STEP 1/2: FROM scratch\n", "--> 0123", "456789ab\n", id + "\n", other + "\n",
		"[linux/arm64] STEP 2/2: RUN x\n", "10%\r100%\r\n", "one\ntwo\n\n", "subprocess exited with status 3\n", "last, unfinished",
	} {
		if _, err := l.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	l.finish()
	if strings.Contains(out.String(), id) || !strings.Contains(out.String(), other) || !strings.HasSuffix(out.String(), "last, unfinished\n") {
		t.Errorf("passed on:\n%s", out.String())
	}
	if diff := cmp.Diff("100% | one | two | last, unfinished", l.tail()); diff != "" {
		t.Errorf("tail (-want +got):\n%s", diff)
	}
}

func TestExplain(t *testing.T) {
	name := filepath.Join(t.TempDir(), "Containerfile")
	if err := os.WriteFile(name, []byte("FROM r.example/base:1\nRUN a \\\n b\nCOPY x /\nCOPY y /\nCOPY y /\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := parseFiles([]string{name})
	if err != nil {
		t.Fatal(err)
	}
	exit := exec.Command("sh", "-c", "exit 3").Run()
	j := &job{plan: &plan{files: []string{"elsewhere"}, recipes: files}, log: newBuildLog(nil)}
	if _, err := j.log.Write([]byte("STEP 2/4: RUN a  b\nthis\nthat\n")); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		err  error
		want string
	}{
		{"RUN", fmt.Errorf(`building at STEP "RUN a  b": while running runtime: %w`, exit), ":2: RUN a b: failed with exit code 3: this | that"},
		{"COPY", errors.New(`building at STEP "COPY x /": no such file`), ":4: COPY x /: no such file"},
		{"COPY of which there are two", errors.New(`building at STEP "COPY y /": no such file`), ": COPY y /: no such file"},
		{"commit", errors.New("committing container for step {Env:[PATH=/bin] Command:copy Args:[x /] Flags:[] Attrs:map[] Message:COPY x / Heredocs:[] Original:COPY x /}: no space left on device"), ":4: COPY x /: no space left on device"},
		{"base", errors.New("creating build container: unable to copy from source docker://r.example/base:1: manifest unknown: r.example/base:1"), ":1: manifest unknown: r.example/base:1"},
		{"anything", errors.New("no stages to build"), ": no stages to build"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := j.explain(t.Context(), tc.err).Error()
			if diff := cmp.Diff("building "+name+tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestHeredocScripts(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "Containerfile")
	text := "FROM scratch\nRUN --network=host <<EOT\n#!/usr/bin/python3 -u\nprint(1)\nEOT\nRUN <<EOT\necho plain\nEOT\nUSER 1\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := parseFiles([]string{name})
	if err != nil {
		t.Fatal(err)
	}
	got, err := files[0].withScripts(filepath.Join(dir, "scripts"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(got, "\n")
	if len(lines) != len(strings.Split(text, "\n")) || lines[8] != "USER 1" {
		t.Errorf("lines moved:\n%s", got)
	}
	if !strings.HasPrefix(lines[1], "RUN --network=host --mount=type=bind,from=rootcast-scripts,") || !strings.Contains(lines[1], " /usr/bin/python3 -u /run/rootcast-") {
		t.Errorf("rewritten: %s", lines[1])
	}
	scripts, err := filepath.Glob(filepath.Join(dir, "scripts", "*"))
	if err != nil || len(scripts) != 1 {
		t.Fatalf("scripts: %q %v", scripts, err)
	}
	script, err := os.ReadFile(scripts[0])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("#!/usr/bin/python3 -u\nprint(1)\n", string(script)); diff != "" {
		t.Errorf("script (-want +got):\n%s", diff)
	}
}

func TestRemoveIndexMembers(t *testing.T) {
	reg := buildtest.NewRegistry(buildtest.Faults{})
	defer reg.Close()
	s := newStore(t)
	r := recipe(t, "FROM scratch\nARG TARGETARCH\nCOPY one /$TARGETARCH\n")
	r.Platforms, r.Tags = []string{"linux/riscv64", "linux/s390x"}, []string{reg.Addr + "/x:1"}
	epoch := time.Unix(1600000000, 0)
	r.Timestamp = &epoch
	index, err := s.Build(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	insecure := false
	pushed, err := s.Push(t.Context(), reg.Addr+"/x:1", "", PushOptions{Registry: Registry{TLSVerify: &insecure}})
	if err != nil {
		t.Fatal(err)
	}
	other := newStore(t)
	pulled, err := other.Pull(t.Context(), reg.Addr+"/x@"+pushed.Digest.String(), PullOptions{All: true, Registry: Registry{TLSVerify: &insecure}})
	if err != nil {
		t.Fatal(err)
	}
	if pulled.Digest != pushed.Digest {
		t.Errorf("pulled %s, pushed %s", pulled.Digest, pushed.Digest)
	}
	if _, err := s.Remove(t.Context(), false, index.ID); err != nil {
		t.Fatal(err)
	}
	again, err := s.Build(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if again.Digest != index.Digest {
		t.Errorf("the same recipe makes indexes %s and %s", index.Digest, again.Digest)
	}
}
