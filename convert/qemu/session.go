package qemu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// killDelay is how long QEMU has to end after it was asked to. A QEMU that
	// hangs in KVM does not hear the question.
	killDelay = time.Second
	// panicDelay is how long a machine that panicked may go on talking: the
	// reason's backtrace follows it.
	panicDelay = time.Second
)

// What a caller may want to tell apart in an error of [Session.Expect].
var (
	// ErrStopped means that the machine ended before the text appeared.
	ErrStopped = errors.New("the machine stopped")
	// ErrPanic means that the guest's kernel panicked before the text appeared.
	ErrPanic = errors.New("the kernel panicked")
	// ErrTimeout means that the text did not appear in time.
	ErrTimeout = errors.New("no sign of it in time")
)

// Options says what a session does besides running the machine.
type Options struct {
	// Output, if not nil, gets the console's text as it comes, without escape
	// sequences and carriage returns.
	Output io.Writer
}

// Session is a running machine with its serial console.
type Session struct {
	console *console
	stdin   io.WriteCloser
	stop    context.CancelFunc
	done    chan struct{} // closed when QEMU has ended
	err     error         // how it ended; valid once done is closed
	stopped sync.Once
}

// Start starts a machine. It runs until it stops by itself, ctx ends or the
// session is closed; [Session.Close] must be called in any case.
func Start(ctx context.Context, m Machine, o Options) (*Session, error) {
	program, err := m.program()
	if err != nil {
		return nil, err
	}
	args, err := m.Args()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	cmd := command(ctx, program, args)
	// A group of its own, so that a terminal's ^C reaches this process alone,
	// which then ends the machine and can say why.
	cmd.SysProcAttr.Setpgid = true
	s := &Session{console: newConsole(o.Output), stop: stop, done: make(chan struct{})}
	complaint := &lastLine{}
	cmd.Stdout, cmd.Stderr = s.console, complaint
	if s.stdin, err = cmd.StdinPipe(); err != nil {
		stop()
		return nil, fmt.Errorf("starting %s: %w", program, err)
	}
	started := make(chan error, 1)
	go func() {
		defer close(s.done)
		s.err = ended(ctx, program, runCommand(cmd, started), complaint)
	}()
	if err := <-started; err != nil {
		stop()
		return nil, fmt.Errorf("starting %s: %w", program, err)
	}
	return s, nil
}

// runCommand starts cmd, says on started how that went, and waits for its end.
func runCommand(cmd *exec.Cmd, started chan<- error) error {
	// The kernel sends a parent's death signal when the thread that forked
	// ends, so that thread is kept for as long as the child lives.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Start()
	started <- err
	if err != nil {
		return err
	}
	err = cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) { // it ended well; a keyboard may never
		return nil
	}
	return err
}

// command prepares QEMU to be ended when ctx ends.
func command(ctx context.Context, program string, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = killDelay
	// No machine outlives this process, even if that is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// ended makes one error of how QEMU ended; nil if the guest ended it.
func ended(ctx context.Context, program string, err error, complaint *lastLine) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		return nil
	}
	if line := complaint.String(); line != "" {
		return fmt.Errorf("%s (%w)", line, err) // begins with the program's name
	}
	return fmt.Errorf("running %s: %w", program, err)
}

// Expect waits until text appears on the console behind what the last Expect
// found, or until ctx ends. Escape sequences, carriage returns and where the
// guest's writes end make no difference. The error is one line and wraps
// [ErrPanic], [ErrStopped] or [ErrTimeout].
func (s *Session) Expect(ctx context.Context, text string) error {
	search := search{text: plain(text)}
	if search.text == "" {
		return errors.New("expecting no text on the console makes no sense")
	}
	began := time.Now()
	for {
		// Asked first: what is read after that holds all that was printed.
		ended := s.hasEnded()
		f := s.console.find(&search)
		switch {
		case f.found:
			return nil
		case f.panicked:
			s.awaitEnd(ctx, panicDelay)
			return fmt.Errorf("waiting for %q on the console: %w", text, s.panicError())
		case ended:
			return fmt.Errorf("waiting for %q on the console: %w", text, s.endError(began))
		}
		select {
		case <-f.changed:
		case <-s.done:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %q on the console: %w", text, s.contextError(ctx, began))
		}
	}
}

func (s *Session) hasEnded() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// awaitEnd waits for the machine's end, but not for longer than d.
func (s *Session) awaitEnd(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (s *Session) panicError() error {
	if reason := s.console.panicReason(); reason != "" {
		return fmt.Errorf("%w: %s", ErrPanic, reason)
	}
	return ErrPanic
}

func (s *Session) endError(began time.Time) error {
	switch {
	case errors.Is(s.err, context.Canceled), errors.Is(s.err, context.DeadlineExceeded):
		return s.err
	case s.err != nil:
		return fmt.Errorf("%w: %w", ErrStopped, s.err)
	case s.console.silent():
		return fmt.Errorf("%w after %s and printed nothing at all; is it a kernel of this architecture?", ErrStopped, since(began))
	default:
		return fmt.Errorf("%w after %s", ErrStopped, since(began))
	}
}

func (s *Session) contextError(ctx context.Context, began time.Time) error {
	switch {
	case !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return ctx.Err()
	case s.console.silent():
		return fmt.Errorf("%w: the console was silent for %s", ErrTimeout, since(began))
	default:
		return fmt.Errorf("%w: waited %s", ErrTimeout, since(began))
	}
}

func since(began time.Time) time.Duration {
	d := time.Since(began)
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Second)
}

// Send types text on the console. A line ends with "\n".
func (s *Session) Send(text string) error {
	if _, err := io.WriteString(s.stdin, text); err != nil {
		return fmt.Errorf("typing on the machine's console: %w", err)
	}
	return nil
}

// Passed returns the text that the last Expect to succeed went over: from where
// the one before it had ended to the end of its own text.
func (s *Session) Passed() string {
	s.console.mu.Lock()
	defer s.console.mu.Unlock()
	return s.console.passed
}

// Tail returns the console's last n lines that are not blank.
func (s *Session) Tail(n int) []string { return s.console.tail(n) }

// Wait waits until the machine stops by itself and returns what was wrong with
// that, or ctx's error if that ends first.
func (s *Session) Wait(ctx context.Context) error {
	select {
	case <-s.done:
		return s.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends the machine if it still runs and waits until nothing is left of
// it, within two seconds. It may be called more than once.
func (s *Session) Close() {
	s.stopped.Do(s.stop)
	<-s.done
}

// lastLine keeps the last line of what is written to it: of QEMU's complaints
// the one that made it give up.
type lastLine struct {
	mu   sync.Mutex
	text string
}

// Write takes more text.
func (l *lastLine) Write(p []byte) (int, error) {
	const keep = 4096
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text += string(p)
	l.text = l.text[max(0, len(l.text)-keep):]
	return len(p), nil
}

func (l *lastLine) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := strings.TrimSpace(l.text)
	return plain(text[strings.LastIndexByte(text, '\n')+1:])
}
