package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rootcast/rootcast/convert/netboot"
	"github.com/rootcast/rootcast/convert/qemu"
)

// The password of the nodes that are tested, and its hash by openssl passwd -6.
const (
	nodePassword = "a test's password"
	nodeHash     = "$6$rootcasttest$cnhA8q9VIkki7YMk7Ez.EIT3tMaH7lGBke5.EspGVyMosIbaXshMr6FeY.IbkL.0dC4NU8QL6Oq6UUVXmYaC21"
)

// TestNode goes the whole way with real packages: a base image from the machine's
// mirror, the recipe, convert, verify, and a machine that boots and is looked
// into over its console.
func TestNode(t *testing.T) {
	if testing.Short() {
		t.Skip("it installs two distributions and boots them; not with -short")
	}
	for _, program := range []string{"mmdebstrap", "qemu-system-x86_64"} {
		if _, err := exec.LookPath(program); err != nil {
			skip(t, "there is no "+program+"; hack/setup.sh test installs it")
		}
	}
	for _, tc := range []struct{ recipe, release string }{
		{"debian12", "debian:bookworm"},
		{"debian13", "debian:trixie"},
	} {
		t.Run(tc.recipe, func(t *testing.T) {
			t.Parallel()
			n := &nodeTest{T: t, dir: t.TempDir()}
			recipe := filepath.Join("..", "..", "recipes", tc.recipe, "compute")
			n.build(tc.release, recipe)
			n.buildLocked(recipe)
			n.convert()
			n.boot()
		})
	}
}

type nodeTest struct {
	*testing.T
	dir string
}

// rootcast runs the command with a store of the test's own and returns its stdout.
func (n *nodeTest) rootcast(args ...string) string {
	n.Helper()
	args = append([]string{"--root", filepath.Join(n.dir, "root"), "--runroot", filepath.Join(n.dir, "run")}, args...)
	cmd := exec.CommandContext(n.Context(), "rootcast", args...)
	cmd.WaitDelay = time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		n.Fatalf("rootcast %s: %v\n%s", strings.Join(args, " "), err, tail(stderr.String(), 4000))
	}
	return strings.TrimSpace(string(out))
}

func tail(s string, size int) string { return s[max(0, len(s)-size):] }

func (n *nodeTest) build(release, recipe string) {
	hash := filepath.Join(n.dir, "hash")
	if err := os.WriteFile(hash, []byte(nodeHash+"\n"), 0o600); err != nil {
		n.Fatal(err)
	}
	n.rootcast("bootstrap", "-t", "localhost/base:1", release)
	n.Cleanup(func() { n.rootcastAtEnd("rmi", "--all", "--force") })
	n.rootcast("build", "-t", "localhost/node:1", "--build-arg", "BASE=localhost/base:1",
		"--secret", "id=root_password_hash,src="+hash, recipe)
	if history := n.rootcast("inspect", "--json", "localhost/node:1"); strings.Contains(history, nodeHash) {
		n.Error("the secret is in the image's history")
	}
}

// buildLocked builds without a secret and looks into every layer: nobody can log
// in, and nothing in them is what one node or one build had to itself.
func (n *nodeTest) buildLocked(recipe string) {
	n.rootcast("build", "-t", "localhost/locked:1", "--build-arg", "BASE=localhost/base:1", recipe)
	archive := filepath.Join(n.dir, "locked.tar")
	n.rootcast("push", "localhost/locked:1", "docker-archive:"+archive)
	f, err := os.Open(archive)
	if err != nil {
		n.Fatal(err)
	}
	defer os.Remove(archive)
	defer f.Close()
	var layers, shadows int
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			n.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg && strings.HasSuffix(h.Name, ".tar") {
			layers++
			shadows += n.checkLayer(h.Name, tar.NewReader(r))
		}
	}
	if layers < 3 || shadows < 2 {
		n.Errorf("read %d layers, %d with an etc/shadow: the base and the recipe have more", layers, shadows)
	}
}

// private is what no layer of an image for many nodes may hold.
var private = regexp.MustCompile(`^etc/(ssh/ssh_host_.*key.*|(passwd|shadow|group|gshadow|subuid|subgid)-|hostname)$|^var/lib/dbus/machine-id$|^root/\.ssh/`)

// checkLayer returns how many etc/shadow the layer has.
func (n *nodeTest) checkLayer(layer string, r *tar.Reader) (shadows int) {
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return shadows
		}
		if err != nil {
			n.Fatalf("layer %s: %v", layer, err)
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		switch {
		case private.MatchString(name):
			n.Errorf("layer %s has %s", layer, name)
		case name == "etc/machine-id" && h.Size > 0:
			n.Errorf("layer %s has the identity of one machine in %s", layer, name)
		case name == "etc/shadow":
			shadows++
			text, err := io.ReadAll(r)
			if err != nil {
				n.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				if user, rest, _ := strings.Cut(line, ":"); !strings.HasPrefix(rest, "!") && !strings.HasPrefix(rest, "*") {
					n.Errorf("layer %s: %s is not locked", layer, user)
				}
			}
		}
	}
}

