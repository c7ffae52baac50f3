package modules

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/convert/kmod"
)

// Options says what a loader works with.
type Options struct {
	Dir       string            // of the modules: /lib/modules/VERSION
	Sys       string            // where sysfs is mounted
	Params    map[string]string // module → its parameters, in the form that the kernel takes them
	Blacklist []string          // modules that are not loaded, whoever asks
	Diskless  bool              // no disk is waited for: drivers of disks are loaded meanwhile
	Log       func(format string, args ...any)
	Warn      func(format string, args ...any) // what the person at the console should know
}

// Loader loads modules. It may be used by several goroutines.
type Loader struct {
	o      Options
	set    *kmod.Set
	kernel kernel

	mu       sync.Mutex
	attempts map[string]*attempt // by the module's name
	loaded   []string
	seen     map[string]bool // modaliases that were looked up
}

// attempt is the loading of one module, which several may wait for.
type attempt struct {
	over chan struct{} // closed once err is set
	err  error
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
	return &Loader{o: o, set: set, kernel: linux{}, attempts: map[string]*attempt{}, seen: map[string]bool{}}, nil
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
	failed := map[string]error{}
	for _, m := range modules {
		err := firstOf(failed, m.Deps)
		if err == nil {
			err = l.loadOne(ctx, m)
		}
		if err != nil {
			failed[m.Name] = err
			l.o.Log("loading %s: %v", m.Name, err)
		}
	}
	if err := failed[want.Name]; err != nil {
		return fmt.Errorf("loading module %s: %w", want.Name, err)
	}
	return nil
}

// firstOf returns why the first of the names failed.
func firstOf(failed map[string]error, names []string) error {
	for _, name := range names {
		if err := failed[name]; err != nil {
			return err
		}
	}
	return nil
}

var errBlacklisted = errors.New("the kernel command line says not to load it")

// How long a driver may take to look for its hardware before the others go on
// without it, and when that is first said.
const (
	patience = 60 * time.Second
	sayEvery = 10 * time.Second
)

// loadOne loads a module, or waits for who does.
func (l *Loader) loadOne(ctx context.Context, m kmod.Module) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	a, begun := l.attempts[m.Name]
	if !begun {
		a = &attempt{over: make(chan struct{})}
		l.attempts[m.Name] = a
		// Nobody can stop the kernel once it has the module: this goes on by itself.
		go func() {
			defer close(a.over)
			began := time.Now()
			if a.err = l.try(m); a.err == nil {
				l.o.Log("loaded %s in %s", m.Name, time.Since(began).Round(time.Millisecond))
				l.mu.Lock()
				defer l.mu.Unlock()
				l.loaded = append(l.loaded, m.Name)
			}
		}()
	}
	l.mu.Unlock()
	return l.await(ctx, m.Name, a)
}

// await returns how the attempt went.
func (l *Loader) await(ctx context.Context, name string, a *attempt) error {
	tick := time.NewTicker(sayEvery)
	defer tick.Stop()
	for waited := sayEvery; ; waited += sayEvery {
		select {
		case <-a.over:
			return a.err
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if waited >= patience {
			return fmt.Errorf("%s: its driver is still busy after %s: going on without it; if it hangs, rd.driver.blacklist=%s leaves it out", name, waited, name)
		}
		l.o.Warn("waiting for the driver %s, for %s now", name, waited)
	}
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

// count is how many modules were loaded.
func (l *Loader) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.loaded)
}

// loadedSince lists the modules that were loaded after the first n.
func (l *Loader) loadedSince(n int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.loaded[n:])
}

// linux is the running kernel.
type linux struct{}

func (linux) load(path, params string) (err error) {
	params = strings.TrimSpace(params)
	if !strings.HasSuffix(path, ".ko") { // not every kernel decompresses by itself
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if data, err = kmod.Decompress(path, data); err != nil {
			return err
		}
		return unix.InitModule(data, params)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return unix.FinitModule(int(f.Fd()), params, 0)
}
