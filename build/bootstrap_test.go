package build

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/transports/alltransports"
)

func TestBootstrapValidate(t *testing.T) {
	tests := []struct {
		name string
		b    Bootstrap
		want string // error
	}{
		{name: "codename", b: Bootstrap{Target: "debian:bookworm"}},
		{name: "number", b: Bootstrap{Target: "debian:12", Platforms: []string{"linux/arm64/v8"}, Packages: []string{"g++", "libc6:arm64", "curl=7.88.1-10+deb12u5"}}},
		{name: "no release", b: Bootstrap{Target: "debian"}, want: `"debian" is not DISTRO:RELEASE, such as debian:bookworm, ubuntu:noble, rocky:9.4 or leap:15.6`},
		{name: "empty release", b: Bootstrap{Target: "debian:"}, want: `"debian:" is not DISTRO:RELEASE, such as debian:bookworm, ubuntu:noble, rocky:9.4 or leap:15.6`},
		{name: "distribution", b: Bootstrap{Target: "arch:1"}, want: `distribution "arch" cannot be bootstrapped; debian, ubuntu, rocky, alma, rhel, centos-stream, centos, ol, fedora, leap and sles can`},
		{name: "release of no name", b: Bootstrap{Target: "debian:99"}, want: `"99" is no release of Debian; known are 10 buster, 11 bullseye, 12 bookworm, 13 trixie, 14 forky`},
		{name: "release that is a path", b: Bootstrap{Target: "debian:../x"}, want: `"../x" is no release of Debian; known are 10 buster, 11 bullseye, 12 bookworm, 13 trixie, 14 forky`},
		{name: "platform", b: Bootstrap{Target: "debian:12", Platforms: []string{"linux/sparc"}}, want: `platform "linux/sparc" cannot be bootstrapped; linux/amd64, linux/arm64/v8, linux/ppc64le, linux/riscv64, linux/s390x, linux/386, linux/arm/v7, linux/arm/v5 can`},
		{name: "variant", b: Bootstrap{Target: "debian:12", Variant: "tiny"}, want: `variant "tiny" is not one of essential, apt, required, minbase, buildd, important, debootstrap, standard`},
		{name: "package that is a flag", b: Bootstrap{Target: "debian:12", Packages: []string{"--force"}}, want: `"--force" is not the name of a package`},
		{name: "package that is a pattern", b: Bootstrap{Target: "debian:12", Packages: []string{"?all"}}, want: `"?all" is not the name of a package`},
		{name: "tag", b: Bootstrap{Target: "debian:12", Tags: []string{"Debian"}}, want: `image name "Debian" must be lower case, as in debian`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantError(t, tt.b.Validate(), tt.want) })
	}
}

func TestBootstrapArchitecture(t *testing.T) {
	tests := []struct {
		platform, debian string
		want             v1.Platform
	}{
		{"linux/amd64", "amd64", v1.Platform{OS: "linux", Architecture: "amd64"}},
		{"linux/arm64", "arm64", v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}},
		{"linux/arm64/v8", "arm64", v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}},
		{"linux/ppc64le", "ppc64el", v1.Platform{OS: "linux", Architecture: "ppc64le"}},
		{"ppc64el", "ppc64el", v1.Platform{OS: "linux", Architecture: "ppc64le"}},
		{"linux/arm", "armhf", v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}},
		{"linux/arm/v5", "armel", v1.Platform{OS: "linux", Architecture: "arm", Variant: "v5"}},
	}
	for _, tt := range tests {
		t.Run(tt.platform, func(t *testing.T) {
			a, err := parseArchitecture(tt.platform)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, a.platform()); diff != "" || a.debian != tt.debian {
				t.Errorf("%s of Debian, platform (-want +got):\n%s", a.debian, diff)
			}
		})
	}
}

