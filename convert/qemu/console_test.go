package qemu

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlain(t *testing.T) {
	tests := []struct {
		name, in, want string
	}{
		{"text", "login: ", "login: "},
		{"carriage returns", "a\r\nb\rc", "a\nbc"},
		{"colours", "[\x1b[0;32m  OK  \x1b[0m] up", "[  OK  ] up"},
		{"firmware's reset", "\x1bc\x1b[?7l\x1b[2J\x1b[0mBIOS", "BIOS"},
		{"title, BEL", "\x1b]0;root@node\x07# ", "# "},
		{"context, ST", "\x1b]3008;start=ab;type=boot\x1b\\login:", "login:"},
		{"character set", "a\x1b(Bb", "ab"},
		{"string of a device", "\x1bP$q\x1b\\x", "x"},
		{"unfinished string ends with the line", "\x1b]0;oops\nlogin:", "\nlogin:"},
		{"unfinished colour ends with the line", "\x1b[1;\nlogin:", "\nlogin:"},
		{"broken off", "\x1b[1\x18x\x1b[1\x1by", "x"},
		{"escape at the end", "x\x1b", "x"},
		{"other controls", "a\x00\x07\x08\x7fb\tc", "ab\tc"},
		{"UTF-8", "● Größe", "● Größe"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, plain(tt.in)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// What Expect went over is told apart exactly, however late the console's watcher
// gets it.
func TestPassed(t *testing.T) {
	c := newConsole(nil)
	mustWrite(t, c, []byte("login: root\r\none\r\ntwo\r\nend\r\nmore"))
	for _, tt := range []struct {
		text, want string
		found      bool
	}{
		{"login:", "login:", true},
		{"root\n", " root\n", true},
		{"absent", " root\n", false},
		{"end\n", "one\ntwo\nend\n", true},
		{"more", "more", true},
	} {
		if f := c.find(&search{text: tt.text}); f.found != tt.found || c.passed != tt.want {
			t.Errorf("%q: %t, passed %q, want %q", tt.text, f.found, c.passed, tt.want)
		}
	}
}

// FuzzConsole checks that where writes end makes no difference, and that a
// text is found with escape sequences anywhere in it.
func FuzzConsole(f *testing.F) {
	f.Add([]byte("boot\r\n\x1b[1;32mnode\x1b[0m lo\x1b]0;x\x07gin: "), "login:", 3)
	f.Add([]byte("\x1b[0;1;31"), "x", 1)
	f.Add([]byte("\x1b]3008;"), "a b", 2)
	f.Add([]byte("● Größe\x1b("), "Größe", 5)
	f.Fuzz(func(t *testing.T, data []byte, text string, step int) {
		step = 1 + (step&0x7fffffff)%(len(data)+1)
		var whole, pieces bytes.Buffer
		one, many := newConsole(&whole), newConsole(&pieces)
		mustWrite(t, one, data)
		for rest := data; len(rest) > 0; {
			n := min(step, len(rest))
			mustWrite(t, many, rest[:n])
			rest = rest[n:]
		}
		if whole.String() != pieces.String() {
			t.Fatalf("written at once: %q, in pieces: %q", whole.String(), pieces.String())
		}
		if strings.ContainsAny(whole.String(), "\x1b\r\x00") {
			t.Fatalf("terminal control left in %q", whole.String())
		}
		if text = plain(text); text == "" || strings.Contains(whole.String(), panicText) {
			return
		}
		look := search{text: text}
		found := many.find(&look).found
		mustWrite(t, many, []byte("\n"))
		for _, c := range []byte(text) {
			mustWrite(t, many, []byte{c, esc, '[', '3'})
			mustWrite(t, many, []byte("1m"))
		}
		if !found && !many.find(&look).found {
			t.Fatalf("%q not found in %q", text, pieces.String())
		}
	})
}

func TestFind(t *testing.T) {
	const oops = "Kernel panic - not syncing: VFS\n"
	tests := []struct {
		name   string
		writes []string
		find   []string
		want   []string // found, panicked, or nothing
	}{
		{"in one write", []string{"x login: "}, []string{"login:"}, []string{"found"}},
		{"across writes", []string{"lo", "g", "in:"}, []string{"login:"}, []string{"found"}},
		{"not there", []string{"logon:"}, []string{"login:"}, []string{""}},
		{"in order", []string{"# # "}, []string{"# ", "# ", "# "}, []string{"found", "found", ""}},
		{"not behind what was found", []string{"a b"}, []string{"b", "a"}, []string{"found", ""}},
		{"panic first", []string{oops, "login:"}, []string{"login:"}, []string{"panicked"}},
		{"panic later", []string{"login:", oops}, []string{"login:", "#"}, []string{"found", "panicked"}},
		{"panic across writes", []string{oops[:10], oops[10:]}, []string{"login:"}, []string{"panicked"}},
		{"panic expected", []string{oops, "end Kernel panic\n#"}, []string{"panic - not syncing: VFS", "end Kernel panic", "#"}, []string{"found", "found", "found"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newConsole(nil)
			looks := make([]search, len(tt.find))
			for i, text := range tt.find {
				looks[i] = search{text: text}
			}
			for i, w := range tt.writes {
				mustWrite(t, c, []byte(w))
				if i < len(tt.writes)-1 {
					// The first looks on while the console grows, as Expect does.
					if f := c.find(&looks[0]); f.found {
						c.cursor = 0 // so that the loop below finds it again
					}
				}
			}
			var got []string
			for i := range looks {
				got = append(got, outcome(c.find(&looks[i])))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
		})
	}
}

func outcome(f finding) string {
	switch {
	case f.found:
		return "found"
	case f.panicked:
		return "panicked"
	default:
		return ""
	}
}

func TestConsoleForgets(t *testing.T) {
	c := newConsole(nil)
	line := []byte(strings.Repeat("x", 1023) + "\n")
	mustWrite(t, c, []byte("first\n"))
	look := search{text: "first"}
	for range 4 * keepConsole / len(line) {
		mustWrite(t, c, line)
	}
	if len(c.text) > 2*keepConsole+len(line) {
		t.Errorf("%d bytes kept", len(c.text))
	}
	if c.find(&look).found {
		t.Error("found what should be forgotten")
	}
	mustWrite(t, c, []byte("last"))
	if look := (search{text: "last"}); !c.find(&look).found {
		t.Error("what was printed after the forgetting is not found")
	}
}

func TestTail(t *testing.T) {
	c := newConsole(nil)
	for i := range 30 {
		mustWrite(t, c, fmt.Appendf(nil, "line %d\r\n  \r\n", i))
	}
	mustWrite(t, c, []byte("login: "))
	if diff := cmp.Diff([]string{"line 28", "line 29", "login:"}, c.tail(3)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := newConsole(nil).tail(3); len(got) != 0 {
		t.Errorf("a silent console's tail is %q", got)
	}
}

func mustWrite(t *testing.T, c *console, p []byte) {
	t.Helper()
	if n, err := c.Write(p); err != nil || n != len(p) {
		t.Fatalf("Write = %d, %v", n, err)
	}
}
