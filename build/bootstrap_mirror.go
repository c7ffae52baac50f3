package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rootcast/rootcast/build/apt"
)

const (
	askTimeout = 20 * time.Second
	askLimit   = 64 << 20 // of an index; the largest Release files in use are 0.3 MiB, Packages of 60 000 packages 50 MiB
)

// mirrorSource is a suite at a mirror, and what the mirror said of it.
type mirrorSource struct {
	apt.Source
	asGiven bool // by a line of sources.list, to be used unasked
	release apt.Release
	missing bool
}

// askMirrors decides which suites of which mirrors to use, by asking for the
// Release file of each. What cannot work fails here, before any real work.
func (p *bootstrapPlan) askMirrors(ctx context.Context) error {
	sources, err := p.candidates()
	if err != nil {
		return err
	}
	if p.realHost {
		if p.proxies, err = hostProxies(ctx); err != nil {
			return err
		}
	}
	client := p.proxies.client()
	errs := make([]error, len(sources))
	var wg sync.WaitGroup
	for i := range sources {
		wg.Go(func() { errs[i] = sources[i].ask(ctx, client) })
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	for i, s := range sources {
		switch {
		case errs[i] != nil:
			return fmt.Errorf("asking the mirror %s for %s: %w; name another one with --mirror", apt.Redact(s.URI), s.Suite, errs[i])
		case s.missing:
			continue
		}
		p.say("using %s %s", apt.Redact(s.URI), s.Suite)
		p.sources = append(p.sources, s)
		if s.Suite == p.target.release && p.release.Date.IsZero() {
			p.release = s.release
		}
	}
	if !slices.ContainsFunc(p.sources, func(s mirrorSource) bool { return s.asGiven || s.Suite == p.target.release }) {
		return fmt.Errorf("no release %s at %s; known releases of %s are %s",
			p.target.release, apt.Redact(sources[0].URI), p.target.distro.title, p.target.distro.known())
	}
	p.setEpoch()
	p.proxyEnv, err = p.proxies.environment(p.sources, os.Getenv("no_proxy")) //nolint:forbidigo // added to what mmdebstrap inherits
	return err
}

// setEpoch applies the default that [Bootstrap.Epoch] promises.
func (p *bootstrapPlan) setEpoch() {
	if p.Epoch != nil {
		p.epoch = p.Epoch.UTC()
		return
	}
	for _, s := range p.sources {
		if s.release.Date.After(p.epoch) {
			p.epoch = s.release.Date
		}
	}
	if p.epoch.IsZero() {
		p.epoch = time.Now().UTC().Truncate(time.Second)
	}
}

// candidates are the suites to ask for: at the mirrors given, else at those of
// the host.
func (p *bootstrapPlan) candidates() ([]mirrorSource, error) {
	if len(p.Mirrors) > 0 {
		return p.given()
	}
	sources, err := p.hostSources()
	if err == nil && len(sources) == 0 {
		err = fmt.Errorf("this machine's apt has no mirror of %s for %s; name one with --mirror URL", p.target.distro.title, p.arch.debian)
	}
	return sources, err
}

func (p *bootstrapPlan) given() ([]mirrorSource, error) {
	var list []mirrorSource
	for _, m := range p.Mirrors {
		if strings.HasPrefix(m, "deb ") {
			s, err := apt.ParseLine(m)
			if err != nil {
				return nil, fmt.Errorf("reading a mirror's line: %w", err)
			}
			list = append(list, mirrorSource{Source: s, asGiven: true})
			continue
		}
		u, err := url.Parse(m)
		if err != nil || u.Scheme == "" || strings.ContainsAny(m, " \t\n[]") {
			return nil, fmt.Errorf("mirror %q is not a URL such as http://mirror.example/debian", apt.Redact(m))
		}
		list = append(list, p.suitesAt([]string{m})...)
	}
	return list, nil
}

func (p *bootstrapPlan) suitesAt(uris []string) []mirrorSource {
	var list []mirrorSource
	for _, uri := range uris {
		for _, suite := range p.target.suites() {
			list = append(list, mirrorSource{Source: apt.Source{
				URI: strings.TrimRight(uri, "/"), Suite: suite, Components: p.target.distro.components,
			}})
		}
	}
	return list
}

// hostSources are the host's own repositories, if it is of the distribution
// that is wanted, with the wanted release in place of the host's.
func (p *bootstrapPlan) hostSources() ([]mirrorSource, error) {
	id, codename, err := osRelease(p.Host)
	if err != nil {
		return nil, err
	}
	host, err := parseArchitecture("")
	if id != p.target.distro.name || codename == "" || err != nil {
		return nil, nil //nolint:nilerr // an unknown host has no mirrors for us
	}
	if id == "ubuntu" && host.isUbuntuPort() != p.arch.isUbuntuPort() {
		return nil, nil // another mirror serves that architecture
	}
	all, err := apt.ReadSources(p.Host)
	if err != nil {
		return nil, err
	}
	own := bootstrapTarget{release: codename}.suites()
	var list []mirrorSource
	for _, s := range all {
		i := slices.Index(own, s.Suite)
		if i < 0 || !p.target.distro.isOwn(s) {
			continue
		}
		uri, ok := p.resolveMirrorList(s.URI)
		if !ok {
			continue
		}
		m := mirrorSource{Source: apt.Source{URI: uri, Suite: p.target.suites()[i], Components: s.Components}}
		if !slices.ContainsFunc(list, func(o mirrorSource) bool { return o.URI == m.URI && o.Suite == m.Suite }) {
			list = append(list, m)
		}
	}
	return list, nil
}

// isOwn tells the distribution's archive from the repositories of others that
// have suites of the same name: they are signed by keys of their own.
func (d distribution) isOwn(s apt.Source) bool {
	stem := strings.TrimSuffix(path.Base(d.keyring), path.Ext(d.keyring))
	return slices.Contains(s.Components, "main") && (s.SignedBy == "" || strings.HasPrefix(path.Base(s.SignedBy), stem))
}

// resolveMirrorList follows mirror+file:, as cloud images have it, to the first
// mirror of the list: in the image there is no such file. Transports that work
// on this host alone (cdrom:, tor+http:) are not for an image.
func (p *bootstrapPlan) resolveMirrorList(uri string) (string, bool) {
	if name, ok := strings.CutPrefix(uri, "mirror+file:"); ok {
		text, err := fs.ReadFile(p.Host, strings.Trim(path.Clean(name), "/"))
		if err != nil {
			return "", false
		}
		words := strings.Fields(string(text))
		if len(words) == 0 {
			return "", false
		}
		uri = words[0]
	}
	scheme, _, _ := strings.Cut(uri, ":")
	return strings.TrimRight(uri, "/"), scheme == "http" || scheme == "https"
}

// osRelease reads the distribution and the release of a root.
func osRelease(root fs.FS) (id, codename string, err error) {
	text, err := fs.ReadFile(root, "etc/os-release")
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", nil
	}
	if err != nil {
		return "", "", fmt.Errorf("finding out the host's distribution: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch value = strings.Trim(value, `"'`); key {
		case "ID":
			id = value
		case "VERSION_CODENAME":
			codename = value
		}
	}
	return id, codename, nil
}

