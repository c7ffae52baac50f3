package buildtest

import (
	"fmt"
	"os"
	"os/exec"
)

// Box compiles the shell of test images to the file name. GOARCH of the test's
// environment chooses its architecture.
func Box(name string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", name, "github.com/rootcast/rootcast/build/buildtest/box")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("compiling the shell of test images: %w: %s", err, out)
	}
	return nil
}
