package console

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Log writes lines to the console and remembers them. It may be used by several
// goroutines.
type Log struct {
	mu    sync.Mutex
	out   io.Writer
	debug bool
	kept  bytes.Buffer
}

// New returns a log that writes to out, details too where debug is set.
func New(out io.Writer, debug bool) *Log { return &Log{out: out, debug: debug} }

// SetDebug says whether details go to the console.
func (l *Log) SetDebug(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.debug = on
}

// Printf writes a line.
func (l *Log) Printf(format string, args ...any) { l.line(true, format, args...) }

// Debugf writes a detail: always into the log, to the console if asked for.
func (l *Log) Debugf(format string, args ...any) { l.line(false, format, args...) }

func (l *Log) line(always bool, format string, args ...any) {
	text := strings.TrimRight(fmt.Sprintf(format, args...), "\n")
	up := Uptime()
	l.mu.Lock()
	defer l.mu.Unlock()
	for part := range strings.SplitSeq(text, "\n") {
		line := fmt.Sprintf("rootcast: %7.2f s  %s\n", up.Seconds(), part)
		l.kept.WriteString(line)
		if always || l.debug {
			// The serial line's driver wants a carriage return, and a terminal minds none.
			_, _ = io.WriteString(l.out, strings.TrimSuffix(line, "\n")+"\r\n")
		}
	}
}

// Save writes what was said so far into a file for the booted system.
func (l *Log) Save(path string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("keeping the log: %w", err)
	}
	if err := os.WriteFile(path, l.kept.Bytes(), 0o644); err != nil {
		return fmt.Errorf("keeping the log: %w", err)
	}
	return nil
}

// Text returns what was said so far.
func (l *Log) Text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kept.String()
}

// Uptime is the time since the kernel started.
func Uptime() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
