package rootfstest

import (
	"os"
	"os/exec"
	"testing"
)

// Need skips the test where a program is not installed, and fails it where all
// tests must run (CI=true).
func Need(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			Skip(t, p+" is not installed")
		}
	}
}

// NeedRoot skips the test, or fails it with CI=true, where it does not run as root.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Skip(t, "only root can make devices and files of others")
	}
}

// Skip skips the test for a reason, and fails it with CI=true.
func Skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("all tests must run: " + why)
	}
	t.Skip(why)
}
