package render_test

import (
	"os/exec"
	"strings"
	"testing"
)

// shell runs a script, or with -n only reads it.
func shell(t *testing.T, how, script string) (string, error) {
	t.Helper()
	args := []string{how}
	if how == "-c" {
		args = append(args, script)
	}
	cmd := exec.CommandContext(t.Context(), "sh", args...)
	cmd.Dir = t.TempDir()
	if how == "-n" {
		cmd.Stdin = strings.NewReader(script)
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
