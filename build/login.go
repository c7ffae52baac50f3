package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.podman.io/common/pkg/auth"
)

// Login asks registry whether it takes user and password, and keeps them where
// podman and skopeo look for them too.
func Login(ctx context.Context, r Registry, registry, user, password string) error {
	err := auth.Login(ctx, r.SystemContext(), &auth.LoginOptions{
		AuthFile:           r.AuthFile,
		CertDir:            r.CertDir,
		Username:           user,
		Password:           password,
		AcceptRepositories: true,
		Stdin:              strings.NewReader(""),
		Stdout:             io.Discard,
	}, []string{registry})
	var invalid auth.ErrNewCredentialsInvalid
	switch {
	case errors.As(err, &invalid):
		return &explained{fmt.Sprintf("logging in to %s: the registry does not take this user name and password", registry), err}
	case err != nil:
		return fmt.Errorf("logging in to %s: %w", registry, Explain(err))
	}
	return nil
}

// Logout forgets the credentials of registry, or of all registries if it is
// empty.
func Logout(r Registry, registry string) error {
	o := &auth.LogoutOptions{AuthFile: r.AuthFile, All: registry == "", AcceptRepositories: true, Stdout: io.Discard}
	var args []string
	if registry != "" {
		args = []string{registry}
	}
	if err := auth.Logout(r.SystemContext(), o, args); err != nil {
		return fmt.Errorf("logging out: %w", err)
	}
	return nil
}