func TestBootstrapCandidates(t *testing.T) {
	const (
		debian12 = "ID=debian\nVERSION_CODENAME=bookworm\n"
		own      = "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
		main     = "Types: deb\nURIs: http://mirror.example/debian/\nSuites: bookworm bookworm-updates bookworm-backports\nComponents: main contrib\n" + own
		security = "Types: deb deb-src\nURIs: http://mirror.example/debian-security\nSuites: bookworm-security\nComponents: main\n" + own
		others   = "deb [signed-by=/etc/apt/keyrings/other.gpg] http://other.example/debian bookworm main\ndeb http://docker.example/debian bookworm stable\n"
	)
	tests := []struct {
		name string
		b    Bootstrap
		host map[string]string
		want []string
		err  string
	}{
		{
			name: "the host's own mirrors, and no others", b: Bootstrap{Target: "debian:12"},
			host: map[string]string{"etc/os-release": debian12, "etc/apt/sources.list.d/debian.sources": main + "\n" + security, "etc/apt/sources.list": others},
			want: []string{"deb http://mirror.example/debian bookworm main contrib", "deb http://mirror.example/debian bookworm-updates main contrib", "deb http://mirror.example/debian-security bookworm-security main"},
		},
		{
			name: "another release of them", b: Bootstrap{Target: "debian:13"},
			host: map[string]string{"etc/os-release": debian12, "etc/apt/sources.list": "deb http://mirror.example/debian bookworm main\ndeb http://mirror.example/debian bookworm main\ndeb http://mirror.example/debian-security bookworm-security main\n"},
			want: []string{"deb http://mirror.example/debian trixie main", "deb http://mirror.example/debian-security trixie-security main"},
		},
		{
			name: "the mirror list of a cloud image", b: Bootstrap{Target: "debian:12"},
			host: map[string]string{
				"etc/os-release": debian12, "etc/apt/mirrors/debian.list": "https://cloud.example/debian\nhttps://spare.example/debian\n",
				"etc/apt/sources.list": "deb mirror+file:///etc/apt/mirrors/debian.list bookworm main\ndeb cdrom:[disc]/ bookworm main\n",
			},
			want: []string{"deb https://cloud.example/debian bookworm main"},
		},
		{name: "a host without apt", b: Bootstrap{Target: "debian:12", Platforms: []string{"linux/amd64"}}, err: "this machine's apt has no mirror of Debian for amd64; name one with --mirror URL"},
		{name: "a host of another distribution", b: Bootstrap{Target: "ubuntu:noble", Platforms: []string{"linux/amd64"}}, host: map[string]string{"etc/os-release": debian12, "etc/apt/sources.list": others}, err: "this machine's apt has no mirror of Ubuntu for amd64; name one with --mirror URL"},
		{
			name: "given mirrors", b: Bootstrap{Target: "debian:12", Mirrors: []string{"http://a.example/debian/", "deb [arch=amd64] http://b.example/local ./"}},
			want: []string{"deb http://a.example/debian bookworm main", "deb http://a.example/debian bookworm-updates main", "deb http://a.example/debian bookworm-security main", "deb [arch=amd64] http://b.example/local ./"},
		},
		{name: "a mirror that is no URL", b: Bootstrap{Target: "debian:12", Mirrors: []string{"mirror.example"}}, err: `mirror "mirror.example" is not a URL such as http://mirror.example/debian`},
		{name: "a bad line", b: Bootstrap{Target: "debian:12", Mirrors: []string{"deb http://mirror.example/ x"}}, err: "reading a mirror's line: suite x has no component such as main"},
		{
			name: "a host's broken file", b: Bootstrap{Target: "debian:12"},
			host: map[string]string{"etc/os-release": debian12, "etc/apt/sources.list": "\ndeb x\n"},
			err:  `/etc/apt/sources.list:2: "x" is not a URI`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.b.Host = mapFS(tt.host)
			p, err := onePlan(tt.b)
			if err != nil {
				t.Fatal(err)
			}
			list, err := p.candidates()
			wantError(t, err, tt.err)
			var got []string
			for _, s := range list {
				got = append(got, s.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("candidates (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBootstrapAskMirrors(t *testing.T) {
	release := func(suite, date string) string {
		return "Origin: Debian\nSuite: " + suite + "\nCodename: bookworm\nVersion: 12.12\nDate: " + date + "\n"
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/debian/dists/bookworm/InRelease", "/locked/dists/bookworm/InRelease":
			if user, password, _ := r.BasicAuth(); strings.HasPrefix(r.URL.Path, "/locked") && user+password != "mesecret" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			_, _ = io.WriteString(w, release("oldstable", "Sat, 06 Sep 2025 10:09:26 UTC"))
		case "/debian/dists/bookworm-updates/Release":
			_, _ = io.WriteString(w, release("oldstable-updates", "Sun, 07 Sep 2025 10:09:26 UTC"))
		case "/portal/dists/bookworm/InRelease":
			_, _ = io.WriteString(w, "<html>\nlog in</html>")
		default:
			http.NotFound(w, r)
		}
	}))
	defer srv.Close()
	addr := srv.Listener.Addr().String()
	given := time.Unix(1700000000, 0)
	tests := []struct {
		name, mirror, err string
		epoch             *time.Time
		wantEpoch         string
		want              string
	}{
		{
			name: "what the mirror has", mirror: "http://" + addr + "/debian", wantEpoch: "2025-09-07T10:09:26Z",
			want: "deb [signed-by=/k.gpg] http://ADDR/debian bookworm main\ndeb [signed-by=/k.gpg] http://ADDR/debian bookworm-updates main\n",
		},
		{
			name: "a password stays out of the image", mirror: "http://me:secret@" + addr + "/locked", wantEpoch: "2025-09-06T10:09:26Z",
			want: "deb [signed-by=/k.gpg] http://ADDR/locked bookworm main\n",
		},
		{
			name: "a given time", mirror: "http://" + addr + "/debian", epoch: &given, wantEpoch: "2023-11-14T22:13:20Z",
			want: "deb [signed-by=/k.gpg] http://ADDR/debian bookworm main\ndeb [signed-by=/k.gpg] http://ADDR/debian bookworm-updates main\n",
		},
		{name: "wrong password", mirror: "http://me:wrong@" + addr + "/locked", err: `asking the mirror http://ADDR/locked for bookworm: it answered "401 Unauthorized"; name another one with --mirror`},
		{name: "no such release", mirror: "http://" + addr + "/elsewhere", err: "no release bookworm at http://ADDR/elsewhere; known releases of Debian are 10 buster, 11 bullseye, 12 bookworm, 13 trixie, 14 forky"},
		{name: "a page", mirror: "http://" + addr + "/portal", err: `asking the mirror http://ADDR/portal for bookworm: its file InRelease is not one: line 1: "<html>" is not FIELD: VALUE; name another one with --mirror`},
		{name: "a line with a suite that is not there", mirror: "deb http://" + addr + "/debian trixie main", err: "asking the mirror http://ADDR/debian for trixie: it has no such suite; name another one with --mirror"},
		{name: "nobody there", mirror: "http://127.0.0.1:1/debian", err: "asking the mirror http://127.0.0.1:1/debian for bookworm: dial tcp 127.0.0.1:1: connect: connection refused; name another one with --mirror"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Bootstrap{Target: "debian:12", Mirrors: []string{tt.mirror}, Epoch: tt.epoch, Host: fstest.MapFS{}}.plan("")
			if err != nil {
				t.Fatal(err)
			}
			err = p.askMirrors(t.Context())
			wantError(t, err, strings.ReplaceAll(tt.err, "ADDR", addr))
			if err != nil {
				return
			}
			if got := p.epoch.Format(time.RFC3339); got != tt.wantEpoch {
				t.Errorf("epoch %s, want %s", got, tt.wantEpoch)
			}
			if diff := cmp.Diff(strings.ReplaceAll(tt.want, "ADDR", addr), p.sourcesList("/k.gpg", true)); diff != "" {
				t.Errorf("sources.list (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBootstrapCheckRunnable has what a bootstrap is told; all that can be wrong
// is in the tests of package binfmt.
func TestBootstrapCheckRunnable(t *testing.T) {
	foreign, err := parseArchitecture("linux/s390x")
	if err != nil || foreign.isNative() {
		t.Skip("this is the architecture that the test takes for foreign")
	}
	const (
		dir     = "proc/sys/fs/binfmt_misc/"
		handler = "interpreter /usr/bin/qemu-s390x-static\noffset 0\n" +
			"magic 7f454c4602020100000000000000000000020016\nmask fffffffffffffffcfffffffffffffffffffeffff\nflags: "
		advice = "; as root: rootcast binfmt install s390x"
	)
	tests := []struct {
		name string
		host map[string]string
		err  string
	}{
		{name: "works", host: map[string]string{dir + "status": "enabled\n", dir + "qemu-s390x": "enabled\n" + handler + "POCF\n"}},
		{name: "nothing there", host: map[string]string{dir + "status": "enabled\n"}, err: "this machine cannot run s390x programs: binfmt_misc has no handler for them" + advice},
		{
			name: "lost in a chroot", host: map[string]string{dir + "status": "enabled\n", dir + "qemu-s390x": "enabled\n" + handler + "OC\n", "usr/bin/qemu-s390x-static": "program"},
			err: "the handler qemu-s390x lacks the flag F, so that its emulator /usr/bin/qemu-s390x-static would have to be in every container" + advice,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantError(t, foreign.checkRunnable(t.Context(), mapFS(tt.host)), tt.err) })
	}
}

func TestArchitecturesEmulated(t *testing.T) {
	for _, a := range architectures() {
		if got := a.emulated(); got.Name != a.goarch || got.QEMU != a.qemu {
			t.Errorf("%s, in QEMU %s, is %s and %s to binfmt", a.goarch, a.qemu, got.Name, got.QEMU)
		}
	}
}

func TestBootstrapRootFilter(t *testing.T) {
	old, now := time.Unix(1600000000, 0), time.Unix(1800000000, 0)
	var in bytes.Buffer
	w := tar.NewWriter(&in)
	for _, h := range []tar.Header{
		{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755, ModTime: now},
		{Name: "./dev/", Typeflag: tar.TypeDir, Mode: 0o755, ModTime: now},
		{Name: "./dev/null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3, ModTime: now},
		{Name: "./etc/", Typeflag: tar.TypeDir, Mode: 0o755, ModTime: now},
		{Name: "./etc/apt/", Typeflag: tar.TypeDir, Mode: 0o755, ModTime: now},
		{Name: "./etc/apt/sources.list", Typeflag: tar.TypeReg, Mode: 0o644, ModTime: now},
		{Name: "./etc/hostname", Typeflag: tar.TypeReg, ModTime: now},
		{Name: "./etc/resolv.conf", Typeflag: tar.TypeSymlink, Linkname: "../run/x", ModTime: now},
		{Name: "./usr/bin/ping", Typeflag: tar.TypeReg, Mode: 0o4755, Uid: 1, Gid: 2, Uname: "x", ModTime: old, PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "\x01\x00cap"}},
		{Name: "./usr/bin/link", Typeflag: tar.TypeLink, Linkname: "./usr/bin/ping", ModTime: now},
		{Name: "./var/cache/apt/", Typeflag: tar.TypeDir, Mode: 0o755, ModTime: now},
		{Name: "./var/cache/apt/pkgcache.bin", Typeflag: tar.TypeReg, ModTime: now},
		{Name: "./var/lib/dpkg/status-old", Typeflag: tar.TypeReg, ModTime: now},
		{Name: "./var/lib/dpkg/status", Typeflag: tar.TypeReg, ModTime: now},
		{Name: "./var/log/dpkg.log", Typeflag: tar.TypeReg, ModTime: now},
	} {
		h.Format = tar.FormatPAX
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f := rootFilter{epoch: time.Unix(1700000000, 0), files: []rootFile{{"etc/apt/keyrings/k.gpg", []byte("key")}, {"etc/apt/sources.list", []byte("deb x\n")}}}
	var out bytes.Buffer
	if err := f.copy(&out, bytes.NewReader(in.Bytes())); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"./ 5 755 0:0 1700000000", "./dev/ 5 755 0:0 1700000000", "./etc/ 5 755 0:0 1700000000", "./etc/apt/ 5 755 0:0 1700000000",
		"./usr/bin/ping 0 4755 1:2 1600000000 map[SCHILY.xattr.security.capability:\x01\x00cap]",
		"./usr/bin/link 1 0 0:0 1700000000 -> ./usr/bin/ping", "./var/cache/apt/ 5 755 0:0 1700000000", "./var/lib/dpkg/status 0 0 0:0 1700000000",
		"./etc/apt/keyrings/ 5 755 0:0 1700000000", "./etc/apt/keyrings/k.gpg 0 644 0:0 1700000000", "./etc/apt/sources.list 0 644 0:0 1700000000",
	}
	if diff := cmp.Diff(want, listTar(t, &out)); diff != "" {
		t.Errorf("tar (-want +got):\n%s", diff)
	}
	for _, cut := range []int{0, 700, in.Len() - 1024 - 200} {
		if err := f.copy(io.Discard, bytes.NewReader(in.Bytes()[:cut])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("of %d bytes: %v, want %v", cut, err, io.ErrUnexpectedEOF)
		}
	}
}

func TestBootstrapLog(t *testing.T) {
	var steps []string
	l := newBootstrapLog(func(format string, args ...any) { steps = append(steps, fmt.Sprintf(format, args...)) })
	for _, text := range []string{
		"I: using /var/tmp/mmdebstrap.x as tempdir\nI: downloading pack", "ages with apt...\n",
		"E: Unable to locate package nonesuch\nE: run_download failed: E: apt-get failed\n", "I: installing remaining packages inside the chroot...\nsome noise\n",
	} {
		if n, err := io.WriteString(l, text); n != len(text) || err != nil {
			t.Fatal(n, err)
		}
	}
	if diff := cmp.Diff([]string{"downloading packages with apt", "installing remaining packages inside the chroot"}, steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if got, want := l.reason(), "E: Unable to locate package nonesuch"; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
	for _, text := range []string{
		"E: Failed to fetch http://mirror.example/debian/pool/main/x/xz-utils/liblzma5_5.8.1_s390x.deb  404  Not Found [IP: 192.0.2.1 80]\n",
		"E: Failed to fetch http://mirror.example/debian/dists/x/Packages.xz  File has unexpected size (720 != 1108). Mirror sync in progress? [IP: 192.0.2.1 80]\n",
	} {
		l := newBootstrapLog(func(string, ...any) {})
		if _, err := io.WriteString(l, text); err != nil {
			t.Fatal(err)
		}
		if got := l.reason(); !strings.HasSuffix(got, "by --mirror") || !strings.HasPrefix(got, strings.TrimSpace(text)+"; ") {
			t.Errorf("reason %q", got)
		}
	}
}

// TestBootstrapReproducible makes the same base twice, in two stores.
func TestBootstrapReproducible(t *testing.T) {
	needBootstrap(t)
	var digests []string
	for range 2 {
		s := newStore(t)
		tmp := t.TempDir()
		var said strings.Builder
		r, err := s.Bootstrap(t.Context(), Bootstrap{
			Target: hostTarget(t), Tags: []string{"localhost/base:1"}, Packages: []string{"less"}, TempDir: tmp, Output: &said,
		})
		if err != nil {
			t.Fatalf("%v\n%s", err, &said)
		}
		digests = append(digests, r.Digest.String())
		wantEmpty(t, tmp)
		if !strings.Contains(said.String(), "installing") {
			t.Errorf("said no steps:\n%s", &said)
		}
		if len(digests) == 1 {
			checkBase(t, s)
		}
	}
	if digests[0] != digests[1] {
		t.Errorf("two images of the same packages: %v", digests)
	}
}

// checkBase looks into the image for what must and must not be there.
func checkBase(t *testing.T, s *Store) {
	t.Helper()
	ref, found, err := s.Resolve(t.Context(), "localhost/base:1")
	if err != nil || !found {
		t.Fatal(found, err)
	}
	parsed, err := alltransports.ParseImageName(ref)
	if err != nil {
		t.Fatal(err)
	}
	src, err := parsed.NewImageSource(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	img, err := image.FromUnparsedImage(t.Context(), nil, image.UnparsedInstance(src, nil))
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.OCIConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := config.Config.Labels["io.rootcast.bootstrap.packages"]; got != "less" || len(config.Config.Cmd) == 0 || len(config.RootFS.DiffIDs) != 1 {
		t.Errorf("config %+v", config)
	}
	layers, err := img.LayerInfosForCopy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	blob, _, err := src.GetBlob(t.Context(), layers[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer blob.Close()
	names := listTar(t, blob)
	for _, want := range []string{"./usr/bin/less 0", "./usr/bin/dpkg 0", "./etc/apt/sources.list 0", "./dev/ 5"} {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, want) }) {
			t.Errorf("the image has no %s", want)
		}
	}
	for _, unwanted := range []string{"./etc/hostname", "./etc/resolv.conf", "./etc/machine-id", "./dev/null", "./var/lib/apt/lists/lock", "./etc/shadow-", "./usr/share/perl/"} {
		if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, unwanted) }) {
			t.Errorf("the image has %s", unwanted)
		}
	}
}

// TestBootstrapInterrupted cancels at some steps: nothing may be left.
func TestBootstrapInterrupted(t *testing.T) {
	needBootstrap(t)
	for _, step := range []string{"downloading", "extracting", "installing remaining"} {
		t.Run(step, func(t *testing.T) {
			s := newStore(t)
			tmp := t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var stopped time.Time
			seen := writerFunc(func(p []byte) (int, error) {
				if strings.HasPrefix(string(p), step) && stopped.IsZero() {
					stopped = time.Now()
					cancel()
				}
				return len(p), nil
			})
			_, err := s.Bootstrap(ctx, Bootstrap{Target: hostTarget(t), Tags: []string{"localhost/base:1"}, TempDir: tmp, Output: seen})
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("error %v, want %v", err, context.Canceled)
			}
			if d := time.Since(stopped); stopped.IsZero() || d > 30*time.Second { // mmdebstrap has its own clearing up to do
				t.Errorf("took %s to stop", d)
			}
			wantEmpty(t, tmp)
			wantNoProcess(t, tmp)
			if _, found, err := s.Resolve(t.Context(), "localhost/base:1"); err == nil && found {
				t.Error("an image is there")
			}
		})
	}
}

// TestBootstrapFails has another program stand in for mmdebstrap.
func TestBootstrapFails(t *testing.T) {
	tests := []struct {
		name, script, want string
	}{
		{
			name: "says why", script: "echo 'I: downloading packages with apt...' >&2\necho 'E: Unable to locate package nonesuch' >&2\necho 'E: setup failed: E: apt failed' >&2\nexit 2",
			want: "mmdebstrap failed (exit status 2): E: Unable to locate package nonesuch",
		},
		{name: "says nothing of use", script: "echo one >&2\necho two >&2\nexit 1", want: "mmdebstrap failed (exit status 1): one; two"},
		{name: "makes rubbish", script: "cat >/dev/null\nhead -c 4096 /dev/zero | tr '\\0' x", want: "reading the root that mmdebstrap made: archive/tar: invalid tar header"},
		{name: "gets no password as an argument", script: "echo \"$*\" | grep -c secret >&2\nexit 1", want: "mmdebstrap failed (exit status 1): 0"},
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "Suite: x\nDate: Sat, 06 Sep 2025 10:09:26 UTC\n")
	}))
	defer srv.Close()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			bin, tmp := t.TempDir(), t.TempDir()
			if err := os.WriteFile(filepath.Join(bin, "mmdebstrap"), []byte("#!/bin/sh\n"+tt.script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
			key := filepath.Join(bin, "key.gpg")
			if err := os.WriteFile(key, []byte("key"), 0o644); err != nil {
				t.Fatal(err)
			}
			mirror := "http://me:secret@" + srv.Listener.Addr().String() + "/debian"
			_, err := s.Bootstrap(t.Context(), Bootstrap{Target: "debian:12", Tags: []string{"localhost/base:1"}, Mirrors: []string{mirror}, Keyring: key, TempDir: tmp})
			arch, aerr := parseArchitecture("")
			if aerr != nil {
				t.Fatal(aerr)
			}
			wantError(t, err, "bootstrapping debian:bookworm for "+arch.platformName()+": "+tt.want)
			wantEmpty(t, tmp)
		})
	}
	t.Run("is not there", func(t *testing.T) {
		s := newStore(t)
		t.Setenv("PATH", t.TempDir())
		_, err := s.Bootstrap(t.Context(), Bootstrap{Target: "debian:12"})
		if want := "mmdebstrap is not installed; as root: apt-get install mmdebstrap"; err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	})
}

