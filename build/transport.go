package build

import (
	"fmt"

	"go.podman.io/image/v5/signature"
)

// HasTransport tells whether an image's name says by itself where the image is:
// docker://, oci:, oci-archive:, docker-archive:, dir: and so on.
func HasTransport(name string) bool { return hasTransport(name) }

// SignaturePolicy is what the policy file says, or that of Debian and Fedora,
// which accepts every image, where there is none.
func (r Registry) SignaturePolicy() (*signature.Policy, error) {
	policy, err := signature.DefaultPolicy(r.SystemContext())
	if err != nil {
		return nil, fmt.Errorf("reading the signature policy: %w", err)
	}
	return policy, nil
}

// Explain drops from a registry's error what the libraries repeat, and adds
// what to do about it where that is known.
func Explain(err error) error { return tidy(err) }
