package build

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/build/repomd"
)

func TestRPMTarget(t *testing.T) {
	tests := []struct {
		target, want, dbPath, module, err string
	}{
		{target: "rocky:9.4", want: "Rocky Linux 9.4", dbPath: "/var/lib/rpm", module: "platform:el9"},
		{target: "Alma:9", want: "AlmaLinux 9", dbPath: "/var/lib/rpm", module: "platform:el9"},
		{target: "rhels:8.10", want: "Red Hat Enterprise Linux 8.10", dbPath: "/var/lib/rpm", module: "platform:el8"},
		{target: "centos-stream:10", want: "CentOS Stream 10", dbPath: "/usr/lib/sysimage/rpm", module: "platform:el10"},
		{target: "centos:7", want: "CentOS 7", dbPath: "/var/lib/rpm"},
		{target: "ol:9", want: "Oracle Linux 9", dbPath: "/var/lib/rpm", module: "platform:el9"},
		{target: "fedora:40", want: "Fedora Linux 40", dbPath: "/usr/lib/sysimage/rpm", module: "platform:f40"},
		{target: "leap:15.6", want: "openSUSE Leap 15.6", dbPath: "/usr/lib/sysimage/rpm"},
		{target: "sles:15sp5", want: "SUSE Linux Enterprise Server 15.5", dbPath: "/usr/lib/sysimage/rpm"},
		{target: "sle:12.5", want: "SUSE Linux Enterprise Server 12.5", dbPath: "/var/lib/rpm"},
		{target: "arch:1", err: `distribution "arch" cannot be bootstrapped; debian, ubuntu, rocky, alma, rhel, centos-stream, centos, ol, fedora, leap and sles can`},
		{target: "rocky:nine", err: `"nine" is no release of Rocky Linux, as 9.4 or 15.6 are`},
		{target: "rocky:../9", err: `"../9" is no release of Rocky Linux, as 9.4 or 15.6 are`},
		{target: "rocky:9..4", err: `"9..4" is no release of Rocky Linux, as 9.4 or 15.6 are`},
		{target: "centos:-stream9", err: `"-stream9" is no release of CentOS, as 9.4 or 15.6 are`},
	}
	for _, tt := range tests {
		t.Run(tt.target, func(t *testing.T) {
			got, err := parseTarget(tt.target)
			wantError(t, err, tt.err)
			if err != nil {
				return
			}
			if title := got.distro.title + " " + got.release; title != tt.want || got.dbPath() != tt.dbPath || got.modulePlatform() != tt.module {
				t.Errorf("%s, %s, %q, want %s, %s, %q", title, got.dbPath(), got.modulePlatform(), tt.want, tt.dbPath, tt.module)
			}
			for _, c := range got.minimalPackages() {
				if len(c.names) == 0 {
					t.Error("a package without a name")
				}
			}
			if len(got.keyPatterns()) == 0 {
				t.Error("no keys")
			}
		})
	}
}

func TestRPMBootstrapValidate(t *testing.T) {
	tests := []struct {
		name string
		b    Bootstrap
		want string // error
	}{
		{name: "public", b: Bootstrap{Target: "rocky:9.4"}},
		{name: "group, version, provided name", b: Bootstrap{Target: "alma:9", Packages: []string{"@core", "@^minimal-environment", "bash-5.1.8-9.el9.x86_64", "perl(Getopt::Long)", "libstdc++"}}},
		{name: "mirrors", b: Bootstrap{Target: "rhel:9", Mirrors: []string{"/install/rhels9.4/x86_64", "http://me:secret@mirror.example/x", "file:///srv/x", "ftp://mirror.example/x"}}},
		{name: "RHEL without a mirror", b: Bootstrap{Target: "rhel:9.4", Platforms: []string{"linux/arm64"}}, want: "Red Hat Enterprise Linux 9.4 has no public repository; name one with --mirror, a URL or a directory such as /install/rhel9.4/aarch64"},
		{name: "SLES without a mirror", b: Bootstrap{Target: "sles:15.5", Platforms: []string{"linux/amd64"}}, want: "SUSE Linux Enterprise Server 15.5 has no public repository; name one with --mirror, a URL or a directory such as /install/sles15.5/x86_64"},
		{name: "relative directory", b: Bootstrap{Target: "rocky:9", Mirrors: []string{"install/x"}}, want: `mirror "install/x" is neither a directory such as /install/rocky9.4/x86_64 nor a URL such as http://mirror.example/rocky/9.4`},
		{name: "a mirror of two lines", b: Bootstrap{Target: "rocky:9", Mirrors: []string{"/x\ngpgcheck=0"}}, want: `mirror "/x\ngpgcheck=0" is neither a directory such as /install/rocky9.4/x86_64 nor a URL such as http://mirror.example/rocky/9.4`},
		{name: "variant", b: Bootstrap{Target: "rocky:9", Variant: "apt"}, want: `variant "apt" is of Debian's packages; Rocky Linux has minbase`},
		{name: "package that is a flag", b: Bootstrap{Target: "rocky:9", Packages: []string{"--nogpgcheck"}}, want: `"--nogpgcheck" is not the name of a package`},
		{name: "package that is a file", b: Bootstrap{Target: "rocky:9", Packages: []string{"./x.rpm"}}, want: `"./x.rpm" is not the name of a package`},
		{name: "key and no check", b: Bootstrap{Target: "rocky:9", Keyring: "x", NoGPGCheck: true}, want: "a keyring and no check of signatures contradict each other"},
		{name: "Debian without a check", b: Bootstrap{Target: "debian:12", NoGPGCheck: true}, want: "packages of Debian cannot be taken without a check of signatures; name their keys with --keyring"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantError(t, tt.b.Validate(), tt.want) })
	}
}

