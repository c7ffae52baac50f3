package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage/pkg/unshare"
)

const (
	// aliveSeconds is how often ssh asks whether the node is still there; after
	// three questions without an answer it gives up.
	aliveSeconds = 30
	// leaveGrace is how long ssh may take to end after it was told to, and how long
	// what it left behind may hold its output open.
	leaveGrace = time.Second

	exitNotFound      = 127 // of the node's shell
	exitNotExecutable = 126
	exitUsage         = 2   // of rootcast
	exitSSH           = 255 // of ssh itself
)

// Build sends n a request and returns the digest under which the node has pushed
// the image. What the node prints meanwhile goes to log as it arrives. When ctx
// ends, so do the connection and, soon after, the node's build.
func (n Node) Build(ctx context.Context, send func(io.Writer) error, log io.Writer) (digest.Digest, error) {
	if _, err := exec.LookPath("ssh"); err != nil {
		return "", fmt.Errorf("ssh is not installed on this machine (Debian: apt install openssh-client): %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cmd := n.command(ctx)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	printed, said := &head{}, &tail{}
	cmd.Stdout, cmd.Stderr = printed, io.MultiWriter(log, said)
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("starting ssh: %w", err)
	}
	var sender sync.WaitGroup
	sender.Go(func() {
		// Where the other side has gone, its exit code says why.
		if err := send(stdin); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, os.ErrClosed) {
			cancel(err)
		}
	})
	err = cmd.Wait() // which closes stdin, open for as long as anybody waits for the answer
	sender.Wait()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	a, ok, aerr := readAnswer(printed.Bytes())
	switch {
	case aerr != nil:
		return "", aerr
	case !ok:
		return "", n.explain(err, said.text())
	case a.Error != "":
		return "", errors.New(a.Error)
	}
	return a.Digest, nil
}

// command is ssh with the user's own configuration.
func (n Node) command(ctx context.Context) *exec.Cmd {
	args := []string{"-o", "BatchMode=yes", "-o", "ServerAliveInterval=" + strconv.Itoa(aliveSeconds)}
	if n.Port != 0 {
		args = append(args, "-p", strconv.Itoa(n.Port))
	}
	args = append(args, "--", n.String(), n.Program, "build-node")
	cmd := exec.CommandContext(ctx, "ssh", args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = leaveGrace
	cmd.SysProcAttr = asUser()
	return cmd
}

// asUser undoes, for one process, that an ordinary user is root in the user
// namespace in which images are built: ssh would look for root's keys and
// configuration, and log in as root.
func asUser() *syscall.SysProcAttr {
	uid, gid := unshare.GetRootlessUID(), unshare.GetRootlessGID()
	if os.Geteuid() != 0 || uid == 0 {
		return nil
	}
	return &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: 0, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: gid, HostID: 0, Size: 1}},
	}
}

// explain says why there is no answer, and what to do about it.
func (n Node) explain(err error, said string) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		if err == nil || errors.Is(err, exec.ErrWaitDelay) {
			return fmt.Errorf("the %s there ended without an answer%s", n.Program, after(said))
		}
		return fmt.Errorf("running ssh: %w", err)
	}
	const same = "copy bin/rootcast there, which is one static file"
	switch code := exit.ExitCode(); {
	case code == exitNotFound:
		return fmt.Errorf("there is no %s%s; %s, or name its path: %s", n.Program, after(said), same, n.url("/path/of/rootcast"))
	case code == exitNotExecutable:
		return fmt.Errorf("%s cannot be run there%s; it must be executable, and built for that machine", n.Program, after(said))
	case code == exitUsage && strings.Contains(said, "build-node"):
		return fmt.Errorf("the %s there is too old to build for others%s; put the same version on both machines", n.Program, after(said))
	case code != exitSSH:
		return fmt.Errorf("the %s there ended without an answer, with %w%s", n.Program, err, after(said))
	}
	return n.explainSSH(said)
}

// explainSSH is for what ssh could not do.
func (n Node) explainSSH(said string) error {
	hint := ""
	switch {
	case strings.Contains(said, "Permission denied"):
		hint = "; ssh must get in without asking: ssh-copy-id " + n.String() + ", or ssh-add"
	case strings.Contains(said, "Host key verification failed"), strings.Contains(said, "REMOTE HOST IDENTIFICATION HAS CHANGED"):
		hint = "; log in once by hand, ssh " + n.String() + ", to compare and keep the key"
	case said == "":
		said = "the connection broke off"
	}
	return fmt.Errorf("ssh: %s%s", strings.TrimSuffix(strings.TrimPrefix(said, "ssh: "), "."), hint)
}

// after is what a process said last, to stand behind a sentence.
func after(said string) string {
	if said == "" {
		return ""
	}
	return " (" + said + ")"
}

// head keeps what a node prints, up to twice the longest answer.
type head struct{ bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	if h.Len()+len(p) > 2*maxLine {
		return 0, errors.New("the node prints more than an answer")
	}
	return h.Buffer.Write(p)
}

// tail keeps the last line that is written to it.
type tail struct{ last []byte }

// tailSize is as much of a line as a message shows.
const tailSize = 500

func (t *tail) Write(p []byte) (int, error) {
	t.last = append(t.last, p...)
	whole := bytes.TrimRight(t.last, " \t\r\n")
	if i := bytes.LastIndexByte(whole, '\n'); i >= 0 {
		t.last = append(t.last[:0], t.last[i+1:]...)
	}
	t.last = t.last[max(0, len(t.last)-2*tailSize):]
	return len(p), nil
}

func (t *tail) text() string {
	text := strings.TrimSpace(strings.ToValidUTF8(string(t.last), ""))
	return text[max(0, len(text)-tailSize):]
}
