package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestResultFile(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"old", "linked", "mute"} {
		if err := os.WriteFile(at(name), []byte("a longer text that was there"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for to, from := range map[string]string{"linked": "link", "nothing": "dangling", "/dev/full": "full"} {
		if err := os.Symlink(to, at(from)); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name    string
		file    string
		check   string // error of check
		write   string // error of write
		content string // file that holds the text
		kind    os.FileMode
	}{
		{name: "none"},
		{name: "a new file", file: at("new"), content: at("new")},
		{name: "in place of an old one", file: at("old"), content: at("old")},
		{name: "through a link", file: at("link"), content: at("linked"), kind: os.ModeSymlink},
		{name: "through a link to nothing", file: at("dangling"), content: at("nothing"), kind: os.ModeSymlink},
		{name: "a device", file: "/dev/null", kind: os.ModeDevice | os.ModeCharDevice},
		{name: "a device that takes nothing", file: at("full"), write: "writing --iidfile: write " + at("full") + ": no space left on device", kind: os.ModeSymlink},
		{name: "a directory", file: dir, check: "writing --iidfile: " + dir + " is a directory; name a file"},
		{name: "in no directory", file: at("no/such"), check: "writing --iidfile: directory " + at("no") + ": no such file or directory"},
		{name: "below a file", file: at("mute/x"), check: "writing --iidfile: stat " + at("mute/x") + ": not a directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := resultFile{"iidfile", tt.file}
			checkText(t, f.check(), tt.check)
			if tt.check != "" {
				return
			}
			checkText(t, f.write("text"), tt.write)
			if tt.content != "" {
				if got, err := os.ReadFile(tt.content); err != nil || string(got) != "text" {
					t.Errorf("it holds %q, error %v", got, err)
				}
			}
			if tt.file != "" {
				if fi, err := os.Lstat(tt.file); err != nil || fi.Mode().Type() != tt.kind {
					t.Errorf("it is %v now, error %v", fi.Mode(), err)
				}
			}
		})
	}
	if left, err := filepath.Glob(at(".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, error %v", left, err)
	}
}

// TestResultFilePipe has a reader of a named pipe get the text.
func TestResultFilePipe(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	go func() {
		text, err := os.ReadFile(name)
		if err != nil {
			text = []byte(err.Error())
		}
		got <- string(text)
	}()
	f := resultFile{"digestfile", name}
	checkText(t, f.check(), "")
	checkText(t, f.write("text"), "")
	if text := <-got; text != "text" {
		t.Errorf("the pipe's reader got %q", text)
	}
}

func checkText(t *testing.T, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}
