package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/cmd/rootcast-init/cmdline"
	"github.com/rootcast/rootcast/cmd/rootcast-init/console"
)

// failing is a node that does not boot, and what its console shows.
type failing struct {
	*boot
	out   bytes.Buffer
	reset []int // what the kernel was asked for
}

func newFailing(line string) *failing {
	f := &failing{}
	f.boot = &boot{log: console.New(&f.out, false), machine: machine{shell: "/no/such/shell"}}
	f.machine.reset = func(how int) error {
		f.reset = append(f.reset, how)
		return unix.EPERM
	}
	f.options, _ = cmdline.Parse(line)
	return f
}

var stamp = regexp.MustCompile(`(?m)^rootcast: +[0-9.]+ s  `)

// said is what the console shows, without times.
func (f *failing) said() string {
	return strings.ReplaceAll(stamp.ReplaceAllString(f.out.String(), ""), "\r\n", "\n")
}

// withConsole gives the process another standard input and output.
func withConsole(t *testing.T, input string) (output string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "in"), []byte(input), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(filepath.Join(dir, "in"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	oldIn, oldOut := os.Stdin, os.Stdout
	os.Stdin, os.Stdout = in, out
	t.Cleanup(func() {
		os.Stdin, os.Stdout = oldIn, oldOut
		if err := errors.Join(in.Close(), out.Close()); err != nil {
			t.Error(err)
		}
	})
	return out.Name()
}

var errNoServer = errors.New("no server answers")

// Attempts are ever further apart, and none is the last.
func TestAwaitBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailing("")
		var waits []string
		for range 100 {
			f.failures++
			began := time.Now()
			f.await(errNoServer)
			waits = append(waits, time.Since(began).String())
		}
		if got, want := strings.Join(waits[:7], " "), "5s 10s 20s 40s 1m20s 2m0s 2m0s"; got != want || waits[99] != "2m0s" {
			t.Errorf("waits %s … %s, want %s", got, waits[99], want)
		}
		if got := f.said(); !strings.HasPrefix(got, "trying again in 5s\ntrying again in 10s\n") || len(f.reset) > 0 {
			t.Errorf("%s", got)
		}
	})
}

// Before the command line is known an attempt follows too.
func TestAwaitWithoutOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailing("")
		f.options, f.failures = nil, 1
		f.await(errNoServer)
		if got := f.said(); got != "trying again in 5s\n" {
			t.Errorf("%s", got)
		}
	})
}

// In dracut's initrd the shell is dracut's, and so is a node that cannot boot.
func TestAwaitAsGuest(t *testing.T) {
	forGood := fmt.Errorf("no imgurl=: %w", errForGood)
	for _, tc := range []struct {
		line   string
		err    error
		giveUp bool
		said   string
	}{
		{"", errNoServer, false, "trying again in 5s\n"},
		{"", forGood, true, ""},
		{"rootcast.shell", errNoServer, true, ""},
		{"rootcast.shell", forGood, true, ""},
		{"panic=30", forGood, false, "rebooting in 30s (panic=)\nthe kernel does not restart the machine: operation not permitted\n"},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFailing(tc.line)
			f.guest, f.failures = true, 1
			if got := f.await(tc.err); got != tc.giveUp || f.said() != tc.said {
				t.Errorf("%q, %v: gives up %v and says %q", tc.line, tc.err, got, f.said())
			}
		})
	}
}