// needBootstrap skips where there is no mmdebstrap, but fails in CI.
func needBootstrap(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath(mmdebstrap); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if testing.Short() {
		t.Skip("takes minutes")
	}
}

// hostTarget is the host's own release, whose packages are at hand, where the
// host is one that can be bootstrapped.
func hostTarget(t *testing.T) string {
	t.Helper()
	id, codename, err := osRelease(os.DirFS("/"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseTarget(id + ":" + codename); err != nil {
		return "debian:bookworm"
	}
	return id + ":" + codename
}

func mapFS(files map[string]string) fs.FS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func listTar(t *testing.T, r io.Reader) []string {
	t.Helper()
	var list []string
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%s %c %o %d:%d %d", h.Name, h.Typeflag, h.Mode, h.Uid, h.Gid, h.ModTime.Unix())
		if h.Linkname != "" {
			line += " -> " + h.Linkname
		}
		if len(h.PAXRecords) > 0 {
			line += fmt.Sprintf(" %v", h.PAXRecords)
		}
		list = append(list, line)
	}
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("left behind: %s/%s", dir, e.Name())
	}
}

// wantNoProcess checks that no process has its root or its files below dir.
func wantNoProcess(t *testing.T, dir string) {
	t.Helper()
	pids, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		for _, link := range []string{"root", "cwd"} {
			if target, err := os.Readlink(filepath.Join(pid, link)); err == nil && strings.HasPrefix(target, dir) {
				t.Errorf("process %s still has its %s at %s", filepath.Base(pid), link, target)
			}
		}
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Fatalf("error %q\nwant  %q", got, want)
	}
}

