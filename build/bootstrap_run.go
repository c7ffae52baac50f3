package build

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	mmdebstrap = "mmdebstrap"
	hooksDir   = "/usr/share/mmdebstrap/hooks"

	stopGrace = 1500 * time.Millisecond // between SIGTERM, on which mmdebstrap cleans up, and SIGKILL
	heartbeat = 20 * time.Second        // a line at least this often
	keptLines = 200                     // of mmdebstrap's output, for an error message
)

// errStopped ends the layer of a bootstrap whose reader went away.
var errStopped = errors.New("nobody reads the root any more")

// checkHost finds beforehand what would make mmdebstrap fail late or obscurely.
func (p *bootstrapPlan) checkHost(ctx context.Context) error {
	if _, err := exec.LookPath(mmdebstrap); err != nil {
		return fmt.Errorf("%s is not installed; as root: apt-get install mmdebstrap", mmdebstrap)
	}
	host := p.Host
	if p.realHost {
		host = nil
	}
	if err := p.arch.checkRunnable(ctx, host); err != nil {
		return err
	}
	if _, err := exec.LookPath("arch-test"); err != nil && !p.arch.isNative() {
		return fmt.Errorf("%s needs arch-test to find the emulator for %s programs; as root: apt-get install arch-test", mmdebstrap, p.arch.goarch)
	}
	p.keyring = p.target.distro.keyring
	advice := fmt.Sprintf("as root: apt-get install %s, or name a file with --keyring", p.target.distro.keyringPackage)
	if p.Keyring != "" {
		var err error
		if p.keyring, err = filepath.Abs(p.Keyring); err != nil {
			return fmt.Errorf("finding the keyring %s: %w", p.Keyring, err)
		}
		advice = "it must be a readable file of exported public keys"
		if strings.ContainsAny(p.keyring, " \t\n[]") {
			return fmt.Errorf("the keyring's path %q has a character that apt does not take", p.keyring)
		}
	}
	f, err := os.Open(p.keyring)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return fmt.Errorf("the keyring %s that its packages are signed with: %w; %s", p.keyring, err, advice)
	}
	return f.Close()
}

// start runs the packager. The root it makes is read from layer, and why it
// ended from done, once layer is at its end or closed.
func (p *bootstrapPlan) start(ctx context.Context) (layer *io.PipeReader, done <-chan error) {
	layer, w := io.Pipe()
	result := make(chan error, 1)
	go func() {
		err := p.packager().run(ctx, w)
		w.CloseWithError(err) // nil is the end of the file
		result <- err
	}()
	return layer, result
}

func (p *bootstrapPlan) run(ctx context.Context, w io.Writer) (err error) {
	tmp, err := os.MkdirTemp(p.TempDir, "rootcast-bootstrap-")
	if err != nil {
		return fmt.Errorf("making a directory for the root: %w", err)
	}
	defer func() { err = errors.Join(err, removeTree(tmp)) }()
	// Apt's own user must reach the root below, but nobody need list it.
	if err := os.Chmod(tmp, 0o711); err != nil { //nolint:gosec // see above
		return fmt.Errorf("making a directory for the root: %w", err)
	}
	files, err := p.ownFiles()
	if err != nil {
		return err
	}
	cmd := p.command(ctx, tmp)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("starting %s: %w", mmdebstrap, err)
	}
	log := newBootstrapLog(p.say)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", mmdebstrap, err)
	}
	stopBeat := log.beat()
	filterErr := rootFilter{epoch: p.epoch, files: files}.copy(w, out)
	cut := errors.Is(filterErr, io.ErrUnexpectedEOF) // it failed, and is about to say why
	if filterErr != nil && !cut {
		_ = cmd.Cancel() // nobody empties its pipe any more
	}
	err = cmd.Wait()
	stopBeat()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // whatever it left behind in its group
	switch {
	case ctx.Err() != nil:
		return errors.Join(errStopped, ctx.Err())
	case err != nil && (cut || filterErr == nil):
		return fmt.Errorf("%s failed (%w): %s", mmdebstrap, err, log.reason())
	case filterErr != nil:
		return fmt.Errorf("reading the root that %s made: %w", mmdebstrap, filterErr)
	}
	return nil
}

