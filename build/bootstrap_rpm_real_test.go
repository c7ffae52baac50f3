package build

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.podman.io/image/v5/transports/alltransports"
)

// needRPMDistribution is the test distribution that hack/rpmdistro.sh makes,
// for an architecture. Where it or a program is missing the test is skipped,
// but fails in CI.
func needRPMDistribution(t *testing.T, arch string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("takes minutes")
	}
	dir, err := filepath.Abs(filepath.Join("..", ".cache/rpmdistro/9.4", arch))
	if err != nil {
		t.Fatal(err)
	}
	_, err = os.Stat(filepath.Join(dir, "BaseOS/repodata/repomd.xml"))
	for _, name := range []string{"dnf", "zypper", "rpm", "gpg", "createrepo_c"} {
		if _, lerr := exec.LookPath(name); lerr != nil {
			err = lerr
		}
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("%v; hack/rpmdistro.sh %s makes it", err, arch)
	}
	return dir
}

func testKey(dir string) string { return filepath.Join(dir, "RPM-GPG-KEY-rootcast-test") }

// TestBootstrapImportsDatabase has the host write a database where the image's rpm
// does not look: it must be there in the end all the same.
func TestBootstrapImportsDatabase(t *testing.T) {
	dir := needRPMDistribution(t, "x86_64")
	tmp := t.TempDir()
	p := rpmPlan(t, Bootstrap{
		Target: "rocky:9.4", Platforms: []string{"linux/amd64"}, Mirrors: []string{filepath.Join(dir, "BaseOS")}, Keyring: testKey(dir), TempDir: tmp,
	})
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	if err := errors.Join(p.checkHost(t.Context()), p.askMirrors(t.Context())); err != nil {
		t.Fatal(err)
	}
	w, err := p.prepare(tmp)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.dnf(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(w.root, "var/lib/rpm")
	p.target.rpm.Name, p.target.rpm.Version = "fedora", "40" // whose database is elsewhere
	if err := os.MkdirAll(filepath.Join(w.root, "usr/lib/sysimage"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(own, filepath.Join(w.root, p.target.dbPath())); err != nil {
		t.Fatal(err)
	}
	if err := p.checkDatabase(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	got, err := p.output(t.Context(), w, true, "/usr/bin/rpm", "-q", "--qf", "%{name}", "rocky-release")
	if err != nil || got != "rocky-release" {
		t.Errorf("the image's rpm says %q, error %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(w.root, p.target.dbPath())); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the database that nobody reads: %v", err)
	}
}

// layerList lists the one layer of an image.
func layerList(t *testing.T, s *Store, name string) []string {
	t.Helper()
	ref, found, err := s.Resolve(t.Context(), name)
	if err != nil || !found {
		t.Fatal(found, err)
	}
	parsed, err := alltransports.ParseImageName(ref)
	if err != nil {
		t.Fatal(err)
	}
	img, err := parsed.NewImage(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	src, err := parsed.NewImageSource(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	layers, err := img.LayerInfosForCopy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if layers == nil {
		layers = img.LayerInfos()
	}
	blob, _, err := src.GetBlob(t.Context(), layers[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer blob.Close()
	return listTar(t, blob)
}

func wantNames(t *testing.T, names []string, want string, unwanted ...string) {
	t.Helper()
	for name := range strings.FieldsSeq(want) {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, name+" ") }) {
			t.Errorf("the image has no %s", name)
		}
	}
	for _, name := range unwanted {
		if i := slices.IndexFunc(names, func(n string) bool { return strings.HasPrefix(n, name) }); i >= 0 {
			t.Errorf("the image has %s", names[i])
		}
	}
}

// TestBootstrapDNF makes the test distribution's base twice, from its medium
// and by HTTP, for this machine and for another.
func TestBootstrapDNF(t *testing.T) {
	for _, arch := range []string{"x86_64", "aarch64"} {
		t.Run(arch, func(t *testing.T) {
			dir := needRPMDistribution(t, arch)
			srv := httptest.NewServer(http.FileServer(http.Dir(dir)))
			defer srv.Close()
			var digests []string
			for _, mirror := range []string{dir, dir, strings.Replace(srv.URL, "://", "://me:secret@", 1)} {
				s, tmp := newStore(t), t.TempDir()
				if mirror == dir {
					mirror = filepath.Join(dir, "BaseOS")
				}
				var said strings.Builder
				r, err := s.Bootstrap(t.Context(), Bootstrap{
					Target: "rocky:9.4", Tags: []string{"localhost/base:1"}, Platforms: []string{"linux/" + arch}, Packages: []string{"less"},
					Mirrors: []string{mirror}, Keyring: testKey(dir), TempDir: tmp, Output: &said,
				})
				if err != nil {
					t.Fatalf("%v\n%s", err, &said)
				}
				t.Logf("%s", &said)
				wantEmpty(t, tmp)
				wantNoProcess(t, tmp)
				digests = append(digests, r.Digest.String())
				names := layerList(t, s, "localhost/base:1")
				wantNames(t, names, "proc/ dev/ usr/bin/dnf-3 usr/bin/less var/lib/rpm/rpmdb.sqlite",
					"dev/null", "var/cache/dnf/", "var/lib/dnf/history", "var/log/dnf", "var/log/hawkey", "root/.rpmdb", "etc/resolv.conf ", "var/lib/rpm/.rpm.lock", "var/lib/rpm/rpmdb.sqlite-wal")
				isPublic := slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "./etc/yum.repos.d/rootcast.repo ") })
				if isPublic != strings.Contains(mirror, "://") {
					t.Errorf("the image has rootcast.repo: %t, from %s", isPublic, mirror)
				}
			}
			if digests[0] != digests[1] {
				t.Errorf("two images of the same packages: %v", digests)
			}
		})
	}
}

func TestBootstrapZypper(t *testing.T) {
	for _, arch := range []string{"x86_64", "aarch64"} {
		t.Run(arch, func(t *testing.T) {
			dir := needRPMDistribution(t, arch)
			s, tmp := newStore(t), t.TempDir()
			var said strings.Builder
			_, err := s.Bootstrap(t.Context(), Bootstrap{
				Target: "leap:15.6", Tags: []string{"localhost/base:1"}, Platforms: []string{"linux/" + arch}, Packages: []string{"less"},
				Mirrors: []string{filepath.Join(dir, "BaseOS")}, Keyring: testKey(dir), TempDir: tmp, Output: &said,
			})
			if err != nil {
				t.Fatalf("%v\n%s", err, &said)
			}
			wantEmpty(t, tmp)
			wantNames(t, layerList(t, s, "localhost/base:1"), "proc/ dev/ usr/bin/zypper usr/bin/less", "dev/null", "var/cache/zypp/", "var/log/zypper", "var/lib/zypp/AnonymousUniqueId", "root/.gnupg", "var/tmp/r", "tmp/r")
		})
	}
}

// TestBootstrapRPMRefuses has what is wrong with packages and repositories.
func TestBootstrapRPMRefuses(t *testing.T) {
	dir := needRPMDistribution(t, "x86_64")
	base, changed := filepath.Join(dir, "BaseOS"), changedRepository(t, dir)
	dead := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/repomd.xml") || strings.HasSuffix(r.URL.Path, "/repomd.xml.asc") {
			http.ServeFile(w, r, filepath.Join(base, r.URL.Path))
			return
		}
		http.Error(w, "gone", http.StatusInternalServerError)
	}))
	defer dead.Close()
	tests := []struct {
		name, target, err string // a pattern
		mirror, keyring   string
		pkg               string
	}{
		{name: "package", target: "rocky:9.4", pkg: "nonesuch", err: `^dnf: the package nonesuch is in none of the repositories$`},
		{name: "package of zypper", target: "leap:15.6", pkg: "nonesuch", err: `^zypper: the package nonesuch is in none of the repositories$`},
		{name: "another's key", target: "rocky:9.4", keyring: otherKey(t), err: `^dnf: the (index of the repository file://\S+/BaseOS|package \S+) is not signed by a key that is trusted; name the file of the key with --keyring$`},
		{name: "another's key of zypper", target: "leap:15.6", keyring: otherKey(t), err: `^zypper: the (index of the repository file://\S+/BaseOS|package \S+) is not signed by a key that is trusted; name the file of the key with --keyring$`},
		{name: "nobody's signature", target: "rocky:9.4", mirror: changed, pkg: "rootcast-unsigned", err: `^dnf: the package rootcast-unsigned-1.0-1.noarch.rpm is not signed$`},
		{name: "nobody's signature of zypper", target: "leap:15.6", mirror: changed, pkg: "rootcast-unsigned", err: `^zypper: the package rootcast-unsigned\S* is not signed$`},
		{name: "a changed package", target: "rocky:9.4", mirror: changed, pkg: "less", err: `^dnf: the package \S*less-\S* is not what its signature says: it was changed or damaged$`},
		{name: "a changed package of zypper", target: "leap:15.6", mirror: changed, pkg: "less", err: `^zypper: the package \S*less-\S* is not what its signature says: it was changed or damaged$`},
		{name: "lists that are not there", target: "rocky:9.4", mirror: strings.Replace(dead.URL, "://", "://me:secret@", 1), err: `^dnf: reading the repository ` + dead.URL + `: `},
		{name: "lists that are not there of zypper", target: "leap:15.6", mirror: strings.Replace(dead.URL, "://", "://me:secret@", 1), err: `^zypper: reading the repository ` + dead.URL},
		{name: "nobody there", target: "rocky:9.4", mirror: "http://127.0.0.1:1/x", err: `^asking the mirror http://127.0.0.1:1/x: dial tcp 127.0.0.1:1: connect: connection refused; name another one with --mirror$`},
		{name: "another distribution", target: "alma:9", err: `^the package almalinux-release is in none of the repositories: are they of AlmaLinux 9, and all of them\?$`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, tmp := newStore(t), t.TempDir()
			b := Bootstrap{Target: tt.target, Tags: []string{"localhost/base:1"}, Platforms: []string{"linux/amd64"}, Keyring: testKey(dir), Mirrors: []string{base}, TempDir: tmp}
			if tt.keyring != "" {
				b.Keyring = tt.keyring
			}
			if tt.mirror != "" {
				b.Mirrors = []string{tt.mirror}
			}
			if tt.pkg != "" {
				b.Packages = []string{tt.pkg}
			}
			_, err := s.Bootstrap(t.Context(), b)
			if err == nil {
				t.Fatal("no error")
			}
			_, text, _ := strings.Cut(err.Error(), " for linux/amd64: ")
			if !regexp.MustCompile(tt.err).MatchString(text) || strings.Contains(text, "\n") || strings.Contains(text, "secret") {
				t.Errorf("error %q\nwant  %q", text, tt.err)
			}
			wantEmpty(t, tmp)
			wantNoProcess(t, tmp)
		})
	}
}

