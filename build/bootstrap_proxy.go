package build

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"strings"

	"github.com/rootcast/rootcast/build/apt"
)

// aptProxies are the proxies of an apt configuration: by scheme, and by
// scheme::host, in lower case. An empty one means to use none.
type aptProxies map[string]string

// hostProxies are those that the host's own apt is configured with.
func hostProxies(ctx context.Context) (aptProxies, error) {
	name, err := exec.LookPath("apt-config")
	if err != nil {
		return nil, nil //nolint:nilerr // a host without apt
	}
	out, err := exec.CommandContext(ctx, name, "dump").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && len(exit.Stderr) > 0 {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		return nil, fmt.Errorf("reading the configuration of the host's apt: apt-config dump: %w", err)
	}
	return parseAptProxies(string(out)), nil
}

// parseAptProxies reads the output of apt-config dump: Acquire::http::Proxy and
// Acquire::http::Proxy::HOST, and those of https.
func parseAptProxies(dump string) aptProxies {
	list := aptProxies{}
	for line := range strings.Lines(dump) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		key, ok = strings.CutPrefix(strings.ToLower(key), "acquire::")
		if !ok {
			continue
		}
		scheme, rest, _ := strings.Cut(key, "::")
		name, host, _ := strings.Cut(rest, "::")
		if scheme != "http" && scheme != "https" || name != "proxy" {
			continue
		}
		value = strings.TrimPrefix(strings.TrimSuffix(value, `";`), `"`) // apt escapes nothing within
		switch {
		case value == "":
			continue // as if it were not there
		case strings.EqualFold(value, "DIRECT"), strings.EqualFold(value, "false"):
			value = ""
		case !strings.Contains(value, "://"):
			value = "http://" + value
		}
		if host != "" {
			scheme += "::" + host
		}
		list[scheme] = value
	}
	return list
}

// find is the proxy for u, "" for none. Where apt is configured with nothing
// that applies, the environment decides, for apt as well.
func (a aptProxies) find(u *url.URL) (proxy string, configured bool) {
	keys := []string{"http::" + u.Hostname(), "http"}
	if u.Scheme == "https" { // whose defaults are those of http
		keys = []string{"https::" + u.Hostname(), "http::" + u.Hostname(), "https", "http"}
	}
	for _, key := range keys {
		if proxy, ok := a[strings.ToLower(key)]; ok {
			return proxy, true
		}
	}
	return "", false
}

// client asks mirrors by way of the proxies.
func (a aptProxies) client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		Proxy: func(req *http.Request) (*url.URL, error) {
			proxy, configured := a.find(req.URL)
			switch {
			case !configured:
				return http.ProxyFromEnvironment(req)
			case proxy == "":
				return nil, nil
			}
			u, err := url.Parse(proxy)
			if err != nil {
				return nil, fmt.Errorf("apt's proxy %s is not a URL such as http://proxy.example:3142", apt.Redact(proxy))
			}
			return u, nil
		},
	}}
}

// environment has the apt of another root use the proxies for sources: by its
// environment, which other users of the host cannot read and which stays out
// of the root. That knows one proxy for each scheme.
func (a aptProxies) environment(sources []mirrorSource, noProxy string) ([]string, error) {
	proxies := map[string]string{}
	var direct []string
	var unconfigured []*url.URL
	for _, s := range sources {
		u, err := url.Parse(s.URI)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" {
			continue
		}
		proxy, configured := a.find(u)
		other, known := proxies[u.Scheme]
		switch {
		case !configured:
			unconfigured = append(unconfigured, u)
		case proxy == "":
			direct = append(direct, u.Hostname())
		case known && other != proxy:
			return nil, fmt.Errorf("the host's apt is configured with several proxies, of which %s for %s; bootstrap can use one: name mirrors with --mirror that share one",
				apt.Redact(proxy), u.Hostname())
		default:
			proxies[u.Scheme] = proxy
		}
	}
	for _, u := range unconfigured { // the proxy of another host is not for them
		if proxies[u.Scheme] != "" {
			direct = append(direct, u.Hostname())
		}
	}
	var env []string
	for scheme, proxy := range proxies {
		env = append(env, scheme+"_proxy="+proxy)
	}
	slices.Sort(env)
	if len(direct) > 0 {
		slices.Sort(direct)
		list := append(strings.FieldsFunc(noProxy, func(r rune) bool { return r == ',' }), slices.Compact(direct)...)
		env = append(env, "no_proxy="+strings.Join(list, ","))
	}
	return env, nil
}
