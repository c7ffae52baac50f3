package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	newRootName   = "rootcast-newroot" // as which this program is started again
	newRootInside = "inside"           // the program is the new root's, not the host's
	newRootHost   = "host"
	newRootWait   = time.Second // for pipes that a killed program's kin still holds
)

// newRootCommand is a program that works on the root of an image: the host's,
// or inside the root one of its own. It has mount and process namespaces of its
// own, with /proc and a small /dev in the root: when it ends, or ctx does, they
// and every process that it started are gone.
func newRootCommand(ctx context.Context, root string, inside bool, argv ...string) *exec.Cmd {
	where := newRootHost
	if inside {
		where = newRootInside
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe") //nolint:gosec // this program, see newRootMain
	cmd.Args = append([]string{newRootName, root, where}, argv...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid: true, Pdeathsig: syscall.SIGKILL,
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
	}
	cmd.WaitDelay = newRootWait
	return cmd
}

// newRootMain is the helper: it mounts and becomes the program.
func newRootMain() {
	err := newRootExec(os.Args)
	fmt.Fprintln(os.Stderr, "E: "+err.Error()) //nolint:forbidigo // a process of its own
	os.Exit(125)                               //nolint:forbidigo // a process of its own
}

func newRootExec(args []string) error {
	if len(args) < 4 {
		return errors.New("the helper that starts programs in a new root needs more arguments")
	}
	root, inside, argv := args[1], args[2] == newRootInside, args[3:]
	if err := mountNewRoot(root); err != nil {
		return err
	}
	if inside {
		if err := unix.Chroot(root); err != nil {
			return fmt.Errorf("entering the new root: %w", err)
		}
		if err := unix.Chdir("/"); err != nil {
			return fmt.Errorf("entering the new root: %w", err)
		}
	}
	if err := unix.Exec(argv[0], argv, os.Environ()); err != nil {
		return fmt.Errorf("starting %s: %w", argv[0], err)
	}
	return nil
}

// mountNewRoot mounts what packages' scripts need, and nothing of the host's
// but five harmless devices.
func mountNewRoot(root string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making the mounts private: %w", err)
	}
	proc, dev := filepath.Join(root, "proc"), filepath.Join(root, "dev")
	for _, dir := range []string{proc, dev} {
		if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
			return fmt.Errorf("%s of the new root is no directory", filepath.Base(dir))
		}
	}
	if err := unix.Mount("proc", proc, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc in the new root: %w", err)
	}
	if err := unix.Mount("tmpfs", dev, "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=0755,size=1m"); err != nil {
		return fmt.Errorf("mounting /dev in the new root: %w", err)
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom"} {
		target := filepath.Join(dev, name)
		if err := os.WriteFile(target, nil, 0o600); err != nil {
			return fmt.Errorf("making /dev of the new root: %w", err)
		}
		if err := unix.Mount("/dev/"+name, target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("making /dev/%s of the new root: %w", name, err)
		}
	}
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"} {
		if err := os.Symlink(target, filepath.Join(dev, name)); err != nil {
			return fmt.Errorf("making /dev of the new root: %w", err)
		}
	}
	return nil
}

// makeNewRoot makes the directories that mountNewRoot wants, as they are to be
// in the image.
func makeNewRoot(root string) error {
	for _, d := range []struct {
		name string
		mode fs.FileMode
	}{{"", 0o755}, {"proc", 0o555}, {"sys", 0o555}, {"dev", 0o755}} {
		dir := filepath.Join(root, d.name)
		if err := os.Mkdir(dir, d.mode); err != nil {
			return fmt.Errorf("making the new root: %w", err)
		}
		if err := os.Chmod(dir, d.mode); err != nil {
			return fmt.Errorf("making the new root: %w", err)
		}
	}
	return nil
}

// newRootEnvironment is what of the host's environment programs get: what says
// how to reach the network, and nothing that would change the image.
func newRootEnvironment(host, more []string) []string {
	var env []string
	for _, entry := range host {
		name, _, _ := strings.Cut(entry, "=")
		switch strings.ToLower(name) {
		case "path", "http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir", "curl_ca_bundle":
			env = append(env, entry)
		}
	}
	return append(append(env, "LC_ALL=C.UTF-8", "TZ=UTC"), more...)
}