// TestBootstrapNoGPGCheck takes what nobody signed, and says so.
func TestBootstrapNoGPGCheck(t *testing.T) {
	dir := needRPMDistribution(t, "x86_64")
	for _, target := range []string{"rocky:9.4", "leap:15.6"} {
		t.Run(target, func(t *testing.T) {
			s, tmp := newStore(t), t.TempDir()
			var said strings.Builder
			_, err := s.Bootstrap(t.Context(), Bootstrap{
				Target: target, Tags: []string{"localhost/base:1"}, Platforms: []string{"linux/amd64"}, Packages: []string{"rootcast-unsigned"},
				Mirrors: []string{changedRepository(t, dir)}, NoGPGCheck: true, TempDir: tmp, Output: &said,
			})
			if err != nil {
				t.Fatalf("%v\n%s", err, &said)
			}
			if !strings.HasPrefix(said.String(), "warning: no signature is checked: ") {
				t.Errorf("said:\n%s", &said)
			}
			wantEmpty(t, tmp)
		})
	}
}

// changedRepository is the distribution with a package that nobody signed, and
// another that somebody changed after it was signed; and an index to match.
func changedRepository(t *testing.T, dir string) string {
	t.Helper()
	repo := t.TempDir()
	names, err := filepath.Glob(filepath.Join(dir, "BaseOS/Packages/*.rpm"))
	if err != nil || len(names) == 0 {
		t.Fatal(len(names), err)
	}
	unsigned, err := filepath.Glob(filepath.Join(dir, "unsigned/*.rpm"))
	if err != nil || len(unsigned) == 0 {
		t.Fatal(len(unsigned), err)
	}
	for _, name := range append(names, unsigned...) {
		if strings.HasPrefix(filepath.Base(name), "less-") {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			data[len(data)-100] ^= 1
			if err := os.WriteFile(filepath.Join(repo, filepath.Base(name)), data, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.Symlink(name, filepath.Join(repo, filepath.Base(name))); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "createrepo_c", "--quiet", repo).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return repo
}

// otherKey is the file of a key that signed nothing here.
func otherKey(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	run := func(args ...string) []byte {
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "GNUPGHOME="+home)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(args, err)
		}
		return out
	}
	run("gpg", "--batch", "--passphrase", "", "--quick-generate-key", "somebody else <else@example.org>", "rsa2048", "sign")
	name := filepath.Join(home, "key.asc")
	if err := os.WriteFile(name, run("gpg", "--export", "--armor"), 0o600); err != nil {
		t.Fatal(err)
	}
	run("gpgconf", "--kill", "all")
	return name
}

