package binfmt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Status is what a machine can run, and how.
type Status struct {
	Mounted       bool         `json:"mounted"`       // binfmt_misc
	Enabled       bool         `json:"enabled"`       // as a whole
	UserNamespace bool         `json:"userNamespace"` // it is a user namespace's own, not the machine's
	Architectures []ArchStatus `json:"architectures"`
}

// ArchStatus is what a machine does with one architecture's programs.
type ArchStatus struct {
	Architecture string   `json:"architecture"`
	Runs         bool     `json:"runs"`
	Native       bool     `json:"native"` // without an emulator
	Handler      string   `json:"handler,omitempty"`
	Problem      *Problem `json:"problem,omitempty"` // why its programs do not run

	// Handlers are those that take its programs, the newest first, and those that
	// by their names should.
	Handlers []HandlerStatus `json:"handlers"`
}

// HandlerStatus is a handler and what is right about it.
type HandlerStatus struct {
	Handler
	Own        bool     `json:"own"`        // rootcast registered it
	Fixed      bool     `json:"fixed"`      // flag F
	MagicRight bool     `json:"magicRight"` // magic and mask take all programs of the architecture and no other's
	File       FileKind `json:"file"`       // what is at the interpreter's path
}

// Problem is why programs of an architecture do not run, and what to do about it.
type Problem struct {
	What   string `json:"what"`
	Remedy string `json:"remedy,omitempty"` // a command, mostly
}

func (p *Problem) Error() string {
	if p.Remedy == "" {
		return p.What
	}
	return p.What + "; " + p.Remedy
}

// Status looks at some architectures, or at all.
func (m Machine) Status(ctx context.Context, archs ...Arch) (*Status, error) {
	if len(archs) == 0 {
		archs = Architectures()
	}
	s, err := m.read()
	if err != nil {
		return nil, err
	}
	status := &Status{Mounted: s.mounted, Enabled: s.enabled, UserNamespace: s.own}
	for _, a := range archs {
		one, err := m.archStatus(ctx, s, a)
		if err != nil {
			return nil, err
		}
		status.Architectures = append(status.Architectures, *one)
	}
	return status, nil
}

func (m Machine) archStatus(ctx context.Context, s *state, a Arch) (*ArchStatus, error) {
	one := &ArchStatus{Architecture: a.Name, Handlers: []HandlerStatus{}}
	for _, h := range s.handlers {
		if h.serves(a) || h.isFor(a) {
			one.Handlers = append(one.Handlers, HandlerStatus{
				Handler: h, Own: h.Name == ownPrefix+a.QEMU, Fixed: h.fixed(), MagicRight: h.takesAll(a), File: kindOf(m.files(), h.Interpreter),
			})
		}
	}
	err := m.check(ctx, s, a)
	switch {
	case err == nil:
		one.Runs = true
		h, emulated := s.serving(a)
		one.Native, one.Handler = !emulated && (s.mounted || a.IsNative()), h.Name
	case !errors.As(err, &one.Problem):
		return nil, err
	}
	return one, nil
}

// Check returns a [*Problem] where m does not run programs of a in a container,
// by itself or by an emulator. It takes well below a second.
func (m Machine) Check(ctx context.Context, a Arch) error {
	s, err := m.read()
	if err != nil {
		return err
	}
	return m.check(ctx, s, a)
}

// check goes by what happens to a program that is tried, where one can be, and
// explains that by what binfmt_misc shows.
func (m Machine) check(ctx context.Context, s *state, a Arch) error {
	h, emulated := s.serving(a)
	if !emulated && a.IsNative() && (m.trier() == nil || a.Name != "386") {
		return nil
	}
	if m.trier() == nil {
		return asError(s.explain(a, m.files()))
	}
	err := m.trier()(ctx, a, "")
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	problem := s.explain(a, m.files())
	switch {
	case err == nil && !emulated: // by itself, or by handlers that cannot be seen from here
		return nil
	case err == nil || problem != nil: // it may have run where the emulator could be found, outside of any container
		return asError(problem)
	}
	return explainTry(a, h, err)
}

