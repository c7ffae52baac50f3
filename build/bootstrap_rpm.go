package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/rootcast/rootcast/build/apt"
	"github.com/rootcast/rootcast/build/osimage"
)

// rpmBootstrap makes the root of a distribution of RPM packages by the host's
// dnf or zypper.
type rpmBootstrap struct {
	*bootstrapPlan
	keys         []rpmKey
	repositories []rpmRepository // after askMirrors
}

// check is what can be said of packages before any work.
func (r *rpmBootstrap) check() error {
	if r.Variant != "minbase" {
		return fmt.Errorf("variant %q is of Debian's packages; %s has minbase", r.Variant, r.target.distro.title)
	}
	for _, name := range r.Packages {
		if err := checkRPMPackage(name); err != nil {
			return err
		}
	}
	for _, m := range r.Mirrors {
		if err := checkMirrorURL(m); err != nil {
			return err
		}
	}
	if r.NoGPGCheck && r.Keyring != "" {
		return errors.New("a keyring and no check of signatures contradict each other")
	}
	if len(r.Mirrors) == 0 && r.target.publicRepositories(r.arch.rpm()) == nil {
		return fmt.Errorf("%s %s has no public repository; name one with --mirror, a URL or a directory such as /install/%s%s/%s",
			r.target.distro.title, r.target.release, r.target.distro.name, r.target.release, r.arch.rpm())
	}
	return nil
}

// checkRPMPackage keeps out patterns, files and flags; a group is @NAME.
func checkRPMPackage(name string) error {
	if !regexp.MustCompile(`^(@\^?)?[A-Za-z0-9_][A-Za-z0-9_+.~^:-]*(\([A-Za-z0-9_+.:-]+\))?$`).MatchString(name) {
		return fmt.Errorf("%q is not the name of a package", name)
	}
	return nil
}

func (r *rpmBootstrap) isZypper() bool { return r.target.rpm.Family == osimage.Zypper }

func (r *rpmBootstrap) program() string {
	if r.isZypper() {
		return "zypper"
	}
	return "dnf"
}

// checkHost finds beforehand what would make dnf and zypper fail late or obscurely.
func (r *rpmBootstrap) checkHost(ctx context.Context) error {
	for _, name := range []string{r.program(), "rpm", "gpg"} {
		if _, err := exec.LookPath(name); err != nil {
			pkg := map[string]string{"gpg": "gnupg"}[name]
			if pkg == "" {
				pkg = name
			}
			return fmt.Errorf("%s is not installed; as root: apt-get install %s", name, pkg)
		}
	}
	var host fs.FS
	if !r.realHost {
		host = r.Host
	}
	if err := r.arch.checkRunnable(ctx, host); err != nil {
		return err
	}
	if r.NoGPGCheck {
		r.say("warning: no signature is checked: whoever is on the way to the repositories can put anything into the image")
		return nil
	}
	var err error
	r.keys, err = r.findKeys()
	return err
}

// askMirrors finds the repositories and reads their indexes. What cannot work
// fails here, before any real work.
func (r *rpmBootstrap) askMirrors(ctx context.Context) (err error) {
	if r.realHost {
		if r.proxies, err = hostProxies(ctx); err != nil {
			return err
		}
	}
	if len(r.Mirrors) > 0 {
		err = r.askGiven(ctx)
	} else {
		err = r.askPublic(ctx)
	}
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	sources := make([]mirrorSource, len(r.repositories))
	for i, repo := range r.repositories {
		r.say("using %s", apt.Redact(repo.url))
		sources[i].URI = repo.url
	}
	r.setRPMEpoch()
	r.proxyEnv, err = r.proxies.environment(sources, os.Getenv("no_proxy")) //nolint:forbidigo // added to what dnf inherits
	return err
}

func (r *rpmBootstrap) layout() rpmLayout {
	return rpmLayout{arch: r.arch.rpm(), version: r.target.release}
}

func (r *rpmBootstrap) askGiven(ctx context.Context) error {
	for _, m := range r.Mirrors {
		if strings.HasPrefix(m, "ftp:") { // which dnf and zypper speak themselves
			r.repositories = append(r.repositories, rpmRepository{url: strings.TrimRight(m, "/")})
			continue
		}
		found, err := findRPM(ctx, r.proxies.client(), m, r.layout())
		if err == nil && len(found) == 0 {
			err = errors.New("there is no repodata/repomd.xml, nor one in a directory below it")
		}
		if err != nil {
			return fmt.Errorf("asking the mirror %s: %w; name another one with --mirror", apt.Redact(m), err)
		}
		r.repositories = append(r.repositories, found...)
	}
	return nil
}

