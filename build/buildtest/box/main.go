// Command box is what test images hold in place of a distribution: one static
// program that is the shell and all of its commands.
//
//	sh -c 'echo hello > /greeting && cat /greeting'
//	sh FILE
//
// It knows lines, ; && || > >> and quotes, the variables of its environment,
// and the commands in the table below; anything else is looked up in PATH.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	name, args := filepath.Base(os.Args[0]), os.Args[1:]
	switch {
	case name == "sh" && len(args) >= 2 && args[0] == "-c":
		leave(script(args[1]))
	case name == "sh" && len(args) >= 1:
		text, err := os.ReadFile(args[0])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(127)
		}
		leave(script(string(text)))
	case name == "box" && len(args) > 0:
		name, args = args[0], args[1:]
	}
	os.Exit(run(name, args, os.Stdout))
}

// leave ends a RUN step. What it printed last reaches the build only if Buildah's
// relay of a chroot's output comes to run before its process ends
// (chroot/run_common.go, runUsingChrootMain, waits for no relay).
func leave(code int) {
	time.Sleep(100 * time.Millisecond)
	os.Exit(code)
}

// script runs lines of commands and returns the last exit code.
func script(text string) int {
	code := 0
	for line := range strings.Lines(strings.ReplaceAll(text, ";", "\n")) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		code = alternatives(line)
	}
	return code
}

func alternatives(line string) int {
	code := 1
	for alternative := range strings.SplitSeq(line, "||") {
		code = 0
		for command := range strings.SplitSeq(alternative, "&&") {
			if code = simple(command); code != 0 {
				break
			}
		}
		if code == 0 {
			return 0
		}
	}
	return code
}

// simple runs one command with its redirection.
func simple(command string) int {
	words := split(command)
	out := io.Writer(os.Stdout)
	for i, w := range words {
		if w != ">" && w != ">>" {
			continue
		}
		flags := os.O_CREATE | os.O_WRONLY | os.O_TRUNC
		if w == ">>" {
			flags = os.O_CREATE | os.O_WRONLY | os.O_APPEND
		}
		f, err := os.OpenFile(words[i+1], flags, 0o644)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer f.Close()
		out, words = f, words[:i]
		break
	}
	if len(words) == 0 {
		return 0
	}
	return run(words[0], words[1:], out)
}

// split cuts a command into words; quotes keep blanks, and $NAME is replaced
// but between single quotes.
func split(s string) []string {
	var words []string
	var word strings.Builder
	quote, inWord := rune(0), false
	flush := func() {
		if inWord {
			words = append(words, word.String())
		}
		word.Reset()
		inWord = false
	}
	expanded := s
	if !strings.Contains(s, "'") {
		expanded = os.ExpandEnv(s)
	}
	for _, r := range expanded {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, inWord = r, true
		case quote == 0 && (r == ' ' || r == '\t'):
			flush()
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	flush()
	return words
}

func run(name string, args []string, out io.Writer) int {
	var err error
	switch filepath.Base(name) {
	case "true", "set":
	case "echo":
		_, err = fmt.Fprintln(out, strings.Join(args, " "))
	case "complain":
		fmt.Fprintln(os.Stderr, strings.Join(args, " "))
	case "exit":
		code, _ := strconv.Atoi(args[0])
		leave(code)
	case "cat":
		err = cat(out, args)
	case "ls":
		err = ls(out, args)
	case "count":
		var text []byte
		text, err = os.ReadFile(args[0])
		fmt.Fprintln(out, "count", strings.Count(string(text), "\n"))
	case "mkdir":
		err = os.MkdirAll(args[0], 0o755)
	case "id":
		_, err = fmt.Fprintln(out, os.Getuid(), os.Getgid())
	case "mounted":
		err = mounted(args[0])
	case "sleep":
		d, _ := time.ParseDuration(args[0])
		time.Sleep(d)
	case "daemon": // leaves an orphan in a session of its own that sleeps
		err = daemon(args[0])
	default:
		return external(name, args, out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		return 1
	}
	return 0
}

func external(name string, args []string, out io.Writer) int {
	cmd := exec.Command(name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, out, os.Stderr
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return exit.ExitCode()
	case err != nil:
		fmt.Fprintln(os.Stderr, "sh:", err)
		return 127
	}
	return 0
}

func cat(out io.Writer, names []string) error {
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if _, err := out.Write(text); err != nil {
			return err
		}
	}
	return nil
}

func ls(out io.Writer, names []string) error {
	for _, name := range names {
		entries, err := os.ReadDir(name)
		if err != nil {
			return err
		}
		for _, e := range entries {
			fmt.Fprintln(out, e.Name())
		}
	}
	return nil
}

func mounted(dir string) error {
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[1] == dir {
			return nil
		}
	}
	return fmt.Errorf("%s is no mount point", dir)
}

func daemon(d string) error {
	cmd := exec.Command("/proc/self/exe", "sleep", d)
	cmd.Args[0] = "box"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd.Start()
}