func asError(p *Problem) error {
	if p == nil {
		return nil
	}
	return p
}

// install is the remedy for most that can be wrong.
func install(a Arch) string { return "as root: rootcast binfmt install " + a.Name }

// explain finds in s what keeps a's programs from running in containers, nil if
// nothing does.
func (s *state) explain(a Arch, fsys fs.FS) *Problem {
	cannot := fmt.Sprintf("this machine cannot run %s programs: ", a.Name)
	switch {
	case !s.mounted && !s.inKernel:
		return &Problem{
			cannot + "its kernel has no binfmt_misc, or has not loaded it",
			"as root: modprobe binfmt_misc && rootcast binfmt install " + a.Name + " (the kernel needs CONFIG_BINFMT_MISC)",
		}
	case !s.mounted:
		return &Problem{cannot + "binfmt_misc, which knows the emulators, is not mounted at " + Dir, install(a)}
	case !s.enabled:
		return &Problem{cannot + "binfmt_misc is switched off as a whole", "as root: echo 1 >" + Dir + "/status"}
	}
	h, ok := s.serving(a)
	if !ok {
		return s.explainNone(a, cannot)
	}
	kind := kindOf(fsys, h.Interpreter)
	who := fmt.Sprintf("the emulator %s of the handler %s ", h.Interpreter, h.Name)
	switch {
	case !h.takesAll(a):
		return &Problem{fmt.Sprintf("the magic and mask of the handler %s do not take all %s programs, or also others", h.Name, a.Name), install(a)}
	case kind == FileMissing && !h.fixed():
		return &Problem{who + "does not exist", install(a)}
	case !h.fixed():
		return &Problem{fmt.Sprintf("the handler %s lacks the flag F, so that its emulator %s would have to be in every container", h.Name, h.Interpreter), install(a)}
	case kind == FileDynamic:
		return &Problem{who + "is not a static program, and containers have not what it needs", install(a)}
	}
	return nil
}

// explainNone says why no handler takes a's programs.
func (s *state) explainNone(a Arch, cannot string) *Problem {
	for _, h := range s.handlers {
		switch {
		case h.serves(a):
			return &Problem{fmt.Sprintf("the handler %s for %s programs is switched off", h.Name, a.Name), fmt.Sprintf("as root: echo 1 >%s/%s", Dir, h.Name)}
		case h.isFor(a):
			return &Problem{fmt.Sprintf("the magic and mask of the handler %s do not match %s programs", h.Name, a.Name), install(a)}
		}
	}
	if s.own {
		return &Problem{cannot + "binfmt_misc has no handler for them in this user namespace, which has its own", "rootcast binfmt install " + a.Name}
	}
	return &Problem{cannot + "binfmt_misc has no handler for them", install(a)}
}

// explainTry explains why a program did not run though all seems to be right.
func explainTry(a Arch, h Handler, err error) *Problem {
	if h.Name == "" { // 386 on amd64
		return &Problem{fmt.Sprintf("this machine cannot run %s programs: %v", a.Name, reason(err)), install(a)}
	}
	who := fmt.Sprintf("the emulator %s of the handler %s ", h.Interpreter, h.Name)
	switch {
	case errors.Is(err, errShifted):
		return &Problem{who + "does not understand the flag P that it is registered with: arguments arrive one place too late", "as root: rootcast binfmt install --force " + a.Name}
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return &Problem{fmt.Sprintf("%smay not be run, or TMPDIR is on a file system mounted noexec: %v", who, reason(err)), "chmod +x " + h.Interpreter + ", or TMPDIR=/var/tmp"}
	}
	return &Problem{fmt.Sprintf("%sdoes not run %s programs: %v", who, a.Name, reason(err)), "as root: rootcast binfmt install --force " + a.Name + ", with a newer QEMU"}
}

// reason leaves out of err what was started where.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