// askPublic takes the first of the places that the release is at.
func (r *rpmBootstrap) askPublic(ctx context.Context) error {
	places := r.target.publicRepositories(r.arch.rpm())
	for _, place := range places {
		for _, at := range place {
			repo, ok, err := askRPM(ctx, r.proxies.client(), at)
			if err != nil {
				return fmt.Errorf("asking the mirror %s: %w; name another one with --mirror", at, err)
			}
			if ok {
				r.repositories = append(r.repositories, repo)
			}
		}
		if len(r.repositories) > 0 {
			return nil
		}
	}
	return fmt.Errorf("no release %s for %s at %s; name a mirror of it with --mirror", r.target.release, r.arch.rpm(), places[0][0])
}

// setRPMEpoch applies the default that [Bootstrap.Epoch] promises.
func (r *rpmBootstrap) setRPMEpoch() {
	if r.Epoch != nil {
		r.epoch = r.Epoch.UTC()
		return
	}
	for _, repo := range r.repositories {
		if t := repo.index.Time(); t.After(r.epoch) {
			r.epoch = t
		}
	}
	if r.epoch.IsZero() {
		r.epoch = time.Now().UTC().Truncate(time.Second)
	}
}

// arePublic tells repositories that others than this machine reach, too.
func (r *rpmBootstrap) arePublic() bool {
	for _, repo := range r.repositories {
		if repo.isLocal() {
			return false
		}
	}
	return true
}

// repoID is what the i-th repository is called to dnf and zypper.
func repoID(i int) string { return fmt.Sprintf("rootcast-%d", i+1) }

// repoFile are the repositories as dnf and zypper read them, with keys at the
// given paths. Public is for the image: without passwords, and always with a
// check of signatures.
func (r *rpmBootstrap) repoFile(keys []string, public bool) string {
	check := 1
	if r.NoGPGCheck && !public {
		check = 0
	}
	var urls []string
	for _, key := range keys {
		urls = append(urls, (&url.URL{Scheme: "file", Path: key}).String())
	}
	var text strings.Builder
	for i, repo := range r.repositories {
		at, name := repo.url, repoID(i)
		if public {
			at, name = apt.Redact(at), fmt.Sprintf("%s %s (%d)", r.target.distro.title, r.target.release, i+1)
		}
		fmt.Fprintf(&text, "[%s]\nname=%s\nbaseurl=%s\nenabled=1\ngpgcheck=%d\n", repoID(i), name, at, check)
		checkRepo := check
		if !repo.signed || len(keys) == 0 {
			checkRepo = 0
		}
		fmt.Fprintf(&text, "repo_gpgcheck=%d\n", checkRepo)
		if r.isZypper() { // to which gpgcheck alone means either
			fmt.Fprintf(&text, "pkg_gpgcheck=%d\n", check)
		}
		if len(urls) > 0 {
			fmt.Fprintf(&text, "gpgkey=%s\n", strings.Join(urls, "\n       "))
		}
		if r.isZypper() {
			fmt.Fprintf(&text, "autorefresh=0\ntype=rpm-md\n\n")
		} else {
			fmt.Fprintf(&text, "skip_if_unavailable=0\n\n")
		}
	}
	return text.String()
}

// labels say what the image is; see [bootstrapPlan.labels].
func (r *rpmBootstrap) labels() map[string]string {
	title := r.target.distro.title
	labels := map[string]string{
		v1.AnnotationTitle:              title + " " + r.target.release,
		v1.AnnotationVendor:             title,
		v1.AnnotationVersion:            r.target.release,
		"io.rootcast.bootstrap.distro":  r.target.distro.name,
		"io.rootcast.bootstrap.release": r.target.release,
		"io.rootcast.bootstrap.variant": r.Variant,
	}
	if len(r.Packages) > 0 {
		labels["io.rootcast.bootstrap.packages"] = strings.Join(r.Packages, " ")
	}
	return labels
}
