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
	ids     map[string]bool // short IDs of the images announced so far
	last    []string
}

func newBuildLog(w io.Writer) *buildLog {
	if w == nil {
		w = io.Discard
	}
	return &buildLog{w: w, ids: map[string]bool{}}
}

// reports is for the progress of base images: straight to the terminal, where
// there is one, so that the library can draw bars.
func (l *buildLog) reports() io.Writer { return l.w }

var (
	stepLine = regexp.MustCompile(`^(\[[^]]+\] )*STEP \d+`)
	idLine   = regexp.MustCompile(`^[0-9a-f]{64}$`)
	commit   = regexp.MustCompile(`^--> ([0-9a-f]{12})$`)
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
	text := strings.TrimRight(line[strings.LastIndexByte(strings.TrimRight(line, "\r"), '\r')+1:], "\r \t")
	switch {
	case stepLine.MatchString(text):
		l.last = nil
	case text != "" && !noise.MatchString(text):
		l.last = append(l.last, text)
		l.last = l.last[max(0, len(l.last)-tailLines):]
	}
	if m := commit.FindStringSubmatch(text); m != nil {
		l.ids[m[1]] = true
	}
	if idLine.MatchString(text) && l.ids[text[:12]] {
		return nil // an image's full ID, which is for stdout
	}
	_, err := io.WriteString(l.w, line+"\n")
	return err
}

// finish prints what is left.
func (l *buildLog) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.partial) > 0 {
		line := string(l.partial)
		l.partial = nil
		_ = l.line(line)
	}
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
