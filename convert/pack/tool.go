package pack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// tool is a program that the packer runs.
type tool struct {
	name     string
	packages string   // that bring it
	version  []string // arguments that make it say its version
	path     string
	says     string // its version, in the first line that it prints
}

// findTool finds the program and asks for its version, which its output depends on.
func findTool(ctx context.Context, t tool) (tool, error) {
	var err error
	if t.path, err = exec.LookPath(t.name); err != nil {
		return t, fmt.Errorf("%s is not installed here: install the package %s", t.name, t.packages)
	}
	out, err := toolCommand(ctx, t.path, t.version...).Output()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	// Some tools end with 1 after they have said their version.
	if exit := new(exec.ExitError); err != nil && (!errors.As(err, &exit) || line == "") {
		if ctx.Err() != nil {
			return t, ctx.Err()
		}
		return t, fmt.Errorf("asking %s for its version: %w", t.path, err)
	}
	t.says = strings.TrimSpace(line)
	return t, nil
}

// toolCommand is a command that knows nothing of the user's settings, XZ_OPT
// among them, by which the result might differ.
func toolCommand(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// process runs a command and keeps the end of what it complains of.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser // of start
	stderr tail
	once   sync.Once
	err    error
}

func (p *process) run(ctx context.Context) error {
	p.cmd.Stderr = &p.stderr
	return p.explain(ctx, p.cmd.Run())
}

// start runs it with a pipe to write to.
func (p *process) start() (err error) {
	p.cmd.Stderr = &p.stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return fmt.Errorf("running %s: %w", p.cmd.Path, err)
	}
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("running %s: %w", p.cmd.Path, err)
	}
	return nil
}

// wait ends its input and waits for its end.
func (p *process) wait(ctx context.Context) error {
	p.once.Do(func() { p.err = p.explain(ctx, errors.Join(p.stdin.Close(), p.cmd.Wait())) })
	return p.err
}

func (p *process) explain(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case p.stderr.String() != "":
		return fmt.Errorf("running %s: %w: %s", p.cmd.Path, err, p.stderr.String())
	}
	return fmt.Errorf("running %s: %w", p.cmd.Path, err)
}

// processWriter writes to a process that start has started; Close waits for it.
type processWriter struct {
	p   *process
	ctx context.Context //nolint:containedctx // io.Writer has no place for it
}

// Write says why the process is gone, where it is.
func (w *processWriter) Write(b []byte) (int, error) {
	n, err := w.p.stdin.Write(b)
	if err != nil {
		if why := w.p.wait(w.ctx); why != nil {
			err = why
		}
	}
	return n, err
}

func (w *processWriter) Close() error { return w.p.wait(w.ctx) }

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
