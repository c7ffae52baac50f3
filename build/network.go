package build

import (
	"errors"

	nettypes "go.podman.io/common/libnetwork/types"
)

// hostNetwork stands for the network stack that the library demands to see
// before it builds anything, and that a build on the host's network, or with
// none, never asks for.
type hostNetwork struct{ nettypes.ContainerNetwork }

var errNoNetwork = errors.New("this build has no network of its own")

func (hostNetwork) Setup(string, nettypes.SetupOptions) (map[string]nettypes.StatusBlock, error) {
	return nil, errNoNetwork
}

func (hostNetwork) Teardown(string, nettypes.TeardownOptions) error { return errNoNetwork }

func (hostNetwork) RunInRootlessNetns(func() error) error { return errNoNetwork }

func (hostNetwork) RootlessNetnsInfo() (*nettypes.RootlessNetnsInfo, error) {
	return nil, errNoNetwork
}

func (hostNetwork) NetworkInspect(string) (nettypes.Network, error) {
	return nettypes.Network{}, errNoNetwork
}

// networkInterface is nil, which makes the library look for netavark, only
// where RUN gets a network of its own.
func networkInterface(how string) nettypes.ContainerNetwork {
	switch how {
	case "", "host", "none":
		return hostNetwork{}
	}
	return nil
}