// command is mmdebstrap with the sources on its standard input: an argument
// list is no place for a mirror's password, and proxies in its environment. An ordinary user is root of a user
// namespace by now, where mmdebstrap's mode root works too.
func (p *bootstrapPlan) command(ctx context.Context, tmp string) *exec.Cmd {
	args := []string{
		"--mode=root", "--format=tar",
		"--variant=" + p.Variant,
		"--architectures=" + p.arch.debian,
	}
	packages := p.Packages
	if slices.ContainsFunc(p.sources, func(s mirrorSource) bool { return strings.HasPrefix(s.URI, "https:") }) {
		packages = append([]string{"ca-certificates"}, packages...) // apt in the image needs them for its mirror
	}
	if len(packages) > 0 {
		args = append(args, "--include="+strings.Join(packages, ","))
	}
	if slices.Contains(p.target.distro.usrmerge, p.target.release) {
		// Else the package usrmerge does it, which brings 50 MB of Perl.
		args = append(args, "--hook-dir="+filepath.Join(hooksDir, "maybe-merged-usr"))
	}
	args = append(args, p.target.release, "-", "-")

	cmd := exec.CommandContext(ctx, mmdebstrap, args...)
	cmd.Stdin = strings.NewReader(p.sourcesList(p.keyring, false))
	cmd.Dir = "/"
	cmd.Env = append(cmd.Environ(),
		"LC_ALL=C.UTF-8", "TMPDIR="+tmp, "SOURCE_DATE_EPOCH="+strconv.FormatInt(p.epoch.Unix(), 10))
	cmd.Env = append(cmd.Env, p.proxyEnv...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		pid := cmd.Process.Pid
		time.AfterFunc(stopGrace, func() { _ = syscall.Kill(-pid, syscall.SIGKILL) })
		return syscall.Kill(-pid, syscall.SIGTERM)
	}
	cmd.WaitDelay = 2 * stopGrace // a helper outside the group may hold the pipes
	return cmd
}

// bootstrapLog turns a packager's messages into steps and keeps the last ones.
type bootstrapLog struct {
	mu      sync.Mutex
	say     func(format string, args ...any)
	stepOf  func(line string) (string, bool)
	partial []byte
	lines   []string
	step    string
	began   time.Time // of the step
	said    time.Time
}

func newBootstrapLog(say func(string, ...any)) *bootstrapLog {
	now := time.Now()
	return &bootstrapLog{say: say, stepOf: stepOf, step: "starting " + mmdebstrap, began: now, said: now}
}

// Write takes what the packager prints.
func (l *bootstrapLog) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partial = append(l.partial, data...)
	for {
		n, line, err := bufio.ScanLines(l.partial, false)
		if n == 0 || err != nil {
			return len(data), nil
		}
		l.add(string(line))
		l.partial = l.partial[n:]
	}
}

func (l *bootstrapLog) add(line string) {
	line = strings.TrimSpace(line)
	if line == "" {
		return
	}
	l.lines = append(l.lines, line)
	if len(l.lines) > keptLines {
		l.lines = l.lines[1:]
	}
	if step, ok := l.stepOf(line); ok && step != l.step {
		l.step, l.began = step, time.Now()
		l.said = l.began
		l.say("%s", step)
	}
}

// stepOf tells the messages of mmdebstrap that say what it does now from those
// of its inner workings.
func stepOf(line string) (string, bool) {
	text, ok := strings.CutPrefix(line, "I: ")
	if !ok {
		return "", false
	}
	for _, begin := range []string{"running apt-get update", "downloading", "extracting", "installing", "cleaning", "creating tarball"} {
		if strings.HasPrefix(text, begin) {
			return strings.TrimRight(text, "."), true
		}
	}
	return "", false
}

// beat says how long a step takes while it prints nothing, until it is stopped.
func (l *bootstrapLog) beat() (stop func()) {
	ticker := time.NewTicker(heartbeat / 4)
	end := make(chan struct{})
	go func() {
		for {
			select {
			case <-end:
				return
			case now := <-ticker.C:
				l.mu.Lock()
				if now.Sub(l.said) >= heartbeat {
					l.said = now
					l.say("still %s (%d s)", l.step, int(now.Sub(l.began).Seconds()))
				}
				l.mu.Unlock()
			}
		}
	}()
	return func() { ticker.Stop(); close(end) }
}

// reason is what the output gives as the cause of a failure: the errors of apt
// and dpkg, or else its last lines.
func (l *bootstrapLog) reason() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for _, line := range l.lines {
		for _, begin := range []string{"E: ", "W: GPG error", "Err:", "dpkg: error", "W: Failed to fetch"} {
			if strings.HasPrefix(line, begin) && !isConsequence(line) && !slices.Contains(found, line) {
				found = append(found, line)
			}
		}
	}
	const last = 4
	if len(found) == 0 {
		found = l.lines
	}
	if len(found) > last {
		found = found[len(found)-last:]
	}
	if slices.ContainsFunc(found, isOutOfStep) {
		found = append(found, "the mirror's lists and packages are of different hours: try again later, or name another mirror or fewer suites by --mirror")
	}
	return strings.Join(found, "; ")
}

// isOutOfStep tells what apt says of a mirror whose lists name packages or other
// lists that it does not have, as happens while it is brought up to date.
func isOutOfStep(line string) bool {
	return strings.Contains(line, "Mirror sync in progress?") ||
		strings.HasPrefix(line, "E: Failed to fetch ") && strings.Contains(line, ".deb ") && strings.Contains(line, " 404 ")
}

// isConsequence tells the errors that only say that there was one before.
func isConsequence(line string) bool {
	for _, text := range []string{"E: setup failed", "E: run_", "E: mmdebstrap failed", "E: apt-get update", "E: Sub-process", "failed: E:"} {
		if strings.HasPrefix(line, text) {
			return true
		}
	}
	return false
}
