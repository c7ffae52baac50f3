package binfmt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// confDir is where systemd-binfmt takes an administrator's handlers from, each
// time that the machine boots.
const confDir = "/etc/binfmt.d"

// Installer registers emulators, and removes them.
type Installer struct {
	Root    string // where the machine's root directory is; "": /
	TempDir string // where a program that is tried lies for a moment; "": the system's

	QEMUPath   string // the directory of the emulators; "": /usr/bin and /usr/local/bin
	QEMUSuffix string // what follows qemu-ARCH in their names; "": -static or nothing
	Image      fs.FS  // take them out of this root of an image; nil: the machine's are used

	Persistent bool // register them at each boot, by systemd-binfmt
	Force      bool // even where the programs run already

	kernel kernel  // nil: this machine's
	try    tryFunc // nil: really
}

// Installed is how an architecture's programs run after an installation.
type Installed struct {
	Handler     string // "": natively
	Interpreter string
	Changed     bool // something was registered
	Persistent  bool // a file in /etc/binfmt.d says so
	Mounted     bool // binfmt_misc was not mounted before
	Alone       bool // for this user namespace, not for the machine
}

func (in Installer) machine() Machine {
	m := Machine{TempDir: in.TempDir, try: in.try}
	if in.Root != "" {
		m.Files = os.DirFS(in.Root)
	}
	return m
}

func (in Installer) rooted(name string) string { return filepath.Join("/", in.Root, name) }

func (in Installer) change() kernel {
	if in.kernel == nil {
		return linux{}
	}
	return in.kernel
}

// Install makes programs of a run, by an emulator registered as
// rootcast-qemu-ARCH. Where they run already it registers nothing, unless it is
// forced to; a handler of somebody else stays, and rootcast's, being newer, is
// asked first.
func (in Installer) Install(ctx context.Context, a Arch) (Installed, error) {
	m := in.machine()
	s, err := m.read()
	if err != nil {
		return Installed{}, err
	}
	if !in.Force {
		err := m.check(ctx, s, a)
		if err == nil {
			return in.keep(s, a)
		}
		var problem *Problem
		if !errors.As(err, &problem) {
			return Installed{}, err
		}
	}
	h := Handler{Name: ownPrefix + a.QEMU, Enabled: true, Magic: a.magic(), Mask: a.mask()}
	if h.Interpreter, err = in.emulator(ctx, a); err != nil {
		return Installed{}, err
	}
	done := Installed{Handler: h.Name, Interpreter: h.Interpreter, Changed: true, Mounted: !s.mounted}
	if s, err = in.prepare(s, a); err != nil {
		return Installed{}, err
	}
	done.Alone = s.own
	if h, err = in.replace(ctx, s, a, h); err != nil {
		return Installed{}, err
	}
	done.Persistent, err = in.persist(a, h)
	return done, err
}

// keep leaves the handler that serves a, and makes it stay if it is rootcast's.
func (in Installer) keep(s *state, a Arch) (done Installed, err error) {
	h, ok := s.serving(a)
	if !ok {
		return Installed{}, nil
	}
	done = Installed{Handler: h.Name, Interpreter: h.Interpreter, Alone: s.own}
	if h.Name == ownPrefix+a.QEMU {
		done.Persistent, err = in.persist(a, h)
	}
	return done, err
}

// prepare mounts binfmt_misc and switches it on.
func (in Installer) prepare(s *state, a Arch) (*state, error) {
	if !s.mounted {
		if err := in.change().mount(); err != nil {
			return nil, in.denied(a, "mounting binfmt_misc", err)
		}
		var err error
		if s, err = in.machine().read(); err != nil {
			return nil, err
		}
	}
	if !s.enabled {
		if err := in.change().write("status", switchOn); err != nil {
			return nil, in.denied(a, "switching binfmt_misc on", err)
		}
	}
	return s, nil
}

// replace registers h in place of rootcast's former handler, which stays if h
// does not work.
func (in Installer) replace(ctx context.Context, s *state, a Arch, h Handler) (_ Handler, err error) {
	i := slices.IndexFunc(s.handlers, func(old Handler) bool { return old.Name == h.Name })
	if i >= 0 {
		old := s.handlers[i]
		if err := in.change().write(h.Name, removeIt); err != nil {
			return h, in.denied(a, "removing the former handler "+h.Name, err)
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, in.register(a, old))
			}
		}()
	}
	// P goes with QEMU 6.0 and Linux 5.12, and with what distributions have patched.
	for _, h.Flags = range []string{"PF", "F"} {
		if err := in.register(a, h); err != nil {
			return h, err
		}
		err := in.works(ctx, a, h)
		if err == nil {
			return h, nil
		}
		if rerr := in.change().write(h.Name, removeIt); rerr != nil {
			return h, errors.Join(err, rerr)
		}
		if !errors.Is(err, errShifted) {
			return h, err
		}
	}
	return h, explainTry(a, h, errShifted)
}

func (in Installer) register(a Arch, h Handler) error {
	rule, err := h.rule()
	if err != nil {
		return fmt.Errorf("registering the emulator for %s programs: %w", a.Name, err)
	}
	return in.denied(a, "registering "+h.Interpreter, in.change().write("register", rule))
}

// works tries h after it was registered.
func (in Installer) works(ctx context.Context, a Arch, h Handler) error {
	try := in.machine().trier()
	if try == nil {
		return nil
	}
	err := try(ctx, a, "")
	if err == nil || ctx.Err() != nil || errors.Is(err, errShifted) {
		return err
	}
	return explainTry(a, h, err)
}

// persist writes the file by which systemd-binfmt registers h at each boot.
func (in Installer) persist(a Arch, h Handler) (bool, error) {
	name := in.rooted(confOf(a))
	text, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("reading %s: %w", confOf(a), reason(err))
	}
	if !in.Persistent && text == nil {
		return false, nil
	}
	rule, err := h.rule()
	if err != nil {
		return false, err
	}
	want := "# Written by rootcast binfmt install; see binfmt.d(5).\n" + rule + "\n"
	if want == string(text) {
		return true, nil
	}
	if err := replaceFile(name, strings.NewReader(want), 0o644, nil); err != nil {
		return false, in.denied(a, "writing "+confOf(a), err)
	}
	return true, nil
}

func confOf(a Arch) string { return filepath.Join(confDir, ownPrefix+a.QEMU+".conf") }

// denied explains why something could not be done for a; nil stays nil.
func (in Installer) denied(a Arch, doing string, err error) error {
	return in.explain(doing, "rootcast binfmt install "+a.Name, err)
}

// explain says what the machine or its kernel does not permit, and who could
// run the command with success.
func (in Installer) explain(doing, command string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENODEV):
		return fmt.Errorf("%s: the kernel has no binfmt_misc; as root: modprobe binfmt_misc (CONFIG_BINFMT_MISC)", doing)
	case !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.EACCES) && !errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%s: %w", doing, err)
	case os.Geteuid() != 0:
		return fmt.Errorf("%s is root's business: %w; run: sudo %s", doing, reason(err), command)
	}
	advice := "as root on the machine itself, outside of any container: " + command
	if s, rerr := in.machine().read(); rerr == nil && s.namespace && s.mounted {
		advice += "; or, for this user namespace alone and from Linux 6.7 on: mount -t binfmt_misc binfmt_misc " + Dir
	}
	return fmt.Errorf("%s is not permitted here, even to root: %w; %s", doing, reason(err), advice)
}
