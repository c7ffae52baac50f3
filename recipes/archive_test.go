package recipes_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rootcast/rootcast/build/apt"
)

// Every package in a list for Debian is in the archive, for each architecture and
// under that name. It asks the mirror of this machine, else Debian's.
func TestDebianArchive(t *testing.T) {
	skip := t.Skip
	if os.Getenv("CI") == "true" {
		skip = t.Fatal
	}
	if testing.Short() {
		t.Skip("fetches 80 MB of package indices")
	}
	if _, err := exec.LookPath("apt-cache"); err != nil {
		skip(err)
	}
	keyring := "/usr/share/keyrings/debian-archive-keyring.gpg"
	if _, err := os.Stat(keyring); err != nil {
		skip(err)
	}
	uri := mirror()
	if uri == "" {
		skip("the apt of this machine has no mirror of Debian")
	}
	for release, suite := range map[string]string{"debian12": "bookworm", "debian13": "trixie"} {
		for osarch, architecture := range map[string]string{"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64el"} {
			t.Run(release+"/"+osarch, func(t *testing.T) {
				t.Parallel()
				index, err := newIndex(t, fmt.Sprintf("deb [signed-by=%s] %s %s main\n", keyring, uri, suite), architecture)
				if err != nil {
					if os.Getenv("CI") != "true" {
						t.Skip(err)
					}
					t.Fatal(err)
				}
				for _, profile := range []string{"compute", "login"} {
					folder := path.Join(release, profile)
					if lacking := index.lacking(t, packages(t, folder, osarch)); len(lacking) > 0 {
						t.Errorf("%s for %s: not in %s: %q", folder, osarch, suite, lacking)
					}
				}
				if lacking := index.lacking(t, []string{"no-such-package"}); len(lacking) != 1 {
					t.Error("a package that there is not is found")
				}
			})
		}
	}
}

// mirror is this machine's, "" if its apt has none of Debian.
func mirror() string {
	sources, err := apt.ReadSources(os.DirFS("/"))
	if err == nil {
		for _, s := range sources {
			if strings.HasSuffix(strings.TrimRight(s.URI, "/"), "/debian") && strings.HasPrefix(s.URI, "http") {
				return s.URI
			}
		}
	}
	return ""
}

// index is what apt knows with a state of its own.
type index struct{ config string }

func newIndex(t *testing.T, source, architecture string) (index, error) {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"lists/partial", "cache/archives/partial", "empty"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return index{}, err
		}
	}
	config := map[string]string{
		"Dir::Etc::sourcelist": dir + "/sources.list", "Dir::Etc::sourceparts": dir + "/empty",
		"Dir::Etc::preferences": dir + "/none", "Dir::Etc::preferencesparts": dir + "/empty",
		"Dir::State": dir, "Dir::State::lists": dir + "/lists", "Dir::State::status": dir + "/status", "Dir::Cache": dir + "/cache",
		"APT::Architecture": architecture, "APT::Architectures": architecture,
		"APT::Sandbox::User": "", "Acquire::Languages": "none", "Acquire::Retries": "3",
	}
	var text strings.Builder
	for name, value := range config {
		fmt.Fprintf(&text, "%s %q;\n", name, value)
	}
	for name, content := range map[string]string{"sources.list": source, "status": "", "apt.conf": text.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return index{}, err
		}
	}
	i := index{filepath.Join(dir, "apt.conf")}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	out, err := i.command(ctx, "apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update").CombinedOutput()
	if err != nil {
		return i, fmt.Errorf("apt-get update: %w: %s", err, out)
	}
	return i, nil
}

func (i index) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "APT_CONFIG="+i.config, "LC_ALL=C")
	return cmd
}

// lacking are the names that no package has.
func (i index) lacking(t *testing.T, names []string) []string {
	t.Helper()
	cmd := i.command(t.Context(), "apt-cache", append([]string{"policy"}, names...)...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	now := ""
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, " ") {
			now = strings.TrimSuffix(strings.TrimSpace(line), ":")
		}
		candidate, ok := strings.CutPrefix(strings.TrimSpace(line), "Candidate: ")
		there[now] = there[now] || ok && candidate != "(none)"
	}
	var lacking []string
	for _, name := range names {
		if !there[name] {
			lacking = append(lacking, name)
		}
	}
	return lacking
}
