package build

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/build/apt"
)

func TestAptProxies(t *testing.T) {
	const direct = "none"
	tests := []struct {
		name, dump string
		want       map[string]string // proxies by URI; those left out are not configured
		env        []string          // for the sources in want
		err        string
	}{
		{name: "nothing", dump: "APT \"\";\nAcquire \"\";\nAcquire::cdrom \"\";\nAcquire::cdrom::mount \"/media/cdrom\";\n"},
		{
			name: "one for all", dump: "Acquire::http \"\";\nAcquire::http::Proxy \"http://cache.example:3142/\";\n",
			want: map[string]string{"http://a.example/debian": "http://cache.example:3142/", "https://b.example/debian": "http://cache.example:3142/"},
			env:  []string{"http_proxy=http://cache.example:3142/", "https_proxy=http://cache.example:3142/"},
		},
		{
			name: "in other letters, with a password, to be taken as it is", dump: "acquire::HTTP::proxy \"http://me:p%20w\"x@cache.example:1\";\n",
			want: map[string]string{"http://a.example/": `http://me:p%20w"x@cache.example:1`}, env: []string{`http_proxy=http://me:p%20w"x@cache.example:1`},
		},
		{
			name: "https by itself, without a scheme", dump: "Acquire::http::Proxy \"\";\nAcquire::https::Proxy \"cache.example:8\";\n",
			want: map[string]string{"https://a.example/": "http://cache.example:8"}, env: []string{"https_proxy=http://cache.example:8"},
		},
		{
			name: "none for some", dump: "Acquire::http::Proxy \"http://c:1\";\nAcquire::http::Proxy::Local.example \"DIRECT\";\nAcquire::https::Proxy \"false\";\n",
			want: map[string]string{"http://a.example/": "http://c:1", "http://local.example:80/x": direct, "https://b.example/": direct},
			env:  []string{"http_proxy=http://c:1", "no_proxy=old.example,b.example,local.example"},
		},
		{
			name: "two", dump: "Acquire::http::Proxy \"http://c:1\";\nAcquire::http::Proxy::b.example \"http://me:secret@d:1\";\n",
			want: map[string]string{"http://a.example/": "http://c:1", "http://b.example/": "http://me:secret@d:1"},
			err:  "the host's apt is configured with several proxies, of which http://d:1 for b.example; bootstrap can use one: name mirrors with --mirror that share one",
		},
		{name: "others", dump: "Acquire::ftp::Proxy \"ftp://c:1\";\nAcquire::http::Proxy-Auto-Detect \"/bin/x\";\nAcquire::http::Timeout \"3\";\nDir::Proxy \"http://c:1\";\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			proxies := parseAptProxies(tt.dump)
			var sources []mirrorSource
			for uri, want := range tt.want {
				sources = append(sources, mirrorSource{Source: apt.Source{URI: uri}})
				u, err := url.Parse(uri)
				if err != nil {
					t.Fatal(err)
				}
				got, configured := proxies.find(u)
				if configured && got == "" {
					got = direct
				}
				if got != want {
					t.Errorf("proxy for %s: %q, want %q", uri, got, want)
				}
			}
			if got, ok := proxies.find(&url.URL{Scheme: "http", Host: "other.example"}); tt.want == nil && ok {
				t.Errorf("a proxy %q that is not for us", got)
			}
			slices.SortFunc(sources, func(a, b mirrorSource) int { return strings.Compare(a.URI, b.URI) })
			env, err := proxies.environment(sources, "old.example")
			wantError(t, err, tt.err)
			if diff := cmp.Diff(tt.env, env); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAptProxiesOfOneHost(t *testing.T) {
	proxies := parseAptProxies("Acquire::http::Proxy::a.example \"http://c:1\";\n")
	env, err := proxies.environment([]mirrorSource{{Source: apt.Source{URI: "http://b.example/"}}, {Source: apt.Source{URI: "http://a.example/"}}}, "")
	wantError(t, err, "")
	if diff := cmp.Diff([]string{"http_proxy=http://c:1", "no_proxy=b.example"}, env); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

// TestBootstrapByProxy has a mirror that only the proxy in apt's configuration
// can reach.
func TestBootstrapByProxy(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.URL.String()+" "+r.Header.Get("Proxy-Authorization"))
		if !strings.HasSuffix(r.URL.Path, "/bookworm/InRelease") {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, "Suite: oldstable\nCodename: bookworm\nVersion: 12.15\nDate: Sat, 21 Nov 2026 02:10:46 UTC\n")
	}))
	defer proxy.Close()
	address := strings.Replace(proxy.URL, "http://", "http://me:secret@", 1)
	bin := t.TempDir()
	script := "#!/bin/sh\n[ \"$*\" = dump ] && echo 'Acquire::http::Proxy \"" + address + "\";'\n"
	if err := os.WriteFile(filepath.Join(bin, "apt-config"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("no_proxy", "")
	p, err := Bootstrap{Target: "debian:12", Mirrors: []string{"http://mirror.invalid/debian"}}.plan("")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.askMirrors(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(asked, "http://mirror.invalid/debian/dists/bookworm/InRelease Basic bWU6c2VjcmV0") {
		t.Errorf("the proxy was asked for %q", asked)
	}
	cmd := p.command(t.Context(), t.TempDir())
	if !slices.Contains(cmd.Env, "http_proxy="+address) {
		t.Error("mmdebstrap does not learn of the proxy")
	}
	if strings.Contains(strings.Join(cmd.Args, " "), "secret") {
		t.Errorf("the proxy's password is among the arguments %q", cmd.Args)
	}

	if err := os.WriteFile(filepath.Join(bin, "apt-config"), []byte("#!/bin/sh\necho 'E: Syntax error' >&2\nexit 100\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	wantError(t, p.askMirrors(t.Context()), "reading the configuration of the host's apt: apt-config dump: exit status 100: E: Syntax error")
}
