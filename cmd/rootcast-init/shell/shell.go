package shell

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// What the person decided.
var (
	ErrRetry  = errors.New("boot again from here")
	ErrReboot = errors.New("reboot")
	ErrHalt   = errors.New("power off")
)

// Env is what the shell may show of the first stage.
type Env struct {
	Log func() string // what was said so far
}

type command struct {
	help string
	run  func(s *session, args []string) error
}

type session struct {
	out io.Writer
	env Env
}

func commands() map[string]command {
	return map[string]command{
		"cat":      {"cat FILE…: show files", (*session).cat},
		"ls":       {"ls [DIR]: list a directory", (*session).ls},
		"net":      {"net: show interfaces and their addresses", (*session).net},
		"log":      {"log: show what rootcast said", func(s *session, _ []string) error { _, err := io.WriteString(s.out, s.env.Log()); return err }},
		"dmesg":    {"dmesg: show the kernel's messages", (*session).dmesg},
		"mount":    {"mount: show what is mounted", func(s *session, _ []string) error { return s.cat([]string{"/proc/mounts"}) }},
		"modules":  {"modules: show the kernel's modules", func(s *session, _ []string) error { return s.cat([]string{"/proc/modules"}) }},
		"retry":    {"retry, exit: try to boot again", func(*session, []string) error { return ErrRetry }},
		"exit":     {"", func(*session, []string) error { return ErrRetry }},
		"reboot":   {"reboot: start the node anew", func(*session, []string) error { return ErrReboot }},
		"poweroff": {"poweroff: turn the node off", func(*session, []string) error { return ErrHalt }},
	}
}

// Run reads commands until the person decides: it returns [ErrRetry],
// [ErrReboot] or [ErrHalt], or what went wrong with the console.
func Run(in io.Reader, out io.Writer, env Env) error {
	s := &session{out, env}
	known := commands()
	lines := bufio.NewScanner(in)
	for {
		if _, err := fmt.Fprint(out, "rootcast> "); err != nil {
			return err
		}
		if !lines.Scan() {
			return errors.Join(lines.Err(), ErrRetry)
		}
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		cmd, ok := known[words[0]]
		if !ok {
			s.help(known)
			continue
		}
		err := cmd.run(s, words[1:])
		switch {
		case errors.Is(err, ErrRetry), errors.Is(err, ErrReboot), errors.Is(err, ErrHalt):
			return err
		case err != nil:
			fmt.Fprintf(out, "%s: %v\r\n", words[0], err) //nolint:errcheck // there is nobody else to tell
		}
	}
}

func (s *session) help(known map[string]command) {
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if text := known[name].help; text != "" {
			fmt.Fprintf(s.out, "  %s\r\n", text) //nolint:errcheck // there is nobody else to tell
		}
	}
}

func (s *session) cat(names []string) error {
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		_, err = io.Copy(s.out, f)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) ls(args []string) error {
	dir := "."
	if len(args) > 0 {
		dir = args[0]
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		text := e.Type().String() + " " + e.Name()
		if info, err := e.Info(); err == nil {
			text = fmt.Sprintf("%s %12d %s", info.Mode(), info.Size(), e.Name())
		}
		if _, err := fmt.Fprintf(s.out, "%s\r\n", text); err != nil {
			return err
		}
	}
	return err
}

func (s *session) net([]string) error {
	all, err := net.Interfaces()
	for _, i := range all {
		addrs, _ := i.Addrs() // an interface that has just gone has none
		if _, err := fmt.Fprintf(s.out, "%s %s mtu %d %s %v\r\n", i.Name, i.HardwareAddr, i.MTU, i.Flags, addrs); err != nil {
			return err
		}
	}
	return err
}

// dmesg reads the kernel's whole buffer (syslog(2), SYSLOG_ACTION_READ_ALL).
func (s *session) dmesg([]string) error {
	const actionReadAll, actionSize = 3, 10
	size, err := unix.Klogctl(actionSize, nil)
	if err != nil {
		return err
	}
	buf := make([]byte, size)
	n, err := unix.Klogctl(actionReadAll, buf)
	if err != nil {
		return err
	}
	_, err = s.out.Write(buf[:n])
	return err
}