const asciiKey = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nx\n-----END PGP PUBLIC KEY BLOCK-----\n"

// rpmPlan is the plan of a bootstrap of RPM packages.
func rpmPlan(t *testing.T, b Bootstrap) *rpmBootstrap {
	t.Helper()
	p, err := onePlan(b)
	if err != nil {
		t.Fatal(err)
	}
	return p.rpm
}

func TestRPMKeys(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	one, two := file("one", asciiKey), file("two", "comment\n"+asciiKey)
	binary, private := file("binary", "\x99\x01"), file("private", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n"+asciiKey)
	const advice = "; it must be a file as of gpg --export --armor"
	tests := []struct {
		name, keyring, err string
		host               map[string]string
		want               int
	}{
		{name: "two files", keyring: one + "," + two, want: 2},
		{name: "the distribution's", host: map[string]string{
			"etc/pki/rpm-gpg/RPM-GPG-KEY-Rocky-9": asciiKey, "etc/pki/rpm-gpg/RPM-GPG-KEY-other": "x" + asciiKey,
			"usr/share/distribution-gpg-keys/rocky/RPM-GPG-KEY-Rocky-9": asciiKey,
		}, want: 1},
		{name: "none", host: map[string]string{"etc/pki/rpm-gpg/RPM-GPG-KEY-Rocky-8": asciiKey}, err: "this machine has no key of Rocky Linux 9.4, neither in /etc/pki/rpm-gpg nor in /usr/share/distribution-gpg-keys; name one with --keyring FILE, or give up checks of signatures with --no-gpg-check"},
		{name: "no file", keyring: dir + "/x", err: "the keyring " + dir + "/x that its packages are signed with: no such file or directory" + advice},
		{name: "binary", keyring: one + "," + binary, err: "the keyring " + binary + " that its packages are signed with: it holds no public key in ASCII" + advice},
		{name: "private", keyring: private, err: "the keyring " + private + " that its packages are signed with: it holds a private key" + advice},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			keys, err := rpmPlan(t, Bootstrap{Target: "rocky:9.4", Keyring: tt.keyring, Host: mapFS(tt.host)}).findKeys()
			wantError(t, err, tt.err)
			if len(keys) != tt.want {
				t.Errorf("%d keys, want %d", len(keys), tt.want)
			}
		})
	}
}

func TestRPMRepositories(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"medium/BaseOS/" + repomd.Name, "medium/AppStream/" + repomd.Name, "medium/AppStream/" + repomd.Name + ".asc", "empty/x", "bad/" + repomd.Name} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		text := testRepomd
		if strings.Contains(name, "/bad/") {
			text = "<html></html>"
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	srv := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer srv.Close()
	secret := strings.Replace(srv.URL, "://", "://me:secret@", 1)
	const tail = "; name another one with --mirror"
	none := ": there is no repodata/repomd.xml, nor one in a directory below it" + tail
	tests := []struct {
		name, mirror, err string
		want              []string
		public            bool
	}{
		{name: "a medium", mirror: dir + "/medium", want: []string{"file://" + dir + "/medium/AppStream signed", "file://" + dir + "/medium/BaseOS"}},
		{name: "by HTTP", mirror: secret + "/medium/", want: []string{secret + "/medium/BaseOS", secret + "/medium/AppStream signed"}, public: true},
		{name: "by FTP, unasked", mirror: "ftp://mirror.example/x/", want: []string{"ftp://mirror.example/x"}, public: true},
		{name: "nothing there", mirror: dir + "/empty", err: "asking the mirror " + dir + "/empty" + none},
		{name: "nothing there, by HTTP", mirror: secret + "/empty", err: "asking the mirror " + srv.URL + "/empty" + none},
		{name: "no directory", mirror: dir + "/nonesuch", err: "asking the mirror " + dir + "/nonesuch: no such file or directory" + tail},
		{name: "a page", mirror: secret + "/bad", err: "asking the mirror " + srv.URL + "/bad: it is no repomd.xml: expected element type <repomd> but have <html>" + tail},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := rpmPlan(t, Bootstrap{Target: "rhel:9.4", Mirrors: []string{tt.mirror}, Host: mapFS(nil)})
			err := r.askMirrors(t.Context())
			wantError(t, err, tt.err)
			if err != nil {
				return
			}
			var got []string
			for _, repo := range r.repositories {
				line := repo.url
				if repo.signed {
					line += " signed"
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if r.repositories[0].text != "" && r.epoch.Unix() != 1714000000 {
				t.Errorf("epoch %s", r.epoch.Format(time.RFC3339))
			}
			r.keys = []rpmKey{newRPMKey(0, []byte(asciiKey))}
			var written string
			for _, f := range r.ownFiles(t.TempDir()) {
				written += f.name + "\n" + string(f.content)
			}
			if strings.Contains(written, "/rootcast.repo") != tt.public || strings.Contains(written, "secret") || strings.Contains(written, "gpgcheck=0\nenabled") {
				t.Errorf("files of the image:\n%s", written)
			}
		})
	}
}

