package build

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rootcast/rootcast/build/repomd"
)

const testRepomd = `<repomd><revision>1714000000</revision><data type="primary"><timestamp>1714000000</timestamp></data></repomd>`

func TestRepositoryState(t *testing.T) {
	srv := httptest.NewServer(http.FileServer(http.Dir(t.TempDir())))
	defer srv.Close()
	dir := t.TempDir()
	srv.Config.Handler = http.FileServer(http.Dir(dir))
	tests := []struct {
		name, file, repo string
	}{
		{name: "RPM, a directory", file: "local/BaseOS/" + repomd.Name, repo: dir + "/local"},
		{name: "RPM, by file:", file: "local/BaseOS/" + repomd.Name, repo: "file://" + dir + "/local"},
		{name: "RPM, a URL", file: "flat/" + repomd.Name, repo: srv.URL + "/flat/"},
		{name: "RPM, below a URL", file: "rocky/9.4/AppStream/x86_64/os/" + repomd.Name, repo: srv.URL + "/rocky"},
		{name: "RPM, with variables", file: "v/9.4/x86_64/" + repomd.Name, repo: srv.URL + "/v/$releasever/$basearch"},
		{name: "SUSE's media", file: "sle/Module-Basesystem/" + repomd.Name, repo: srv.URL + "/sle"},
		{name: "Debian, a suite", file: "debian/dists/bookworm/InRelease", repo: srv.URL + "/debian bookworm main"},
		{name: "Debian, a line", file: "debian/dists/bookworm/InRelease", repo: "deb [trusted=yes] " + srv.URL + "/debian bookworm main"},
		{name: "Debian, flat", file: "debs/Packages.gz", repo: srv.URL + "/debs ./"},
		{name: "Debian, a URL", file: "debs/Packages.gz", repo: srv.URL + "/debs"},
		{name: "Debian, a directory", file: "localdebs/Packages", repo: dir + "/localdebs"},
	}
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("sle/media.1/products", "/ SLES 15.5-0\n/Module-Basesystem sle-module-basesystem 15.5-0\n")
	o := RepositoryOptions{Platform: "linux/amd64", Version: "9.4"}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var states []string
			for _, change := range []string{"", "", "<!-- later -->"} {
				write(tt.file, testRepomd+change)
				got, err := RepositoryState(t.Context(), []string{tt.repo}, o)
				if err != nil {
					t.Fatal(err)
				}
				states = append(states, got.String())
			}
			if states[0] != states[1] || states[1] == states[2] {
				t.Errorf("states of the same, the same and another repository: %v", states)
			}
		})
	}
}

func TestRepositoryStateErrors(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	with := func(user string) string { return strings.Replace(srv.URL, "://", "://"+user+"@", 1) }
	dir := t.TempDir()
	const none = "there is neither repodata/repomd.xml nor a Release or Packages file"
	tests := []struct {
		name, repo, err string
	}{
		{"nobody there", "http://127.0.0.1:1/x", "asking the repository http://127.0.0.1:1/x what it holds: dial tcp 127.0.0.1:1: connect: connection refused"},
		{"nothing there", with("me:secret") + "/x", "asking the repository " + srv.URL + "/x what it holds: " + none},
		{"no suite", with("me:secret") + "/x bookworm main", "asking the repository " + srv.URL + "/x bookworm main what it holds: " + none},
		{"no directory", dir + "/x", "asking the repository " + dir + "/x what it holds: no such file or directory"},
		{"an empty directory", dir, "asking the repository " + dir + " what it holds: " + none},
		{"neither", "mirror", `asking the repository mirror what it holds: mirror "mirror" is neither a directory such as /install/rocky9.4/x86_64 nor a URL such as http://mirror.example/rocky/9.4`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := RepositoryState(t.Context(), []string{tt.repo}, RepositoryOptions{})
			wantError(t, err, tt.err)
		})
	}
}
