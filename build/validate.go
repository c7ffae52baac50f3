package build

import (
	"fmt"
	"go/types"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containers/buildah/define"
	"github.com/containers/buildah/pkg/parse"
)

// Validate finds, before any work, what in r cannot be meant.
func (r Recipe) Validate() error {
	if _, err := normalizeTags(r.Tags); err != nil {
		return err
	}
	for i, p := range r.Platforms {
		if err := ValidatePlatform(p); err != nil {
			return err
		}
		if slices.ContainsFunc(r.Platforms[:i], func(other string) bool { return samePlatform(p, other) }) {
			return platformErrorf("platform %q is named twice", p)
		}
	}
	if _, err := pullPolicy(r.Pull); err != nil {
		return err
	}
	isolation, err := parseIsolation(r.Isolation)
	if err != nil {
		return err
	}
	if _, _, err := networkOptions(r.Network, isolation); err != nil {
		return err
	}
	for what, list := range map[string][]string{"label": r.Labels, "annotation": r.Annotations} {
		for _, kv := range list {
			if key, _, ok := strings.Cut(kv, "="); !ok && what == "annotation" || key == "" {
				return fmt.Errorf("%s %q is not KEY=VALUE", what, kv)
			}
		}
	}
	if err := validateHosts(r.AddHosts, r.DNS, r.Network); err != nil {
		return err
	}
	if r.Jobs < 0 {
		return fmt.Errorf("number of jobs %d is negative", r.Jobs)
	}
	if _, err := parse.Secrets(r.Secrets); err != nil {
		return fmt.Errorf("secret: %w", err)
	}
	if err := parse.Volumes(r.Volumes); err != nil {
		return fmt.Errorf("volume: %w", err)
	}
	if err := r.validateNodes(); err != nil {
		return err
	}
	return r.Registry.Validate()
}

// PlatformError says that nothing can be made for a platform. The rest of a
// command may be right: another machine or version may know the platform.
type PlatformError struct{ reason string }

// Error says which platform it is, and which there are.
func (e *PlatformError) Error() string { return e.reason }

func platformErrorf(format string, args ...any) error {
	return &PlatformError{fmt.Sprintf(format, args...)}
}

// ValidatePlatform checks that p is linux/ARCH[/VARIANT] of an architecture
// that Linux runs on; else its error is a [PlatformError].
func ValidatePlatform(p string) error {
	goos, arch, _, err := parse.Platform(p)
	if err != nil || p == "" {
		return platformErrorf("platform %q is not OS/ARCH[/VARIANT], as in linux/arm64", p)
	}
	if goos != "linux" || types.SizesFor("gc", arch) == nil {
		return platformErrorf("platform %q is unknown; nodes run linux/amd64, linux/arm64, linux/ppc64le, linux/riscv64, linux/s390x, …", p)
	}
	return nil
}

// samePlatform compares two valid platforms.
func samePlatform(a, b string) bool {
	goos, arch, variant, _ := parse.Platform(a)
	goos2, arch2, variant2, _ := parse.Platform(b)
	return goos == goos2 && arch == arch2 && variant == variant2
}

func pullPolicy(name string) (define.PullPolicy, error) {
	switch strings.ToLower(name) {
	case "", "missing", "ifmissing", "notpresent":
		return define.PullIfMissing, nil
	case "true", "always":
		return define.PullAlways, nil
	case "false", "never":
		return define.PullNever, nil
	case "newer", "ifnewer":
		return define.PullIfNewer, nil
	}
	return 0, fmt.Errorf("pull policy %q is none of always, missing, never, newer", name)
}

func parseIsolation(name string) (define.Isolation, error) {
	if name == "" {
		return define.IsolationChroot, nil
	}
	isolation, err := parse.IsolationOption(name)
	if err != nil {
		return 0, fmt.Errorf("isolation %q is none of chroot, oci, rootless", name)
	}
	return isolation, nil
}

// networkOptions says which network RUN steps see. A chroot has only the
// host's.
func networkOptions(how string, isolation define.Isolation) (define.NamespaceOptions, define.NetworkConfigurationPolicy, error) {
	option := define.NamespaceOption{Name: "network"}
	policy := define.NetworkEnabled
	switch how {
	case "", "host":
		option.Host = true
	case "none":
		policy = define.NetworkDisabled
	case "private", "container":
	default:
		option.Path = strings.TrimPrefix(how, "ns:")
		if filepath.IsAbs(option.Path) {
			if _, err := os.Stat(option.Path); err != nil {
				return nil, 0, fmt.Errorf("network: %w", err)
			}
		}
	}
	if isolation == define.IsolationChroot && !option.Host {
		return nil, 0, fmt.Errorf("network %s needs isolation oci; with chroot, RUN has the host's network", how)
	}
	return define.NamespaceOptions{option}, policy, nil
}

func validateHosts(hosts, dns []string, network string) error {
	for _, h := range hosts {
		name, ip, ok := strings.Cut(h, ":")
		if !ok || name == "" || (ip != "host-gateway" && net.ParseIP(ip) == nil) {
			return fmt.Errorf("host %q is not NAME:IP", h)
		}
	}
	if len(dns) > 0 && network == "none" {
		return fmt.Errorf("name servers are of no use with network none")
	}
	if len(dns) > 1 && slices.Contains(dns, "none") {
		return fmt.Errorf("name server none goes with no other")
	}
	for _, server := range dns {
		if server != "none" && net.ParseIP(server) == nil {
			return fmt.Errorf("name server %q is not an IP address", server)
		}
	}
	return nil
}

func isURL(name string) bool {
	return strings.HasPrefix(name, "http://") || strings.HasPrefix(name, "https://")
}