// ask reads the Release file. Where a mirror has none the suite is missing;
// what is known of one given as a line comes from apt alone.
func (s *mirrorSource) ask(ctx context.Context, client *http.Client) error {
	if s.asGiven && strings.HasSuffix(s.Suite, "/") {
		return nil
	}
	for _, name := range []string{"InRelease", "Release"} {
		text, found, err := fetch(ctx, client, s.URI+"/dists/"+s.Suite+"/"+name)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		if s.release, err = apt.ParseRelease(text); err != nil {
			return fmt.Errorf("its file %s is not one: %w", name, err)
		}
		return nil
	}
	if s.asGiven {
		return errors.New("it has no such suite")
	}
	s.missing = true
	return nil
}

// fetch reads a small file. What only apt can read counts as found nowhere.
func fetch(ctx context.Context, client *http.Client, uri string) (text string, found bool, err error) {
	if name, ok := strings.CutPrefix(uri, "file:"); ok {
		data, err := os.ReadFile(filepath.Clean("/" + strings.TrimLeft(name, "/")))
		if errors.Is(err, fs.ErrNotExist) {
			return "", false, nil
		}
		return string(data), err == nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return "", false, plainURLError(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", false, plainURLError(err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusGone:
		return "", false, nil
	default:
		return "", false, fmt.Errorf("it answered %q", resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, askLimit+1))
	if err != nil {
		return "", false, plainURLError(err)
	}
	if len(data) > askLimit {
		return "", false, fmt.Errorf("its answer is larger than %d MiB", askLimit>>20)
	}
	return string(data), true, nil
}

// plainURLError drops the URL, which may hold a password and is named anyway.
func plainURLError(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		if ue.Timeout() {
			return fmt.Errorf("no answer within %s", askTimeout)
		}
		return ue.Err
	}
	return err
}
