package rootfstest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// NeedEROFS puts erofs-utils that can read a tar on the PATH: the machine's own,
// or those that hack/erofs.sh has put into the repository's cache.
func NeedEROFS(t testing.TB) {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for filepath.Dir(dir) != dir {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	if bin := filepath.Join(dir, ".cache", "erofs", "bin"); isDir(bin) {
		t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	}
	out, _ := exec.CommandContext(t.Context(), "mkfs.erofs", "--help").CombinedOutput() //nolint:errcheck // old ones fail
	if !strings.Contains(string(out), "--mkfs-time") {
		Skip(t, "no erofs-utils that read a tar: hack/erofs.sh fetches them")
	}
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}