// With panic= the node is reset, whatever is wrong, and if that fails all is
// tried again.
func TestAwaitPanics(t *testing.T) {
	for line, want := range map[string]struct {
		wait time.Duration
		said string
	}{
		"panic=30": {35 * time.Second, "rebooting in 30s (panic=)\n"},
		"panic=-1": {5 * time.Second, "rebooting in 0s (panic=)\n"},
	} {
		for _, err := range []error{errNoServer, fmt.Errorf("no imgurl=: %w", errForGood)} {
			synctest.Test(t, func(t *testing.T) {
				f := newFailing(line)
				began := time.Now()
				f.await(err)
				if took := time.Since(began); took != want.wait || len(f.reset) != 1 || f.reset[0] != unix.LINUX_REBOOT_CMD_RESTART {
					t.Errorf("%s: %v, reset by %x", line, took, f.reset)
				}
				if got := f.said(); got != want.said+"the kernel does not restart the machine: operation not permitted\n" {
					t.Errorf("%s: %s", line, got)
				}
			})
		}
	}
}

// enough ends a node that would say the same for ever.
type enough struct {
	said bytes.Buffer
	left int
}

func (e *enough) Write(b []byte) (int, error) {
	if e.left--; e.left < 0 {
		panic(e)
	}
	return e.said.Write(b)
}

// What no attempt can mend stops the node, which says so again from time to time.
func TestAwaitStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f, out := newFailing(""), &enough{left: 5}
		f.log = console.New(out, false)
		defer func() {
			if got := recover(); got != out {
				panic(got)
			}
			const again = "THE NODE DOES NOT BOOT: no imgurl=: trying again does not help\n"
			const stopped = "stopped: mend it and reset the node; with panic=30 it reboots by itself, with rootcast.shell there is a shell here\n"
			f.out = out.said
			if got := f.said(); got != stopped+again+stopped+again+stopped || time.Since(began) != 30*time.Minute {
				t.Errorf("after %v: %s", time.Since(began), got)
			}
		}()
		f.await(fmt.Errorf("no imgurl=: %w", errForGood))
	})
}

// What the person at the console decides is done, before all that panic= says.
// A console that gives no input does not make the node try without a pause.
func TestAwaitShell(t *testing.T) {
	const minimal = "a minimal shell: help lists its commands, exit tries again\n"
	const cannot = "the kernel does not restart the machine: operation not permitted\n"
	for name, tt := range map[string]struct {
		input, said, shown string
		reset              []int
	}{
		"retry":    {"log\nretry\n", minimal, "rootcast> rootcast:", nil},
		"no input": {"", minimal, "rootcast> ", nil},
		"reboot":   {"reboot\n", minimal + cannot, "rootcast> ", []int{unix.LINUX_REBOOT_CMD_RESTART}},
		"poweroff": {"poweroff\n", minimal + cannot, "rootcast> ", []int{unix.LINUX_REBOOT_CMD_POWER_OFF}},
		"too much": {strings.Repeat("x", 1<<20), minimal, "rootcast> ", nil},
	} {
		t.Run(name, func(t *testing.T) {
			output := withConsole(t, tt.input)
			synctest.Test(t, func(t *testing.T) {
				f := newFailing("rootcast.shell panic=5")
				began := time.Now()
				f.await(errForGood)
				if took := time.Since(began); took != againFirst {
					t.Errorf("it took %v", took)
				}
				if got := f.said(); got != tt.said || fmt.Sprint(f.reset) != fmt.Sprint(tt.reset) {
					t.Errorf("reset by %x, said %s", f.reset, got)
				}
			})
			if shown, err := os.ReadFile(output); err != nil || !strings.HasPrefix(string(shown), tt.shown) {
				t.Errorf("%v: %s", err, shown)
			}
		})
	}
}

// The image's shell needs a terminal. Without one the person is told, and the
// node tries again.
func TestAwaitImageShell(t *testing.T) {
	withConsole(t, "")
	synctest.Test(t, func(t *testing.T) {
		f := newFailing("rootcast.shell")
		f.machine.shell = "/bin/sh"
		began := time.Now()
		f.await(errNoServer)
		if got := f.said(); !strings.HasPrefix(got, "a shell of the image: exit to try again\nthe shell: ") || time.Since(began) != againFirst {
			t.Errorf("after %v: %s", time.Since(began), got)
		}
	})
}