// onePlan is the plan of a bootstrap for one platform.
func onePlan(b Bootstrap) (*bootstrapPlan, error) {
	plans, err := b.plans()
	if err != nil {
		return nil, err
	}
	return plans[0], nil
}

func TestBootstrapPlatforms(t *testing.T) {
	var out bytes.Buffer
	b := Bootstrap{Target: "debian:12", Tags: []string{"localhost/base:1"}, Platforms: []string{"linux/amd64", "arm64", "ppc64el"}, Output: &out}
	plans, err := b.plans()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range plans {
		if len(p.tags) > 0 {
			t.Errorf("the image for %s gets the index's name", p.arch.platformName())
		}
		p.say("%s", p.arch.debian)
	}
	if diff := cmp.Diff("[linux/amd64] amd64\n[arm64] arm64\n[ppc64el] ppc64el\n", out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.Platforms = append(b.Platforms, "linux/arm64/v8")
	if err := b.Validate(); err == nil || err.Error() != `platform "linux/arm64/v8" is named twice` {
		t.Errorf("error %v", err)
	}
	b.Platforms = []string{"linux/amd64", "linux/sparc"}
	if err := b.Validate(); err == nil || !strings.Contains(err.Error(), "linux/sparc") {
		t.Errorf("error %v", err)
	}
}
