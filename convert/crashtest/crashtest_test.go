package crashtest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/crashtest"
)

const childVariable = "ROOTCAST_TEST_CHILD"

// TestMain is also the program that is killed, and what that starts.
func TestMain(m *testing.M) {
	switch os.Getenv(childVariable) {
	case "":
		os.Exit(m.Run())
	case "child":
		if os.WriteFile("a", []byte("a longer text"), 0o600) == nil {
			os.Exit(0)
		}
	default:
		child := exec.CommandContext(context.Background(), os.Args[0])
		child.Env = append(os.Environ(), childVariable+"=child")
		if errors.Join(child.Run(), os.Mkdir("b", 0o700), os.Rename("a", "b/c")) == nil {
			os.Exit(3)
		}
	}
	os.Exit(1)
}

// TestRun kills a program, and the one that it starts, at each of their changes.
func TestRun(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), childVariable+"=parent")
	var got []string
	for at := 1; at < 100; at++ {
		dir := t.TempDir()
		r, err := crashtest.Run(crashtest.Command{Args: []string{program}, Env: env, Dir: dir, Kill: at})
		if err != nil {
			t.Fatal(err)
		}
		found, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, name := range found {
			names = append(names, filepath.Base(name))
		}
		state := strings.Join(names, " ")
		if len(got) == 0 || got[len(got)-1] != state {
			got = append(got, state)
		}
		if r.Killed {
			if r.Changes != at {
				t.Errorf("killed at change %d, it counts %d", at, r.Changes)
			}
			continue
		}
		if r.Exit != 3 || r.Changes != at-1 {
			t.Errorf("at its end: %+v", r)
		}
		break
	}
	if diff := cmp.Diff([]string{"", "a", "a b", "b"}, got); diff != "" {
		t.Errorf("what the crashes left (-want +got):\n%s", diff)
	}
}

// TestOtherChildren starts a child on the same thread as the tracing, which
// must leave it to whoever waits for it.
func TestOtherChildren(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), childVariable+"=child")
	var started []*exec.Cmd
	for range 20 { // on many threads, some of which the tracing will get
		child := exec.CommandContext(t.Context(), program)
		child.Env, child.Dir = env, t.TempDir()
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		started = append(started, child)
		if _, err := crashtest.Run(crashtest.Command{Args: []string{program}, Env: env, Dir: t.TempDir()}); err != nil {
			t.Error(err)
		}
	}
	for _, child := range started {
		if err := child.Wait(); err != nil {
			t.Errorf("a child that was not traced: %v", err)
		}
	}
}

func TestRunErrors(t *testing.T) {
	t.Parallel()
	for _, program := range []string{filepath.Join(t.TempDir(), "none"), os.TempDir()} {
		if _, err := crashtest.Run(crashtest.Command{Args: []string{program}}); err == nil || !strings.Contains(err.Error(), program) {
			t.Errorf("running %s: got %v", program, err)
		}
	}
}
