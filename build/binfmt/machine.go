package binfmt

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

// Dir is where binfmt_misc is mounted.
const Dir = "/proc/sys/fs/binfmt_misc"

// ownPrefix begins the name of each handler that this package registers.
const ownPrefix = "rootcast-qemu-"

// overflowID is whom a user namespace sees in place of the users outside of it
// (/proc/sys/kernel/overflowuid).
const overflowID = 65534

// Machine is a computer to look at: its binfmt_misc, and the emulators.
type Machine struct {
	Files   fs.FS  // its root directory; nil: this machine's, on which programs are also tried
	TempDir string // where a program that is tried lies for a moment; "": the system's

	try tryFunc // set by tests
}

// files is m's root directory.
func (m Machine) files() fs.FS {
	if m.Files == nil {
		return os.DirFS("/")
	}
	return m.Files
}

// trier is how programs are tried on m, nil where they cannot be.
func (m Machine) trier() tryFunc {
	if m.try == nil && m.Files == nil {
		return tryIn(m.TempDir)
	}
	return m.try
}

// state is what a machine's binfmt_misc shows.
type state struct {
	mounted   bool
	enabled   bool // as a whole
	inKernel  bool // or in a module that is loaded
	namespace bool // this process is in a user namespace other than the machine's
	own       bool // and so is this binfmt_misc

	handlers []Handler // those that go by magic, the newest first
}

// read reads the state of m's binfmt_misc.
func (m Machine) read() (*state, error) {
	fsys := m.files()
	s := &state{inKernel: true}
	if text, err := fs.ReadFile(fsys, "proc/filesystems"); err == nil {
		s.inKernel = slices.Contains(strings.Fields(string(text)), "binfmt_misc")
	}
	if text, err := fs.ReadFile(fsys, "proc/self/uid_map"); err == nil {
		s.namespace = strings.Join(strings.Fields(string(text)), " ") != "0 0 4294967295"
	}
	status, err := fs.ReadFile(fsys, path.Join(Dir[1:], "status"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, nil
	case err != nil:
		return nil, fmt.Errorf("reading the state of binfmt_misc: %w", err)
	}
	s.mounted, s.enabled = true, strings.TrimSpace(string(status)) == "enabled"
	if fi, err := fs.Stat(fsys, path.Join(Dir[1:], "register")); err == nil && s.namespace {
		owner, ok := fi.Sys().(*syscall.Stat_t)
		s.own = ok && owner.Uid != overflowID
	}
	s.handlers, err = readHandlers(fsys)
	return s, err
}

// readHandlers sorts the newest first, as the kernel asks them: it is the time
// of the file.
func readHandlers(fsys fs.FS) ([]Handler, error) {
	entries, err := fs.ReadDir(fsys, Dir[1:])
	if err != nil {
		return nil, fmt.Errorf("listing the handlers of binfmt_misc: %w", err)
	}
	type dated struct {
		Handler
		fs.FileInfo
	}
	var list []dated
	for _, e := range entries {
		if e.Name() == "register" || e.Name() == "status" {
			continue
		}
		text, err := fs.ReadFile(fsys, path.Join(Dir[1:], e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed just now
		}
		if err != nil {
			return nil, fmt.Errorf("reading a handler of binfmt_misc: %w", err)
		}
		h, err := parseHandler(e.Name(), string(text))
		if err != nil {
			return nil, err
		}
		fi, err := e.Info()
		if err == nil && h.Magic != nil {
			list = append(list, dated{h, fi})
		}
	}
	slices.SortStableFunc(list, func(a, b dated) int { return b.ModTime().Compare(a.ModTime()) })
	handlers := make([]Handler, len(list))
	for i, d := range list {
		handlers[i] = d.Handler
	}
	return handlers, nil
}

// serving is the handler that a's programs go to.
func (s *state) serving(a Arch) (Handler, bool) {
	for _, h := range s.handlers {
		if h.Enabled && h.serves(a) {
			return h, true
		}
	}
	return Handler{}, false
}

// FileKind is what lies at an emulator's path.
type FileKind string

// The kinds of files at an emulator's path.
const (
	FileMissing FileKind = "missing"
	FileStatic  FileKind = "static"
	FileDynamic FileKind = "dynamic" // it needs a loader and libraries, which containers lack
	FileForeign FileKind = "foreign" // a program of another architecture than this machine's
	FileOther   FileKind = "no program"
)

// kindOf looks at the file that an absolute path leads to.
func kindOf(fsys fs.FS, name string) FileKind {
	f, err := fsys.Open(strings.TrimPrefix(path.Clean(name), "/"))
	if err != nil {
		return FileMissing
	}
	defer f.Close() //nolint:errcheck // it was only read
	r, ok := f.(io.ReaderAt)
	if !ok {
		return FileOther
	}
	return kind(r)
}

func kind(r io.ReaderAt) FileKind {
	f, err := elf.NewFile(r)
	if err != nil || f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return FileOther
	}
	if a, known := host(); known && (f.Machine != a.machine || f.Class != a.class || f.Data != a.order) {
		return FileForeign
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return FileDynamic
		}
	}
	return FileStatic
}