// rootcastAtEnd is for cleaning up, when the test's context has ended.
func (n *nodeTest) rootcastAtEnd(args ...string) {
	args = append([]string{"-q", "--root", filepath.Join(n.dir, "root"), "--runroot", filepath.Join(n.dir, "run")}, args...)
	if out, err := exec.CommandContext(context.Background(), "rootcast", args...).CombinedOutput(); err != nil {
		n.Errorf("rootcast %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// convert makes the rootimgdir twice, from two places, and compares the bytes.
func (n *nodeTest) convert() {
	n.rootcast("convert", "--rootimgdir", filepath.Join(n.dir, "out"), "localhost/node:1")
	n.rootcast("verify", filepath.Join(n.dir, "out"))
	n.rootcast("push", "localhost/node:1", "oci:"+filepath.Join(n.dir, "layout")+":1")
	n.rootcast("convert", "--jobs", "1", "--rootimgdir", filepath.Join(n.dir, "again"), "oci:"+filepath.Join(n.dir, "layout")+":1")
	a, b := n.manifest("out"), n.manifest("again")
	for i := range a.Files {
		if a.Files[i].SHA256 != b.Files[i].SHA256 {
			n.Errorf("%s differs between an image in the store and the same image in a layout", a.Files[i].Name)
		}
	}
}

func (n *nodeTest) manifest(dir string) *netboot.Manifest {
	m, err := netboot.ReadManifest(filepath.Join(n.dir, dir))
	if err != nil {
		n.Fatal(err)
	}
	return m
}

// boot logs in on the console and looks around.
func (n *nodeTest) boot() {
	m := n.manifest("out")
	out := filepath.Join(n.dir, "out")
	var console lockedBuffer
	s, err := qemu.Start(n.Context(), qemu.Machine{
		Arch: "amd64", Kernel: filepath.Join(out, netboot.KernelName), Initrd: filepath.Join(out, netboot.RamdiskName),
		CommandLine: m.Arguments, Memory: qemu.MemoryFor(m.Memory.Peak),
	}, qemu.Options{Output: &console})
	if err != nil {
		n.Fatal(err)
	}
	defer func() {
		s.Close()
		if n.Failed() {
			n.Logf("the console's end:\n%s", tail(console.String(), 6000))
		}
	}()
	ctx, cancel := context.WithTimeout(n.Context(), 10*time.Minute)
	defer cancel()
	for _, step := range []struct{ expect, send string }{
		{"login:", "root\n"},
		{"assword:", nodePassword + "\n"},
		{"#", "export TERM=dumb PS1= PS2=; stty -echo; systemctl is-system-running --wait; echo 'rea''dy'\n"},
		{"ready\n", ""},
	} {
		if err := s.Expect(ctx, step.expect); err != nil {
			n.Fatalf("waiting for %q: %v", step.expect, err)
		}
		if err := s.Send(step.send); err != nil {
			n.Fatal(err)
		}
	}
	for _, c := range nodeChecks(m) {
		mark := fmt.Sprintf("end of %s", c.name)
		if err := s.Send(c.run + "; echo 'end ''of " + c.name + "'\n"); err != nil {
			n.Fatal(err)
		}
		if err := s.Expect(ctx, mark+"\n"); err != nil {
			n.Fatalf("%s: %v", c.name, err)
		}
		if said := s.Passed(); !regexp.MustCompile(`(?m)` + c.want).MatchString(said) {
			n.Errorf("%s: %s said %q, want %s", c.name, c.run, said, c.want)
		}
	}
}

// lockedBuffer is written by the machine while the test reads it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

type nodeCheck struct{ name, run, want string }

// nodeChecks is what must be true on a node.
func nodeChecks(m *netboot.Manifest) []nodeCheck {
	return []nodeCheck{
		{"units", "systemctl --failed --no-legend --plain; systemctl is-system-running", `^running$`},
		{"kernel", "uname -r", "^" + regexp.QuoteMeta(m.Kernel.Version) + "$"},
		{"root", "findmnt -no FSTYPE /", `^(rootfs|tmpfs)$`},
		{"setuid", "stat -c '%a %U %G' /usr/bin/passwd /usr/bin/chage", `^4755 root root\n2755 root shadow$`},
		{"owners", "stat -c '%a %U %G' /var/mail /tmp /root", `^2775 root mail\n1777 root root\n700 root root$`},
		{"device", "stat -c '%F %t %T' /dev/null", `^character special file 1 3$`},
		{"links", "perl -e 'print +(stat \"/usr/bin/perl\")[3] >= 2 ? \"linked\\n\" : \"single\\n\"'", `^linked$`},
		{"modules", "lsmod", `^virtio_net `},
		{"address", "networkctl --no-pager --no-legend | cat", `ether +routable +configured`},
		{"names", "cat /etc/resolv.conf", `^nameserver 127\.0\.0\.53$`},
		{"keys", "ls -1 /etc/ssh", `^ssh_host_ed25519_key$`},
		{"sshd", "ss -ltnH 'sport = 22'", `LISTEN`},
		{"identity", "cat /etc/machine-id", `^[0-9a-f]{32}$`},
		{"time", "systemctl is-active chrony", `^active$`},
	}
}
