package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each line says which platform it is of, and each platform's image is its own.
func TestBuildPlatforms(t *testing.T) {
	s := newStore(t)
	for _, jobs := range []int{1, 2} {
		var out bytes.Buffer
		r := recipe(t, "FROM scratch\nARG TARGETARCH\nCOPY one /$TARGETARCH\nLABEL arch=$TARGETARCH\n")
		r.Platforms, r.Tags, r.Jobs, r.Output, r.NoCache = []string{"linux/s390x", "linux/riscv64"}, []string{"localhost/x:1"}, jobs, &out, true
		index, err := s.Build(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		for _, line := range lines {
			if !strings.HasPrefix(line, "[linux/s390x] ") && !strings.HasPrefix(line, "[linux/riscv64] ") {
				t.Errorf("%d jobs: no platform before %q", jobs, line)
			}
		}
		for _, p := range r.Platforms {
			for _, step := range []string{"STEP 1/4: FROM scratch", "STEP 3/4: COPY one /$TARGETARCH"} {
				if !slices.Contains(lines, "["+p+"] "+step) {
					t.Errorf("%d jobs: the output has no step %q of %s:\n%s", jobs, step, p, out.String())
				}
			}
		}
		if first, second := strings.Index(out.String(), "[linux/riscv64]"), strings.LastIndex(out.String(), "[linux/s390x]"); jobs == 1 && first < second {
			t.Errorf("with one job the second platform began before the first was done:\n%s", out.String())
		}
		images, err := s.Images(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		images = slices.DeleteFunc(images, func(i Image) bool { return len(i.Names) == 0 }) // the index of the round before
		if len(images) != 1 || images[0].ID != index.ID || cmp.Diff([]string{"linux/s390x", "linux/riscv64"}, images[0].Platforms) != "" {
			t.Errorf("%d jobs: images %+v", jobs, images)
		}
	}
}

// The layer cache is each platform's own: again, no step is run.
func TestBuildPlatformsAgain(t *testing.T) {
	s := newStore(t)
	r := recipe(t, "FROM scratch\nARG TARGETARCH\nCOPY one /$TARGETARCH\nLABEL arch=$TARGETARCH\n")
	r.Platforms, r.Tags, r.Jobs = []string{"linux/s390x", "linux/riscv64"}, []string{"localhost/x:1"}, 2
	first, err := s.Build(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r.Output = &out
	again, err := s.Build(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if again.Digest != first.Digest {
		t.Errorf("the second index is %s, the first was %s", again.Digest, first.Digest)
	}
	for _, p := range r.Platforms {
		if n := strings.Count(out.String(), "["+p+"] --> Using cache "); n != 3 {
			t.Errorf("%d of 3 steps for %s come from the cache:\n%s", n, p, out.String())
		}
	}
}

// What fails names its platform, and nothing gets the name.
func TestBuildPlatformFails(t *testing.T) {
	s := newStore(t)
	r := recipe(t, "FROM scratch\nARG TARGETARCH\nCOPY one-$TARGETARCH /\n")
	if err := os.WriteFile(filepath.Join(r.Context, "one-s390x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.Platforms, r.Tags, r.Jobs = []string{"linux/s390x", "linux/riscv64"}, []string{"localhost/x:1"}, 2
	_, err := s.Build(t.Context(), r)
	if err == nil || !strings.Contains(err.Error(), ":3 for linux/riscv64: COPY one-$TARGETARCH /: ") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
	if _, err := s.lookup("localhost/x:1"); err == nil {
		t.Error("the index has its name though a platform failed")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("no more of this"))
	if _, err := s.Build(ctx, r); err == nil || !strings.Contains(err.Error(), "no more of this") {
		t.Errorf("error %v of a build that was cancelled", err)
	}
}

func TestRunSteps(t *testing.T) {
	for name, tt := range map[string]struct {
		recipe string
		target string
		want   string // platform:line of each RUN step that counts
	}{
		"none":          {"FROM scratch\nCOPY x /\n", "", ""},
		"one":           {"ARG BASE=x\nFROM $BASE\nCOPY x /\nRUN a\nRUN b\n", "", "T:4"},
		"on the host":   {"FROM --platform=$BUILDPLATFORM go AS b\nRUN build\nFROM scratch\nCOPY --from=b /x /\n", "", "H:2"},
		"of another":    {"FROM --platform=linux/s390x x\nRUN a\n", "", "linux/s390x:2"},
		"nobody knows":  {"ARG P\nFROM --platform=$P x\nRUN a\n", "", ""},
		"not needed":    {"FROM x AS a\nRUN a\nFROM y\nCOPY z /\n", "", ""},
		"a base":        {"FROM x AS A\nRUN a\nFROM a\nRUN b\n", "", "T:4 T:2"},
		"by number":     {"FROM x\nRUN a\nFROM y\nCOPY --from=0 /z /\n", "", "T:2"},
		"by a mount":    {"FROM x AS a\nRUN a\nFROM y\nRUN --mount=type=bind,from=a,target=/a b\n", "", "T:4 T:2"},
		"by TARGETARCH": {"FROM x AS args-" + testArch + "\nRUN a\nFROM x AS args-other\nRUN b\nFROM args-${TARGETARCH}\nCOPY x /\n", "", "T:2"},
		"a target":      {"FROM x AS a\nCOPY x /\nFROM a AS b\nRUN b\n", "a", ""},
		"that is later": {"FROM x AS a\nCOPY x /\nFROM a AS b\nRUN b\n", "B", "T:4"},
		"no such":       {"FROM x AS a\nRUN a\n", "z", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, s := range runSteps(planOf(t, tt.recipe).stages(), tt.target, "linux/"+testArch) {
				on := map[string]string{"linux/" + testArch: "T", "linux/" + runtime.GOARCH: "H"}[s.platform]
				if on == "" {
					on = s.platform
				}
				got = append(got, fmt.Sprintf("%s:%d", on, s.line))
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// testArch is an architecture that no machine of the tests has.
const testArch = "riscv64"

func planOf(t *testing.T, text string) *plan {
	t.Helper()
	name := filepath.Join(t.TempDir(), "Containerfile")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := parseFiles([]string{name})
	if err != nil {
		t.Fatal(err)
	}
	return &plan{files: []string{name}, recipes: files}
}

func TestPreflight(t *testing.T) {
	p := planOf(t, "FROM x\nRUN a\n")
	var asked []string
	lacking := func(_ context.Context, platform string) error {
		asked = append(asked, platform)
		if platform == "linux/amd64" {
			return nil
		}
		return fmt.Errorf("no %s here; install it", platform)
	}
	jobs := []*job{{platform: "linux/amd64"}, {platform: "linux/arm64"}, {platform: "linux/ppc64le"}}
	err := p.preflight(t.Context(), jobs, "", lacking)
	want := "building " + p.files[0] + ":2 for linux/arm64: no linux/arm64 here; install it; no linux/ppc64le here; install it"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64", "linux/ppc64le"}, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if err := p.preflight(t.Context(), jobs[:1], "", lacking); err != nil {
		t.Error(err)
	}
	if err := planOf(t, "FROM x\nCOPY a /\n").preflight(t.Context(), jobs, "", lacking); err != nil {
		t.Errorf("error %v where nothing is run", err)
	}
}
