package image

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/types"
)

const defaultTempDir = "/var/tmp"

func (o Options) withDefaults() (Options, error) {
	sys := types.SystemContext{}
	if o.System != nil {
		sys = *o.System
	}
	if o.TempDir == "" {
		o.TempDir = defaultTempDir
	}
	sys.BigFilesTemporaryDir = o.TempDir
	if o.Platform != "" {
		parts := strings.Split(o.Platform, "/")
		if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
			return o, fmt.Errorf("platform %q is not OS/ARCH[/VARIANT], such as linux/arm64", o.Platform)
		}
		sys.OSChoice, sys.ArchitectureChoice = parts[0], parts[1]
		sys.VariantChoice = ""
		if len(parts) == 3 {
			sys.VariantChoice = parts[2]
		}
	} else {
		sys.OSChoice = "linux"
	}
	o.System = &sys
	return o, nil
}

func (o Options) platformName() string {
	if o.Platform != "" {
		return o.Platform
	}
	return "linux/" + runtime.GOARCH
}

// checkPlatform refuses an image of another platform than the one asked for.
func (o Options) checkPlatform(c *v1.Image) error {
	if o.Platform == "" {
		return nil
	}
	want := strings.Split(o.Platform, "/")
	if c.OS != want[0] || c.Architecture != want[1] || len(want) == 3 && c.Variant != "" && c.Variant != want[2] {
		return fmt.Errorf("it is for %s, not for %s", platformOf(c.OS, c.Architecture, c.Variant), o.Platform)
	}
	return nil
}

// allow asks the policy about the image, signatures and all. What is in a local
// store was judged when it was pulled.
func (o Options) allow(ctx context.Context, img *image.UnparsedImage) error {
	if o.Policy == nil || img.Reference().Transport().Name() == "containers-storage" {
		return nil
	}
	pc, err := signature.NewPolicyContext(o.Policy)
	if err != nil {
		return fmt.Errorf("reading the signature policy: %w", err)
	}
	defer pc.Destroy() //nolint:errcheck // it only marks the context as used up
	if ok, err := pc.IsRunningImageAllowed(ctx, img); !ok {
		return fmt.Errorf("the signature policy refuses it: %w", err)
	}
	return nil
}
