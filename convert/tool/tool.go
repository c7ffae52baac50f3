package tool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Tool is a program and what is known of it.
type Tool struct {
	Name     string
	Packages string   // that bring it
	Version  []string // arguments that make it say its version

	Path string // of the program; Find fills it in
	Says string // its version, in the first line that it prints; Find fills it in
}

// Find finds the program and asks for its version, which its output depends on.
func Find(ctx context.Context, t Tool) (Tool, error) {
	var err error
	if t.Path, err = exec.LookPath(t.Name); err != nil {
		return t, fmt.Errorf("%s is not installed here: install the package %s", t.Name, t.Packages)
	}
	out, err := Command(ctx, t.Path, t.Version...).Output()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	// Some tools end with 1 after they have said their version.
	if exit := new(exec.ExitError); err != nil && (!errors.As(err, &exit) || line == "") {
		if ctx.Err() != nil {
			return t, ctx.Err()
		}
		return t, fmt.Errorf("asking %s for its version: %w", t.Path, err)
	}
	t.Says = strings.TrimSpace(line)
	return t, nil
}

// Command is a command that knows nothing of the user's settings, XZ_OPT
// among them, by which the result might differ.
func Command(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// Process runs a command and keeps the end of what it complains of.
type Process struct {
	Cmd    *exec.Cmd
	stdin  io.WriteCloser // of Start
	stderr tail
	once   sync.Once
	err    error
}

// Run runs it to its end.
func (p *Process) Run(ctx context.Context) error {
	p.Cmd.Stderr = &p.stderr
	return p.explain(ctx, p.Cmd.Run())
}

// Start runs it with a pipe to write to; see [Writer].
func (p *Process) Start() (err error) {
	p.Cmd.Stderr = &p.stderr
	if p.stdin, err = p.Cmd.StdinPipe(); err != nil {
		return fmt.Errorf("running %s: %w", p.Cmd.Path, err)
	}
	if err := p.Cmd.Start(); err != nil {
		return fmt.Errorf("running %s: %w", p.Cmd.Path, err)
	}
	return nil
}

// Wait ends its input and waits for its end.
func (p *Process) Wait(ctx context.Context) error {
	p.once.Do(func() {
		err := p.stdin.Close()
		if errors.Is(err, os.ErrClosed) {
			err = nil
		}
		p.err = p.explain(ctx, errors.Join(err, p.Cmd.Wait()))
	})
	return p.err
}

// moment is how long a signal to all processes of a terminal may take to be known
// here as the end of the context.
const moment = time.Second

func (p *Process) explain(ctx context.Context, err error) error {
	if interrupted(err) { // by ^C, of which this process may learn after the program has ended
		select {
		case <-ctx.Done():
		case <-time.After(moment):
		}
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case p.stderr.String() != "":
		return fmt.Errorf("running %s: %w: %s", p.Cmd.Path, err, p.stderr.String())
	}
	return fmt.Errorf("running %s: %w", p.Cmd.Path, err)
}

// interrupted tells whether a program was ended by one of the signals that ask for it.
func interrupted(err error) bool {
	exit := new(exec.ExitError)
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return false
	}
	s := status.Signal()
	return s == syscall.SIGINT || s == syscall.SIGTERM || s == syscall.SIGHUP
}

// Writer writes to a process that Start has started; Close waits for it.
type Writer struct {
	p   *Process
	ctx context.Context //nolint:containedctx // io.Writer has no place for it
}

// NewWriter returns a writer to p.
func NewWriter(ctx context.Context, p *Process) *Writer { return &Writer{p, ctx} }

// Write says why the process is gone, where it is.
func (w *Writer) Write(b []byte) (int, error) {
	n, err := w.p.stdin.Write(b)
	if err != nil {
		if why := w.p.Wait(w.ctx); why != nil {
			err = why
		}
	}
	return n, err
}

// Close ends the process's input and says why it failed, if it did.
func (w *Writer) Close() error { return w.p.Wait(w.ctx) }

// tail keeps the last lines of what is written.
type tail struct{ b []byte }

const tailSize = 600

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > tailSize {
		t.b = append(t.b[:0], t.b[len(t.b)-tailSize:]...)
	}
	return len(p), nil
}

// String is what was kept, in one line.
func (t *tail) String() string {
	var lines []string
	for line := range bytes.Lines(t.b) {
		if line := strings.TrimSpace(string(line)); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}
