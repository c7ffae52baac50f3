package binfmt

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// kernel is what changes handlers; tests have another one than Linux.
type kernel interface {
	// mount mounts binfmt_misc at Dir.
	mount() error
	// write writes text to a file of Dir at once, as registrations must be.
	write(name, text string) error
}

// linux is the kernel of this machine.
type linux struct{}

var _ kernel = linux{}

func (linux) mount() error { return unix.Mount("binfmt_misc", Dir, "binfmt_misc", 0, "") }

func (linux) write(name, text string) error {
	f, err := os.OpenFile(filepath.Join(Dir, name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// What is written to a handler's file.
const (
	switchOn = "1"
	removeIt = "-1"
)
