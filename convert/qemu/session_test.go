package qemu

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// anyTime stands for an error's waiting time, which no test can know.
const anyTime = "TIME"

func TestSessionLogsIn(t *testing.T) {
	var out bytes.Buffer
	s, err := Start(t.Context(), fake(t, "login"), Options{Output: &out})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, step := range []struct{ expect, send string }{
		{"node login: ", "root\n"},
		{"hello root\n# ", "again\n"},
		{"hello again", ""},
	} {
		if err := s.Expect(t.Context(), step.expect); err != nil {
			t.Fatal(err)
		}
		if err := s.Send(step.send); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	if !strings.HasPrefix(out.String(), "boot\nnode login: hello root\n# hello again") {
		t.Errorf("output: %q", out.String())
	}
}

func TestExpectErrors(t *testing.T) {
	tests := []struct {
		name    string
		mode    string
		text    string
		timeout time.Duration
		is      error
		want    string
	}{
		{name: "panic", mode: "panic", is: ErrPanic, want: `waiting for "login:" on the console: the kernel panicked: VFS: Unable to mount root fs on unknown-block(0,0)`},
		{name: "panic=-1", mode: "panic=-1", is: ErrPanic, want: `waiting for "login:" on the console: the kernel panicked: No working init found.`},
		{name: "stop", mode: "stop", is: ErrStopped, want: `waiting for "login:" on the console: the machine stopped after TIME`},
		{name: "silent", mode: "silent", is: ErrStopped, want: `waiting for "login:" on the console: the machine stopped after TIME and printed nothing at all; is it a kernel of this architecture?`},
		{name: "fail", mode: "fail", is: ErrStopped, want: `waiting for "login:" on the console: the machine stopped: qemu: could not load kernel 'kernel' (exit status 1)`},
		{name: "hang", mode: "hang", timeout: 2 * time.Second, is: ErrTimeout, want: `waiting for "login:" on the console: no sign of it in time: waited TIME`},
		{name: "mute", mode: "mute", timeout: 300 * time.Millisecond, is: ErrTimeout, want: `waiting for "login:" on the console: no sign of it in time: the console was silent for TIME`},
		{name: "no text", mode: "hang", text: "\x1b[0m", want: "expecting no text on the console makes no sense"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Start(t.Context(), fake(t, tt.mode), Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			ctx := t.Context()
			if tt.timeout != 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, tt.timeout)
				defer cancel()
			}
			if tt.text == "" {
				tt.text = "login:"
			}
			err = s.Expect(ctx, tt.text)
			if err == nil {
				t.Fatal("no error")
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v is not %v", err, tt.is)
			}
			if diff := cmp.Diff(tt.want, withoutTimes(err.Error())); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// withoutTimes replaces durations such as 1.5s.
func withoutTimes(s string) string {
	words := strings.Split(s, " ")
	for i, w := range words {
		if d, err := time.ParseDuration(w); err == nil && d >= 0 {
			words[i] = anyTime
		}
	}
	return strings.Join(words, " ")
}

func TestCrashNamesTheProgram(t *testing.T) {
	m := fake(t, "crash")
	s, err := Start(t.Context(), m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.Expect(t.Context(), "login:")
	if !errors.Is(err, ErrStopped) || !strings.Contains(err.Error(), "signal") && !strings.Contains(err.Error(), "exit status") {
		t.Errorf("got %v", err)
	}
}

func TestWait(t *testing.T) {
	s, err := Start(t.Context(), fake(t, "lines"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"line 28", "line 29"}, s.Tail(2)); diff != "" {
		t.Errorf("tail (-want +got):\n%s", diff)
	}
	// What was printed before the end is still found after it.
	if err := s.Expect(t.Context(), "line 7\n"); err != nil {
		t.Error(err)
	}
}

// Whatever QEMU does, it is gone within two seconds of an interrupt.
func TestEndsInTime(t *testing.T) {
	for _, mode := range []string{"hang", "deaf"} {
		t.Run(mode, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s, err := Start(ctx, fake(t, mode), Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Expect(ctx, "Booting"); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			cancel()
			if err := s.Expect(ctx, "login:"); !errors.Is(err, context.Canceled) {
				t.Errorf("Expect: %v", err)
			}
			s.Close() // returns when the process was reaped
			if d := time.Since(began); d > 2*time.Second {
				t.Errorf("took %s", d)
			}
			if err := s.Wait(t.Context()); !errors.Is(err, context.Canceled) {
				t.Errorf("Wait: %v", err)
			}
		})
	}
}

func TestRun(t *testing.T) {
	tests := []struct {
		mode string
		in   io.Reader
		out  string
		want string
	}{
		{mode: "login", in: strings.NewReader("root\n"), out: "boot\r\n\x1b[1;32mnode\x1b[0m lo\x1b]0;title\x07gin: hello root\r\n# "},
		{mode: "stop", in: strings.NewReader(""), out: "reboot: Power down\r\n"},
		{mode: "fail", in: strings.NewReader(""), want: "qemu: could not load kernel 'kernel' (exit status 1)"},
	}
	for _, tt := range tests {
		t.Run(tt.mode, func(t *testing.T) {
			var out bytes.Buffer
			err := Run(t.Context(), fake(t, tt.mode), Console{In: tt.in, Out: &out})
			got := ""
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.out, out.String()); diff != "" {
				t.Errorf("console (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRunEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stop := writerFunc(func(p []byte) (int, error) {
		cancel() // at the first sign of life
		return len(p), nil
	})
	if err := Run(ctx, fake(t, "deaf"), Console{Out: stop}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
