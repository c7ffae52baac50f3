package binfmt

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// computer is a root directory with a binfmt_misc that behaves as Linux's does,
// and what happens to programs that are tried on it.
type computer struct {
	t      *testing.T
	root   string
	denied error            // what changes of binfmt_misc meet
	broken map[string]error // what happens to programs that go to an emulator
}

var _ kernel = (*computer)(nil)

// newComputer has static emulators for the architectures of foreign.
func newComputer(t *testing.T, mounted bool) *computer {
	t.Helper()
	c := &computer{t: t, root: t.TempDir(), broken: map[string]error{}}
	c.put("proc/filesystems", "nodev\tproc\nnodev\tbinfmt_misc\n")
	c.put("proc/self/uid_map", "         0          0 4294967295\n")
	if err := os.MkdirAll(filepath.Join(c.root, Dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if mounted {
		if err := c.mount(); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *computer) machine() Machine { return Machine{Files: os.DirFS(c.root), try: c.try} }

func (c *computer) installer() Installer {
	return Installer{Root: c.root, kernel: c, try: c.try}
}

func (c *computer) put(name, text string) {
	c.t.Helper()
	name = filepath.Join(c.root, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
		c.t.Fatal(err)
	}
}

func (c *computer) has(name string) bool {
	_, err := os.Stat(filepath.Join(c.root, name))
	return err == nil
}

// emulators puts static programs there as emulators.
func (c *computer) emulators(names ...string) {
	c.t.Helper()
	for _, name := range names {
		c.put(name, static(c.t))
	}
}

func (c *computer) mount() error {
	if c.denied == nil {
		c.put(Dir+"/register", "")
		c.put(Dir+"/status", "enabled\n")
	}
	return c.denied
}

// write does what fs/binfmt_misc.c does.
func (c *computer) write(name, text string) error {
	file := filepath.Join(c.root, Dir, name)
	old, err := os.ReadFile(file)
	switch {
	case c.denied != nil:
		return &fs.PathError{Op: "open", Path: filepath.Join(Dir, name), Err: c.denied}
	case name == "register":
		return c.register(text)
	case err != nil:
		return err
	case text == removeIt:
		return os.Remove(file)
	case text == switchOn:
		return os.WriteFile(file, []byte(strings.Replace(string(old), "disabled", "enabled", 1)), 0o644)
	}
	return syscall.EINVAL
}

func (c *computer) register(rule string) error {
	f := strings.Split(rule, ":")
	if len(f) != 8 || f[0] != "" || f[2] != "M" {
		return syscall.EINVAL
	}
	if c.has(filepath.Join(Dir, f[1])) {
		return syscall.EEXIST
	}
	if strings.Contains(f[7], "F") && !c.has(f[6]) {
		return syscall.ENOENT
	}
	offset, err := strconv.Atoi(f[3])
	if err != nil {
		return syscall.EINVAL
	}
	c.put(filepath.Join(Dir, f[1]), fmt.Sprintf("enabled\ninterpreter %s\nflags: %s\noffset %d\nmagic %s\nmask %s\n",
		f[6], f[7], offset, strings.ReplaceAll(f[4], `\x`, ""), strings.ReplaceAll(f[5], `\x`, "")))
	return nil
}

// try runs a program as the kernel would in a container without any emulator.
func (c *computer) try(_ context.Context, a Arch, emulator string) error {
	if emulator != "" {
		if err := c.broken[strings.TrimPrefix(emulator, c.root)]; !errors.Is(err, errShifted) { // P is the kernel's
			return err
		}
		return nil
	}
	s, err := c.machine().read()
	if err != nil {
		return err
	}
	h, ok := s.serving(a)
	switch {
	case !ok || !s.enabled:
		return &fs.PathError{Op: "fork/exec", Path: "/program", Err: syscall.ENOEXEC}
	case !h.fixed() || kindOf(os.DirFS(c.root), h.Interpreter) == FileDynamic:
		return &fs.PathError{Op: "fork/exec", Path: "/program", Err: syscall.ENOENT}
	case errors.Is(c.broken[h.Interpreter], errShifted) && !strings.Contains(h.Flags, "P"):
		return nil
	}
	return c.broken[h.Interpreter]
}

// shown is what binfmt_misc shows of a handler for a.
func shown(a Arch, enabled, interpreter, flags string) string {
	return fmt.Sprintf("%s\ninterpreter %s\nflags: %s\noffset 0\nmagic %s\nmask %s\n", enabled, interpreter, flags,
		hex.EncodeToString(a.magic()), hex.EncodeToString(a.mask()))
}

// static is a static program of this machine; dynamic is one with a loader.
func static(t *testing.T) string {
	t.Helper()
	a, ok := host()
	if !ok {
		skip(t, "nothing is known of this machine's architecture")
	}
	return string(a.program())
}

func dynamic(t *testing.T) string {
	t.Helper()
	text := []byte(static(t))
	a, _ := host()
	const firstSegment = 64 // where the table of segments begins, in 64 bits
	a.byteOrder().PutUint32(text[firstSegment:], uint32(elf.PT_INTERP))
	if f, err := elf.NewFile(bytes.NewReader(text)); err != nil || f.Progs[0].Type != elf.PT_INTERP {
		t.Fatalf("no loader in it: %v", err)
	}
	return string(text)
}

// otherOrder is a's program with a head that says another order of bytes.
func otherOrder(a Arch) string {
	a.order = elf.ELFDATA2MSB
	if a.byteOrder() != binary.ByteOrder(binary.BigEndian) {
		panic("not the other order")
	}
	return string(a.program())
}
