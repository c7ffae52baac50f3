package statelite

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
	"github.com/rootcast/rootcast/convert/statelite"
)

// TestMain runs all tests in a mount namespace of their own, where root may.
func TestMain(m *testing.M) {
	if os.Geteuid() != 0 || os.Getenv("STATELITE_NAMESPACE") != "" {
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "STATELITE_NAMESPACE=yes")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	case err != nil: // no namespace here: the tests skip themselves
		os.Exit(m.Run())
	}
}

// needMounts skips a test that mounts, where it may not or would disturb the machine.
func needMounts(t *testing.T) {
	t.Helper()
	rootfstest.NeedRoot(t)
	if os.Getenv("STATELITE_NAMESPACE") == "" {
		rootfstest.Skip(t, "no mount namespace can be made")
	}
}

// needLoop skips a test that needs loop devices.
func needLoop(t *testing.T, programs ...string) {
	t.Helper()
	needMounts(t)
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		rootfstest.Skip(t, "there are no loop devices")
	}
	rootfstest.Need(t, append(programs, "losetup")...)
}

// node is a machine that boots an image.
type node struct {
	t    *testing.T
	root string
	log  []string
}

// boot gives the node a root on a tmpfs, which populate fills.
func boot(t *testing.T, populate func(n *node)) *node {
	t.Helper()
	n := &node{t: t, root: t.TempDir()}
	n.must(unix.Mount("image", n.root, "tmpfs", 0, "mode=0755"))
	root := n.root // a test may move it
	t.Cleanup(func() { _ = unix.Unmount(root, unix.MNT_DETACH) })
	populate(n)
	return n
}

func (n *node) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) path(name string) string { return filepath.Join(n.root, name) }

func (n *node) dir(name string) {
	n.t.Helper()
	n.must(os.MkdirAll(n.path(name), 0o755))
}

func (n *node) write(name, text string) {
	n.t.Helper()
	n.must(os.MkdirAll(filepath.Dir(n.path(name)), 0o755))
	n.must(os.WriteFile(n.path(name), []byte(text), 0o644))
}

func (n *node) link(name, target string) {
	n.t.Helper()
	n.must(os.MkdirAll(filepath.Dir(n.path(name)), 0o755))
	n.must(os.Symlink(target, n.path(name)))
}

// has checks the contents of a file; "-" means that there is none.
func (n *node) has(name, want string) {
	n.t.Helper()
	got, err := os.ReadFile(n.path(name))
	if errors.Is(err, os.ErrNotExist) {
		got, err = []byte("-"), nil
	}
	if err != nil || string(got) != want {
		n.t.Errorf("/%s: %q, %v; want %q", name, got, err, want)
	}
}

// fstype is the number of the file system that a file is on.
func (n *node) fstype(name string) int64 {
	n.t.Helper()
	var st unix.Statfs_t
	n.must(unix.Statfs(n.path(name), &st))
	return int64(st.Type) //nolint:unconvert // not of that type everywhere
}

// apply applies rules in the plain form.
func (n *node) apply(rules string, o Options) error {
	n.t.Helper()
	parsed, err := statelite.Parse(strings.NewReader(rules), "rules")
	n.must(err)
	o.Root, o.Rules = n.root, parsed
	o.Log = func(format string, args ...any) { n.log = append(n.log, fmt.Sprintf(format, args...)) }
	_, err = Apply(n.t.Context(), o)
	return err
}

// mounts lists what is mounted in the root.
func (n *node) mounts() []string {
	n.t.Helper()
	all, err := os.ReadFile("/proc/self/mountinfo")
	n.must(err)
	var here []string
	for line := range strings.SplitSeq(strings.TrimSpace(string(all)), "\n") {
		if at := strings.Fields(line)[4]; strings.HasPrefix(at, n.root+"/") {
			here = append(here, strings.TrimPrefix(at, n.root))
		}
	}
	return here
}

// loop makes a file of a size and attaches it to a loop device.
func loop(t *testing.T, size int64) (device string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, size); err != nil {
		t.Fatal(err)
	}
	device = strings.TrimSpace(run(t, "losetup", "-f", "--show", file))
	t.Cleanup(func() { _ = exec.Command("losetup", "-d", device).Run() })
	return device
}

// run runs a program that must work.
func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
	return string(out)
}

// label is a disk's name that no other run of the tests has.
func label(name string) string { return fmt.Sprintf("%s-%d", name, os.Getpid()) }
