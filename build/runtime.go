package build

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containers/buildah/define"
	buildahutil "github.com/containers/buildah/util"
)

const crunName = "crun"

// ociRuntime is the program that runs RUN steps in namespaces of their own:
// what the user has configured or else the library's choice, unless that
// cannot do it. The library does not ask, and takes crun before runc.
func ociRuntime(ctx context.Context, isolation define.Isolation) (string, error) {
	if isolation == define.IsolationChroot {
		return "", nil
	}
	name := findRuntime(buildahutil.Runtime())
	if name == "" {
		if name = findRuntime("runc"); name == "" {
			return "", errors.New("no OCI runtime is installed, and --isolation oci needs one; as root: apt-get install runc")
		}
	}
	if filepath.Base(name) != crunName {
		return name, nil
	}
	out, err := exec.CommandContext(ctx, name, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("asking %s for its version: %w", name, err)
	}
	version, tooOld := tooOldCrun(string(out))
	if !tooOld {
		return name, nil
	}
	if runc := findRuntime("runc"); runc != "" {
		return runc, nil
	}
	return "", fmt.Errorf("%s %s is too old for --isolation oci, which needs 1.9; as root: apt-get install runc", name, version)
}

// findRuntime is the file of the runtime name, or nothing.
func findRuntime(name string) string {
	if name == "" {
		return ""
	}
	if file := buildahutil.FindLocalRuntime(name); file != "" {
		return file
	}
	file, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return file
}

// tooOldCrun tells from what crun --version prints whether it is older than
// 1.9, which does not know the version of the library's configuration.
func tooOldCrun(text string) (version string, tooOld bool) {
	line, _, _ := strings.Cut(text, "\n")
	version, found := strings.CutPrefix(line, "crun version ")
	if !found {
		return "", false
	}
	first, rest, _ := strings.Cut(version, ".")
	second, _, _ := strings.Cut(rest, ".")
	major, err := strconv.Atoi(first)
	if err != nil {
		return "", false
	}
	minor, err := strconv.Atoi(second)
	if err != nil {
		return "", false
	}
	return version, major < 1 || major == 1 && minor < 9
}
