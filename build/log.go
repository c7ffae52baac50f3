package build

import (
	"bytes"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
)

const (
	tailLines = 5
	tailWidth = 300
)

// buildLog passes on what a build prints, line by line, and remembers the last
// lines of the step that runs.
type buildLog struct {
	mu      sync.Mutex
	w       io.Writer
	partial []byte
	held    string // a line that may be the image ID, which is stdout's
	last    []string
}

func newBuildLog(w io.Writer) *buildLog {
	if w == nil {
		w = io.Discard
	}
	return &buildLog{w: w}
}

// reports is for the progress of base images: straight to the terminal, where
// there is one, so that the library can draw bars.
func (l *buildLog) reports() io.Writer { return l.w }

//nolint:gochecknoglobals // constants
var (
	stepLine = regexp.MustCompile(`^(\[[^]]+\] )*STEP \d+`)
	idLine   = regexp.MustCompile(`^[0-9a-f]{64}$`)
	noise    = regexp.MustCompile(`^(subprocess exited (with status|on) .*|time=".*" level=.*)$`)
)

func (l *buildLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partial = append(l.partial, p...)
	for {
		i := bytes.IndexByte(l.partial, '\n')
		if i < 0 {
			return len(p), nil
		}
		line := string(l.partial[:i])
		l.partial = slices.Delete(l.partial, 0, i+1)
		if err := l.line(line); err != nil {
			return 0, err
		}
	}
}

func (l *buildLog) line(line string) error {
	if err := l.release(); err != nil {
		return err
	}
	text := strings.TrimRight(line[strings.LastIndexByte(strings.TrimRight(line, "\r"), '\r')+1:], "\r \t")
	switch {
	case stepLine.MatchString(text):
		l.last = nil
	case text != "" && !noise.MatchString(text):
		l.last = append(l.last, text)
		l.last = l.last[max(0, len(l.last)-tailLines):]
	}
	if idLine.MatchString(line) {
		l.held = line
		return nil
	}
	_, err := io.WriteString(l.w, line+"\n")
	return err
}

func (l *buildLog) release() error {
	if l.held == "" {
		return nil
	}
	held := l.held
	l.held = ""
	_, err := io.WriteString(l.w, held+"\n")
	return err
}

// finish prints what is left, but for a last line that is the image's ID.
func (l *buildLog) finish(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == id {
		l.held = ""
	}
	if len(l.partial) > 0 {
		line := string(l.partial)
		l.partial = nil
		_ = l.line(line)
	}
	_ = l.release()
}

// tail is the last lines of the last step, on one line.
func (l *buildLog) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := squeeze(strings.Join(l.last, " | "))
	if r := []rune(text); len(r) > tailWidth {
		text = "…" + string(r[len(r)-tailWidth+1:])
	}
	return text
}
