package shell_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rootcast/rootcast/cmd/rootcast-init/shell"
)

const prompt = "rootcast> "

// run gives the shell a script and returns what it says, and how it ends.
func run(script string) (string, error) {
	var out bytes.Buffer
	err := shell.Run(strings.NewReader(script), &out, shell.Env{Log: func() string { return "what was said\n" }})
	return out.String(), err
}

// What a person decides ends the shell, with nothing behind it read.
func TestRunEnds(t *testing.T) {
	for script, want := range map[string]error{
		"retry": shell.ErrRetry, "exit\n": shell.ErrRetry, "": shell.ErrRetry, "\n \n": shell.ErrRetry, // the console is gone
		"reboot\nexit\n": shell.ErrReboot, "  poweroff  now\n": shell.ErrHalt,
	} {
		out, err := run(script)
		if !errors.Is(err, want) || strings.Trim(strings.ReplaceAll(out, prompt, ""), "\r\n") != "" {
			t.Errorf("%q: %q, error %v", script, out, err)
		}
	}
}

func TestRunShows(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("content\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("gone", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		t.Fatal(err)
	}
	root, _, _ := strings.Cut(string(mounts), "\n")
	for script, want := range map[string][]string{
		"log":                       {"what was said\n"},
		"cat " + file + " " + file:  {"content\ncontent\n"},
		"ls " + dir:                 {"-rw-r-----            8 file\r\n", "            4 link\r\n"},
		"ls":                        {"shell_test.go\r\n"},
		"net":                       {"lo ", "mtu", "loopback"},
		"mount":                     {root + "\n"},
		"cat":                       {""},
		"help":                      {"  cat FILE…: show files\r\n", "  retry, exit: try to boot again\r\n", "  poweroff: turn the node off\r\n"},
		"format /dev/sda":           {"  log: show what rootcast said\r\n"}, // whatever is unknown
		"cat /no/such":              {"cat: open /no/such: no such file or directory\r\n"},
		"cat " + file + " /no/such": {"content\n", "cat: open /no/such: no such file or directory\r\n"},
		"cat " + dir:                {"cat: read " + dir + ": is a directory\r\n"},
		"ls " + file:                {"ls: ", "not a directory\r\n"},
	} {
		out, err := run(script + "\nreboot\n")
		if !errors.Is(err, shell.ErrReboot) || strings.Count(out, prompt) != 2 {
			t.Errorf("%s: %q, error %v", script, out, err)
		}
		for _, want := range want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: %q lacks %q", script, out, want)
			}
		}
	}
}

// The lists of the kernel are shown where it lets them be seen.
func TestRunShowsKernel(t *testing.T) {
	for command, refused := range map[string]string{"dmesg": "dmesg: operation not permitted", "modules": "modules: open /proc/modules"} {
		out, err := run(command + "\nexit\n")
		if !errors.Is(err, shell.ErrRetry) {
			t.Errorf("%s: %v", command, err)
		}
		if said := strings.TrimPrefix(out, prompt); strings.Contains(said, command+": ") && !strings.HasPrefix(said, refused) {
			t.Errorf("%s: %q", command, said)
		}
	}
}

// A console that fails ends the shell with the reason.
func TestRunFails(t *testing.T) {
	broken := errors.New("input/output error")
	if err := shell.Run(io.MultiReader(strings.NewReader("log\n"), iotest.ErrReader(broken)), io.Discard, shell.Env{Log: func() string { return "" }}); !errors.Is(err, broken) {
		t.Errorf("reading: %v", err)
	}
	if err := shell.Run(strings.NewReader("log\n"), failing{broken}, shell.Env{}); !errors.Is(err, broken) {
		t.Errorf("writing: %v", err)
	}
	if _, err := run(strings.Repeat("x", 1<<20)); !errors.Is(err, bufio.ErrTooLong) {
		t.Errorf("an endless line: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
