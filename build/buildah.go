package build

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/containers/buildah/define"
	"go.podman.io/common/pkg/config"
	"go.podman.io/image/v5/types"
	"golang.org/x/sys/unix"
)

const (
	defaultRetries    = 3
	baseImageDelay    = 2 * time.Second
	buildahNoFile     = define.RLimitDefaultValue
	userNamespaceName = "user"
)

// buildahOptions is the one place where a recipe becomes the library's
// options; names come from plan.
func (r Recipe) buildahOptions(ctx context.Context, w *workspace, contextDir string) (define.BuildOptions, error) {
	policy, err := pullPolicy(r.Pull)
	if err != nil {
		return define.BuildOptions{}, err
	}
	isolation, err := parseIsolation(r.Isolation)
	if err != nil {
		return define.BuildOptions{}, err
	}
	runtime, err := ociRuntime(ctx, isolation)
	if err != nil {
		return define.BuildOptions{}, err
	}
	namespaces, network, err := networkOptions(r.Network, isolation)
	if err != nil {
		return define.BuildOptions{}, err
	}
	// IDs are as they are where we run, which may be a user namespace itself.
	namespaces.AddOrReplace(define.NamespaceOption{Name: userNamespaceName, Host: true})
	common, err := r.commonOptions()
	if err != nil {
		return define.BuildOptions{}, err
	}
	sys := r.systemContext(w)
	jobs := max(r.Jobs, 1)
	args := maps.Clone(r.Args)
	if args == nil {
		args = map[string]string{}
	}
	return define.BuildOptions{
		ContextDirectory: contextDir,
		Args:             args,
		Target:           r.Target,
		Labels:           r.Labels,
		Annotations:      r.Annotations,
		Timestamp:        r.Timestamp,
		SourceDateEpoch:  r.SourceDateEpoch,

		Layers:  true,
		NoCache: r.NoCache,
		Squash:  r.Squash,
		Jobs:    &jobs,
		// Compressed layers in the store would have to be decompressed again
		// by each reader (containers/buildah#1215).
		Compression:  define.Uncompressed,
		OutputFormat: define.OCIv1ImageManifest,

		PullPolicy:          policy,
		SystemContext:       sys,
		SignaturePolicyPath: sys.SignaturePolicyPath,
		MaxPullPushRetries:  retries(r.Retry),
		PullPushRetryDelay:  baseImageDelay,

		Isolation:        isolation,
		Runtime:          runtime,
		NamespaceOptions: namespaces,
		ConfigureNetwork: network,
		NetworkInterface: networkInterface(r.Network),
		IDMappingOptions: &define.IDMappingOptions{HostUIDMapping: true, HostGIDMapping: true},
		CommonBuildOpts:  common,
		TransientMounts:  r.Volumes,

		// The suffix is how containers of this build are found when it is killed.
		ContainerSuffix:         w.id,
		RemoveIntermediateCtrs:  true,
		ForceRmIntermediateCtrs: true,
	}, nil
}

// systemContext says where base images come from.
func (r Recipe) systemContext(w *workspace) *types.SystemContext {
	sys := r.Registry.SystemContext()
	sys.BigFilesTemporaryDir = w.tmp
	sys.OCIAcceptUncompressedLayers = true
	return sys
}

// retries is how often to try again: 0 means the default, less means never.
func retries(n int) int {
	if n == 0 {
		return defaultRetries
	}
	return max(n, 0)
}

func (r Recipe) commonOptions() (*define.CommonBuildOptions, error) {
	conf, err := config.Default()
	if err != nil {
		return nil, fmt.Errorf("reading containers.conf: %w", err)
	}
	common := &define.CommonBuildOptions{
		AddHost:    r.AddHosts,
		DNSServers: r.DNS,
		HTTPProxy:  true,
		NoHostname: r.NoHostname,
		Secrets:    r.Secrets,
		ShmSize:    conf.Containers.ShmSize,
		Ulimit:     ownLimits(),
		Volumes:    r.Volumes,
	}
	return common, nil
}

// ownLimits are the limits that the library would try to raise to more than
// this process may have: it would fail where that is not permitted.
func ownLimits() []string {
	var limits []string
	for name, resource := range map[string]int{"nofile": unix.RLIMIT_NOFILE, "nproc": unix.RLIMIT_NPROC} {
		var l unix.Rlimit
		if err := unix.Getrlimit(resource, &l); err == nil && l.Max < buildahNoFile {
			limits = append(limits, fmt.Sprintf("%s=%d:%d", name, l.Max, l.Max))
		}
	}
	return limits
}
