package build

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage/pkg/unshare"
	"golang.org/x/sys/unix"
)

// Registry says how registries are spoken to. The zero value uses the usual
// places: the login's auth file, /etc/containers/certs.d, registries.conf and
// policy.json of the user or of the machine.
//
// Where no registries.conf exists, short names are looked for on docker.io;
// where no policy.json exists, every image is accepted, which is what the
// policy says that podman and skopeo are shipped with.
type Registry struct {
	AuthFile  string // credentials file, which need not exist; default: the usual one
	Creds     string // USER:PASSWORD, in place of what the auth file holds
	CertDir   string // directory of *.crt, *.cert, *.key; default: certs.d
	Policy    string // signature policy file; default: policy.json
	TLSVerify *bool  // nil: as registries.conf says, and true where it says nothing

	RegistriesConf string // registries.conf to read instead of the usual one
}

// Validate finds what no registry could make sense of.
func (r Registry) Validate() error {
	if r.Creds != "" {
		if user, _, ok := strings.Cut(r.Creds, ":"); !ok || user == "" {
			return errors.New("credentials are USER:PASSWORD")
		}
	}
	if r.Policy != "" {
		if _, err := signature.NewPolicyFromFile(r.Policy); err != nil {
			return fmt.Errorf("reading the signature policy: %w", err)
		}
	}
	return nil
}

// SystemContext returns a new description of r for the image libraries.
func (r Registry) SystemContext() *types.SystemContext {
	sys := &types.SystemContext{
		AuthFilePath:            r.authFile(),
		DockerCertPath:          r.CertDir,
		DockerRegistryUserAgent: "rootcast",
		SignaturePolicyPath:     r.Policy,

		SystemRegistriesConfPath: r.RegistriesConf,
	}
	if user, password, ok := strings.Cut(r.Creds, ":"); ok {
		sys.DockerAuthConfig = &types.DockerAuthConfig{Username: user, Password: password}
	}
	if r.TLSVerify != nil {
		sys.DockerInsecureSkipTLSVerify = types.NewOptionalBool(!*r.TLSVerify)
		sys.OCIInsecureSkipTLSVerify = !*r.TLSVerify
		sys.DockerDaemonInsecureSkipTLSVerify = !*r.TLSVerify
	}
	if sys.SignaturePolicyPath == "" && !anyExists(configPlaces("policy.json")...) {
		sys.SignaturePolicyPath = defaultPolicyFile()
	}
	if sys.SystemRegistriesConfPath == "" && !anyExists(configPlaces("registries.conf")...) {
		sys.SystemRegistriesConfPath = defaultRegistriesFile()
	}
	return sys
}

// SignaturePolicy is what the policy file says, or that of Debian and Fedora,
// which accepts every image, where there is none.
func (r Registry) SignaturePolicy() (*signature.Policy, error) {
	policy, err := signature.DefaultPolicy(r.SystemContext())
	if err != nil {
		return nil, fmt.Errorf("reading the signature policy: %w", err)
	}
	return policy, nil
}

// authFile is the credentials file to use; "" leaves the choice to the library.
// That takes /run/containers/UID where there is no XDG_RUNTIME_DIR, and in a
// user namespace UID is 0: root's own file, which others may not read.
func (r Registry) authFile() string {
	if r.AuthFile != "" || os.Geteuid() != 0 || unshare.GetRootlessUID() == 0 ||
		os.Getenv("XDG_RUNTIME_DIR") != "" { //nolint:forbidigo // what the library would ask
		return r.AuthFile
	}
	places := configPlaces("auth.json")
	return places[len(places)-1]
}

// configPlaces names where the libraries look for a file of containers
// configuration.
func configPlaces(name string) []string {
	places := []string{filepath.Join("/etc/containers", name)}
	if home, err := os.UserHomeDir(); err == nil {
		places = append(places, filepath.Join(home, ".config/containers", name))
	}
	return places
}

func anyExists(names ...string) bool {
	for _, name := range names {
		if _, err := os.Stat(name); err == nil {
			return true
		}
	}
	return false
}

// The libraries take their configuration from a file name alone. What stands
// in for a file that a machine without any container package lacks is kept in
// memory, so that nothing is left on a disk.
//
//nolint:gochecknoglobals // constants that the kernel has to hold
var (
	defaultPolicyFile = sync.OnceValue(func() string {
		return memoryFile("policy.json", `{"default": [{"type": "insecureAcceptAnything"}]}`)
	})
	defaultRegistriesFile = sync.OnceValue(func() string {
		return memoryFile("registries.conf", `unqualified-search-registries = ["docker.io"]`+"\n")
	})
)

// memoryFile returns a name by which this process can read text as a file, or
// "" if the kernel refuses it.
func memoryFile(name, text string) string {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return ""
	}
	if _, err := unix.Write(fd, []byte(text)); err != nil {
		unix.Close(fd)
		return ""
	}
	return fmt.Sprintf("/proc/self/fd/%d", fd)
}
