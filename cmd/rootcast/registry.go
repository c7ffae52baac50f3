package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build"
)

const registryCategory = "Registry:"

// registryFlags fill the flags that every command which speaks to a registry
// has; they mean what they mean to podman and skopeo.
type registryFlags struct {
	authFile, creds, certDir, policy string
	tlsVerify                        optionalBool
	retry                            int
}

func (f *registryFlags) flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "authfile", Usage: "read credentials from `FILE` (default: where rootcast login, podman and docker keep them)", Destination: &f.authFile, Category: registryCategory},
		&cli.StringFlag{Name: "creds", Usage: "log in as `USER:PASSWORD`; other users see it in the process list, prefer rootcast login", Destination: &f.creds, Category: registryCategory},
		&cli.StringFlag{Name: "cert-dir", Usage: "take *.crt, *.cert and *.key for the registry from `DIR`", Destination: &f.certDir, Category: registryCategory},
		&cli.StringFlag{Name: "policy", Usage: "signature policy `FILE` (default: policy.json of the user, then of the machine)", Destination: &f.policy, Category: registryCategory},
		&cli.GenericFlag{Name: "tls-verify", Usage: "demand HTTPS with a valid certificate; false also allows plain HTTP", Value: &f.tlsVerify, Category: registryCategory, DefaultText: "true"},
	}
}

// retryFlag is for the commands that move layers.
func (f *registryFlags) retryFlag() cli.Flag {
	return &cli.IntFlag{Name: "retry", Usage: "try again up to `N` times when the network or the registry fails", Value: 3, Destination: &f.retry, Category: registryCategory}
}

// registry is what the flags say, checked.
func (f *registryFlags) registry() (build.Registry, error) {
	r := build.Registry{
		AuthFile:       f.authFile,
		Creds:          f.creds,
		CertDir:        f.certDir,
		Policy:         f.policy,
		TLSVerify:      f.tlsVerify.value,
		RegistriesConf: registriesConf(),
	}
	if r.AuthFile != "" {
		if _, err := os.Stat(r.AuthFile); err != nil {
			return r, usageErrorf("--authfile: %v", err)
		}
	} else {
		r.AuthFile = authFileFromEnv()
	}
	if err := r.Validate(); err != nil {
		return r, usageErrorf("%v", err)
	}
	if f.retry < 0 {
		return r, usageErrorf("--retry %d is negative", f.retry)
	}
	return r, nil
}

// defaultRegistry is what a command without these flags speaks to registries with.
func defaultRegistry() build.Registry {
	return build.Registry{AuthFile: authFileFromEnv(), RegistriesConf: registriesConf()}
}

// retries is --retry as the library takes it, for which zero is the default.
func (f *registryFlags) retries() int {
	if f.retry == 0 {
		return -1
	}
	return f.retry
}

// authFileFromEnv is the credentials file that podman's environment variable
// names; it need not exist.
func authFileFromEnv() string { return os.Getenv("REGISTRY_AUTH_FILE") }

// registriesConf is the file that podman's environment variable names.
func registriesConf() string {
	return os.Getenv("CONTAINERS_REGISTRIES_CONF")
}

// optionalBool is a flag that may be absent, and true when it is given bare.
type optionalBool struct{ value *bool }

// Set implements flag.Value.
func (b *optionalBool) Set(s string) error {
	v, err := strconv.ParseBool(s)
	if err != nil {
		return errors.New("it is true or false")
	}
	b.value = &v
	return nil
}

// String implements flag.Value.
func (b *optionalBool) String() string {
	if b == nil || b.value == nil {
		return ""
	}
	return strconv.FormatBool(*b.value)
}

// IsBoolFlag lets the flag stand without a value.
func (b *optionalBool) IsBoolFlag() bool { return true }

// optionalString is a flag whose value may be left out, as in --pull or
// --pull=always; bare, it is "true".
type optionalString string

// Set implements flag.Value.
func (s *optionalString) Set(v string) error { *s = optionalString(v); return nil }

// String implements flag.Value.
func (s *optionalString) String() string {
	if s == nil {
		return ""
	}
	return string(*s)
}

// IsBoolFlag lets the flag stand without a value.
func (s *optionalString) IsBoolFlag() bool { return true }

// printLine prints a command's result.
func (e *env) printLine(args ...any) error {
	_, err := fmt.Fprintln(e.stdout, args...)
	return err
}