func TestRPMRepoFile(t *testing.T) {
	r := rpmPlan(t, Bootstrap{Target: "rocky:9.4", NoGPGCheck: true})
	r.repositories = []rpmRepository{{url: "http://me:secret@mirror.example/a%20b", signed: true}, {url: "ftp://mirror.example/b"}}
	work := "[rootcast-1]\nname=rootcast-1\nbaseurl=http://me:secret@mirror.example/a%20b\nenabled=1\ngpgcheck=0\nrepo_gpgcheck=0\nskip_if_unavailable=0\n\n" +
		"[rootcast-2]\nname=rootcast-2\nbaseurl=ftp://mirror.example/b\nenabled=1\ngpgcheck=0\nrepo_gpgcheck=0\nskip_if_unavailable=0\n\n"
	if diff := cmp.Diff(work, r.repoFile(nil, false)); diff != "" {
		t.Errorf("to work with (-want +got):\n%s", diff)
	}
	public := "[rootcast-1]\nname=Rocky Linux 9.4 (1)\nbaseurl=http://mirror.example/a%20b\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file:///k\nskip_if_unavailable=0\n\n" +
		"[rootcast-2]\nname=Rocky Linux 9.4 (2)\nbaseurl=ftp://mirror.example/b\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=0\ngpgkey=file:///k\nskip_if_unavailable=0\n\n"
	if diff := cmp.Diff(public, r.repoFile([]string{"/k"}, true)); diff != "" {
		t.Errorf("of the image (-want +got):\n%s", diff)
	}
}

func TestRPMChoose(t *testing.T) {
	r := rpmPlan(t, Bootstrap{Target: "rocky:9.4", Packages: []string{"less", "bash"}})
	choices := r.target.minimalPackages()
	got, err := r.choose(choices, strings.Fields("dnf bash rocky-release coreutils rpm"))
	wantError(t, err, "")
	if diff := cmp.Diff(strings.Fields("rocky-release bash coreutils rpm dnf less"), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, err = r.choose(choices, strings.Fields("dnf bash rocky-release coreutils coreutils-single glibc-minimal-langpack rpm")); err != nil || got[2] != "coreutils-single" || got[3] != "glibc-minimal-langpack" {
		t.Errorf("%v, error %v", got, err)
	}
	_, err = r.choose(choices, strings.Fields("bash rocky-release rpm dnf"))
	wantError(t, err, "the package coreutils-single or coreutils is in none of the repositories: are they of Rocky Linux 9.4, and all of them?")
}

func TestRPMReason(t *testing.T) {
	tests := []struct {
		name, output, want string
	}{
		{name: "a script", output: "Error in PREIN scriptlet in rpm package x\nError: Transaction failed", want: "a script (PREIN) of the package x failed"},
		{name: "dependency", output: "Error: \n Problem: conflicting requests\n  - nothing provides libx needed by y-1.x86_64", want: "nothing provides libx, which y-1.x86_64 needs"},
		{name: "no password", output: "Error: Failed to download metadata for repo 'rootcast-1': Cannot download http://me:secret@a.example/x: 500", want: "reading the repository http://a.example: Cannot download http://a.example/x: 500"},
		{name: "the helper", output: "E: mounting /proc in the new root: operation not permitted", want: "mounting /proc in the new root: operation not permitted"},
		{name: "nothing of use", output: "one\ntwo"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := rpmPlan(t, Bootstrap{Target: "rocky:9.4"})
			r.repositories = []rpmRepository{{url: "http://me:secret@a.example"}}
			var lines []string
			for line := range strings.Lines(tt.output) {
				lines = append(lines, strings.TrimSpace(line))
			}
			if got := r.reason(lines); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestZypperNames(t *testing.T) {
	const table = "Loading repository data...\n\nS | Name         | Summary | Type\n--+--------------+---------+--------\n  | bash         | x       | package\ni | leap-release | y       | package\n"
	if diff := cmp.Diff([]string{"Name", "bash", "leap-release"}, zypperNames(table)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNewRootEnvironment(t *testing.T) {
	got := newRootEnvironment([]string{"PATH=/bin", "HTTPS_proxy=http://p:1", "AWS_SECRET=x", "HOME=/root", "no_proxy=a"}, []string{"HOME=/x"})
	if diff := cmp.Diff([]string{"PATH=/bin", "HTTPS_proxy=http://p:1", "no_proxy=a", "LC_ALL=C.UTF-8", "TZ=UTC", "HOME=/x"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
