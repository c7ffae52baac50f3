package modules

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/convert/kmod"
)

// Options says what a loader works with.
type Options struct {
	Dir       string            // of the modules: /lib/modules/VERSION
	Sys       string            // where sysfs is mounted
	Params    map[string]string // module → its parameters, in the form that the kernel takes them
	Blacklist []string          // modules that are not loaded, whoever asks
	Log       func(format string, args ...any)
}

// Loader loads modules.
type Loader struct {
	o      Options
	set    *kmod.Set
	kernel kernel
	done   map[string]error // name → how its loading went
	loaded []string
	seen   map[string]bool // modaliases that were looked up
}

// kernel is who takes modules.
type kernel interface {
	// load gives a module's file to the kernel.
	load(path, params string) error
}

// New returns a loader for the modules below o.Dir.
func New(o Options) (*Loader, error) {
	set, err := kmod.Read(os.DirFS(o.Dir), ".")
	if err != nil {
		return nil, fmt.Errorf("the modules of the kernel in %s: %w", o.Dir, err)
	}
	params := map[string]string{}
	for name, p := range o.Params {
		params[kmod.Name(name)] = p
	}
	o.Params = params
	return &Loader{o: o, set: set, kernel: linux{}, done: map[string]error{}, seen: map[string]bool{}}, nil
}

// Load loads modules, by name or alias, and what they need. One that is there
// already or built in is fine; one that fails keeps none of the others from being
// loaded.
func (l *Loader) Load(ctx context.Context, names ...string) error {
	var errs []error
	for _, name := range names {
		modules, missing := l.set.Closure(name)
		for _, m := range missing {
			errs = append(errs, fmt.Errorf("the initrd has no module %s: name it to convert by --add-module", m))
		}
		if m, ok := l.set.Lookup(name); ok {
			errs = append(errs, l.loadAll(ctx, m, modules))
		}
	}
	return errors.Join(errs...)
}

// loadAll loads what a module needs or softly wants, and it. Only what it cannot
// do without makes it fail (modprobe.d(5), softdep).
func (l *Loader) loadAll(ctx context.Context, want kmod.Module, modules []kmod.Module) error {
	for _, m := range modules {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := l.loadOne(m); err != nil {
			l.o.Log("loading %s: %v", m.Name, err)
		}
	}
	for _, name := range append(slices.Clone(want.Deps), want.Name) {
		if err := l.done[name]; err != nil {
			return fmt.Errorf("loading module %s: %w", want.Name, err)
		}
	}
	return nil
}

var errBlacklisted = errors.New("the kernel command line says not to load it")

func (l *Loader) loadOne(m kmod.Module) error {
	if err, tried := l.done[m.Name]; tried {
		return err
	}
	err := l.try(m)
	l.done[m.Name] = err
	if err == nil {
		l.loaded = append(l.loaded, m.Name)
	}
	return err
}

func (l *Loader) try(m kmod.Module) error {
	if slices.ContainsFunc(l.o.Blacklist, func(name string) bool { return kmod.Name(name) == m.Name }) {
		return errBlacklisted
	}
	err := l.kernel.load(filepath.Join(l.o.Dir, m.Path), l.o.Params[m.Name])
	switch {
	case errors.Is(err, unix.EEXIST):
		return nil
	case errors.Is(err, unix.ENOEXEC):
		return fmt.Errorf("%s: %w: it was built for another kernel; kernel and initrd must come from one rootimgdir", m.Name, err)
	case err != nil:
		return fmt.Errorf("%s: %w", m.Name, err)
	}
	return nil
}

// Loaded lists the modules that were loaded, in their order.
func (l *Loader) Loaded() []string { return slices.Clone(l.loaded) }

// linux is the running kernel.
type linux struct{}

func (linux) load(path, params string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return unix.FinitModule(int(f.Fd()), strings.TrimSpace(params), 0)
}
