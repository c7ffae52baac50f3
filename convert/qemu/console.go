package qemu

import (
	"bytes"
	"io"
	"strings"
	"sync"
)

// keepConsole is how much of a console's plain text is kept at least.
const keepConsole = 256 << 10

// panicText is what every Linux panic prints, whatever its cause.
const panicText = "Kernel panic - not syncing"

// console collects what a machine prints. QEMU writes to it, any number of
// goroutines look for text in it.
type console struct {
	out io.Writer // gets the plain text as it comes; may be nil

	mu      sync.Mutex
	plain   plainText
	text    []byte        // the newest plain text
	base    int           // how much was dropped before text
	cursor  int           // where the next find begins, counted from the first byte ever
	passed  string        // what the last find that succeeded went over
	changed chan struct{} // closed and replaced when text arrives
}

func newConsole(out io.Writer) *console {
	return &console{out: out, changed: make(chan struct{})}
}

// Write takes the machine's output; QEMU's is its only caller.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	old := len(c.text)
	c.text = c.plain.filter(c.text, p)
	fresh := c.text[old:]
	if drop := len(c.text) - keepConsole; drop > keepConsole {
		c.text = append([]byte(nil), c.text[drop:]...)
		c.base += drop
		c.cursor = max(c.cursor, c.base)
	}
	close(c.changed)
	c.changed = make(chan struct{})
	c.mu.Unlock()
	// Out of the lock: a terminal that was stopped must not stop a deadline.
	// What is in fresh stays there, for text only grows behind it.
	if c.out != nil && len(fresh) > 0 {
		_, _ = c.out.Write(fresh) // the machine goes on though nobody can watch it
	}
	return len(p), nil
}

// search is a text that is looked for and how far the looking has come.
type search struct {
	text string
	from int // counted from the first byte ever; 0 begins where the last find ended
}

// finding is what a look at the console shows.
type finding struct {
	found    bool
	panicked bool
	changed  <-chan struct{} // closed when looking again may show more
}

// find looks for a text behind what was found before and moves behind it. A
// kernel panic that stands before the text means that it was not found, unless
// the text is about a panic.
func (c *console) find(s *search) finding {
	c.mu.Lock()
	defer c.mu.Unlock()
	from := max(s.from, c.cursor) - c.base
	rest := c.text[max(from, 0):]
	from = len(c.text) - len(rest)
	at, oops := bytes.Index(rest, []byte(s.text)), -1
	if !strings.Contains(s.text, "panic") {
		oops = bytes.Index(rest, []byte(panicText))
	}
	if at >= 0 && (oops < 0 || at < oops) {
		end := from + at + len(s.text)
		c.passed = string(c.text[max(c.cursor-c.base, 0):end])
		c.cursor = c.base + end
		return finding{found: true}
	}
	if oops < 0 {
		s.from = c.base + max(from, len(c.text)-max(len(s.text), len(panicText))+1)
	}
	return finding{panicked: oops >= 0, changed: c.changed}
}

// tail returns the last n lines that are not blank.
func (c *console) tail(n int) []string {
	c.mu.Lock()
	text := string(c.text)
	c.mu.Unlock()
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, " \t\n"); line != "" {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-n):]
}

// silent tells whether nothing was printed so far.
func (c *console) silent() bool { return len(c.tail(1)) == 0 }

// panicReason is what the first panic gave as its cause, or "".
func (c *console) panicReason() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := bytes.Index(c.text, []byte(panicText)) // the last line of its report repeats it
	if i < 0 {
		return ""
	}
	line, _, _ := bytes.Cut(c.text[i+len(panicText):], []byte("\n"))
	return strings.TrimLeft(string(line), ": ")
}