// TestBootstrapRPMInterrupted cancels at some steps: nothing may be left.
func TestBootstrapRPMInterrupted(t *testing.T) {
	dir := needRPMDistribution(t, "x86_64")
	for _, tt := range []struct{ target, step string }{
		{"rocky:9.4", "reading the lists"},
		{"rocky:9.4", "installing"},
		{"leap:15.6", "reading the lists"},
		{"leap:15.6", "downloading"},
	} {
		t.Run(tt.target+" "+tt.step, func(t *testing.T) {
			s, tmp := newStore(t), t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			stopped := make(chan time.Time, 1)
			seen := writerFunc(func(p []byte) (int, error) {
				if strings.HasPrefix(string(p), tt.step) {
					time.AfterFunc(300*time.Millisecond, func() { // well into it
						stopped <- time.Now()
						cancel()
					})
				}
				return len(p), nil
			})
			_, err := s.Bootstrap(ctx, Bootstrap{
				Target: tt.target, Tags: []string{"localhost/base:1"}, Platforms: []string{"linux/amd64"}, Mirrors: []string{filepath.Join(dir, "BaseOS")},
				Keyring: testKey(dir), TempDir: tmp, Output: seen,
			})
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("error %v, want %v", err, context.Canceled)
			}
			if d := time.Since(<-stopped); d > 2*time.Second {
				t.Errorf("took %s to stop", d)
			}
			wantEmpty(t, tmp)
			wantNoProcess(t, tmp)
		})
	}
}
