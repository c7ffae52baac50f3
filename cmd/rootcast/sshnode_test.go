package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// sshdProgram must be called by its whole name.
const sshdProgram = "/usr/sbin/sshd"

// cmdSSHNode makes this machine a node for itself: an sshd on loopback, with keys
// and configuration of its own, and a rootcast behind it with a store of its own.
func cmdSSHNode(ts *testscript.TestScript, _ bool, _ []string) {
	n := &sshNode{ts: ts, dir: ts.MkAbs(".node")}
	for _, d := range []string{"bin", "tmp", "run", "home", "keys"} {
		ts.Check(os.MkdirAll(filepath.Join(n.dir, d), 0o700))
	}
	port := n.startSSHD()
	n.writeClient(port)
	n.writeProgram()
	other := "arm64"
	if runtime.GOARCH == other {
		other = "amd64"
	}
	for k, v := range map[string]string{
		"NODE": filepath.Join(n.dir, "bin", "rootcast"), "NODE_STORE": filepath.Join(n.dir, "store"), "NODE_TMP": filepath.Join(n.dir, "tmp"), "OTHER": other,
		"PATH": filepath.Join(n.dir, "bin", "client") + string(os.PathListSeparator) + ts.Getenv("PATH"),
	} {
		ts.Setenv(k, v)
	}
}

type sshNode struct {
	ts  *testscript.TestScript
	dir string
}

func (n *sshNode) write(mode os.FileMode, name, format string, args ...any) {
	name = filepath.Join(n.dir, name)
	n.ts.Check(os.MkdirAll(filepath.Dir(name), 0o700))
	n.ts.Check(os.WriteFile(name, fmt.Appendf(nil, format, args...), mode))
}

func (n *sshNode) key(name string) (public string) {
	file := filepath.Join(n.dir, "keys", name)
	out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file).CombinedOutput()
	if err != nil {
		n.ts.Fatalf("ssh-keygen: %v: %s", err, out)
	}
	text, err := os.ReadFile(file + ".pub")
	n.ts.Check(err)
	return string(text)
}

func (n *sshNode) startSSHD() (port int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	n.ts.Check(err)
	address, _ := l.Addr().(*net.TCPAddr)
	n.ts.Check(l.Close())
	if os.Geteuid() == 0 { // where sshd shuts a part of itself in
		n.ts.Check(os.MkdirAll("/run/sshd", 0o755))
	}
	n.write(0o600, "keys/authorized", "%s", n.key("user"))
	n.write(0o600, "keys/known", "[127.0.0.1]:%d %s", address.Port, n.key("host"))
	n.write(0o600, "sshd_config", `ListenAddress 127.0.0.1:%d
HostKey %[2]s/keys/host
AuthorizedKeysFile %[2]s/keys/authorized
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PidFile none
UsePAM %s
`, address.Port, n.dir, usePAM())
	log, err := os.Create(filepath.Join(n.dir, "sshd.log"))
	n.ts.Check(err)
	sshd := exec.Command(sshdProgram, "-D", "-e", "-f", filepath.Join(n.dir, "sshd_config"))
	sshd.Stderr = log
	n.ts.Check(sshd.Start())
	n.ts.Defer(func() {
		_ = sshd.Process.Kill()
		_ = sshd.Wait()
		_ = log.Close()
	})
	n.ts.Setenv("SSHD_PID", strconv.Itoa(sshd.Process.Pid))
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", address.String()); err == nil {
			n.ts.Check(c.Close())
			return address.Port
		}
		if time.Now().After(deadline) || ended(sshd.Process.Pid) {
			text, _ := os.ReadFile(log.Name())
			n.ts.Fatalf("sshd does not answer: %s", text)
		}
	}
}

// usePAM is what lets a user in by key whose password is locked; not every container
// has a PAM that works.
func usePAM() string {
	me, err := user.Current()
	if err != nil {
		return "no"
	}
	if shadow, err := os.ReadFile("/etc/shadow"); err == nil && strings.Contains("\n"+string(shadow), "\n"+me.Username+":!") {
		return "yes"
	}
	return "no"
}

// writeClient puts an ssh before that of the machine, whose configuration names
// n01, and nodes that cannot be reached.
func (n *sshNode) writeClient(port int) {
	me, err := user.Current()
	n.ts.Check(err)
	n.key("stranger")
	n.write(0o600, "keys/none", "")
	n.write(0o600, "ssh_config", `Host denied
  IdentityFile %[1]s/keys/stranger
Host !denied *
  IdentityFile %[1]s/keys/user
Host unknown
  UserKnownHostsFile %[1]s/keys/none
Host down
  Port 1
Host *
  HostName 127.0.0.1
  Port %[2]d
  User %[3]s
  IdentitiesOnly yes
  UserKnownHostsFile %[1]s/keys/known
  GlobalKnownHostsFile %[1]s/keys/none
  StrictHostKeyChecking yes
`, n.dir, port, me.Username)
	ssh, err := exec.LookPath("ssh")
	n.ts.Check(err)
	n.write(0o700, "bin/client/ssh", "#!/bin/sh\nunset SSH_AUTH_SOCK\nexec %s -F %s/ssh_config \"$@\"\n", ssh, n.dir)
}

// writeProgram puts the program there that ssh starts: the rootcast under test.
// What it was started with, and that it ended, stands in the script's file node.log.
func (n *sshNode) writeProgram() {
	rootcast, err := exec.LookPath("rootcast")
	n.ts.Check(err)
	n.write(0o600, "storage.conf", "[storage]\ndriver = %q\ngraphroot = %q\nrunroot = %q\n", scriptDriver(), filepath.Join(n.dir, "none"), filepath.Join(n.dir, "none"))
	n.write(0o700, "bin/rootcast", `#!/bin/sh
export HOME=%[1]s/home TMPDIR=%[1]s/tmp XDG_RUNTIME_DIR=%[1]s/run REGISTRY_AUTH_FILE=%[1]s/auth.json
export CONTAINERS_STORAGE_CONF=%[1]s/storage.conf PATH=%[2]s:$PATH
echo "started with $*" >>%[3]s
rootcast --root %[1]s/store --storage-driver %[4]s "$@"
code=$?
echo "ended with $code" >>%[3]s
exit $code
`, n.dir, filepath.Dir(rootcast), n.ts.MkAbs("node.log"), scriptDriver())
	n.write(0o700, "bin/old", "#!/bin/sh\necho 'rootcast: unknown command \"build-node\"; did you mean \"build\"?' >&2\nexit 2\n")
	n.write(0o600, "bin/foreign", "not a program\n")
}

// cmdHangUp cuts the connections to the node's sshd.
func cmdHangUp(ts *testscript.TestScript, _ bool, _ []string) {
	daemon, err := strconv.Atoi(ts.Getenv("SSHD_PID"))
	ts.Check(err)
	family := map[int]bool{daemon: true}
	for grown := true; grown; {
		grown = false
		names, err := filepath.Glob("/proc/[0-9]*/stat")
		ts.Check(err)
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				continue
			}
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			comm, rest, _ := strings.Cut(string(text), ") ")
			fields := strings.Fields(rest)
			if len(fields) < 2 || !strings.Contains(comm, "(sshd") {
				continue
			}
			if parent, _ := strconv.Atoi(fields[1]); family[parent] && !family[pid] {
				family[pid], grown = true, true
			}
		}
	}
	delete(family, daemon)
	if len(family) == 0 {
		ts.Fatalf("nobody is connected to the node")
	}
	for pid := range family {
		ts.Check(syscall.Kill(pid, syscall.SIGKILL))
	}
}
