package build

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"

	"github.com/containers/buildah"
	"go.podman.io/storage/pkg/reexec"
	"go.podman.io/storage/pkg/unshare"
)

// InitReexec runs the helper that this process was started to be, and reports
// whether it was one: Buildah and the storage library start their own
// executable again under other names to work inside a chroot or a mount
// namespace. Call it first in main, and in TestMain of every package that
// opens a store; when it returns true the process must end.
func InitReexec() bool {
	reexec.Register(newRootName, newRootMain)
	return buildah.InitReexec()
}

// EnterUserNamespace gives an ordinary user the rights that a store and RUN
// steps need, by starting the process anew as root of a user namespace that
// maps the user's subordinate IDs; the call does not return then, and the
// process ends with the new one's exit code. For root, and once inside, it
// does nothing.
func EnterUserNamespace() error {
	if os.Geteuid() == 0 && unshare.GetRootlessUID() > 0 {
		return nil // inside already
	}
	if os.Geteuid() != 0 {
		if err := checkSubIDs(); err != nil {
			return err
		}
	} else if ok, err := unshare.HasCapSysAdmin(); err != nil || ok {
		return err
	}
	unshare.MaybeReexecUsingUserNamespace(false)
	return nil
}

// checkSubIDs finds beforehand what the library would only warn of.
func checkSubIDs() error {
	for _, tool := range []string{"newuidmap", "newgidmap"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("entering a user namespace: %s is not installed (Debian: apt install uidmap): %w", tool, err)
		}
	}
	me, err := user.Current()
	if err != nil {
		return fmt.Errorf("entering a user namespace: finding the current user: %w", err)
	}
	uids, gids, err := unshare.GetSubIDMappings(me.Username, me.Username)
	if err == nil && (len(uids) == 0 || len(gids) == 0) {
		err = errors.New("no range")
	}
	if err != nil {
		return fmt.Errorf("entering a user namespace: user %[1]s needs a range of IDs in /etc/subuid and /etc/subgid "+
			"(as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %[1]s): %[2]w", me.Username, err)
	}
	return nil
}
