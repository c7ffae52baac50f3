package main

import (
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/rootcast/rootcast/build"
)

// env is what every command shares: the standard streams, how much to say, and
// the store, opened when it is first needed and closed once.
type env struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer

	// Flags may stand before or after the command's name, so each is held
	// twice and the later place wins.
	global, local commonOptions

	store *build.Store
}

// commonOptions holds the flags that every command takes.
type commonOptions struct {
	quiet, verbose        bool
	root, runRoot, driver string
	driverOptions         cli.StringSlice
}

func (o *commonOptions) flags() []cli.Flag {
	const category = "Everywhere:"
	return []cli.Flag{
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print the result and errors, no progress", Destination: &o.quiet, Category: category, DisableDefaultText: true},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "print what the libraries beneath do", Destination: &o.verbose, Category: category, DisableDefaultText: true},
		&cli.StringFlag{Name: "root", Usage: "keep images in `DIR` (default: the user's containers/storage)", Destination: &o.root, Category: category},
		&cli.StringFlag{Name: "runroot", Usage: "keep the store's run-time state in `DIR`", Destination: &o.runRoot, Category: category},
		&cli.StringFlag{Name: "storage-driver", Usage: "storage `DRIVER`: overlay or vfs", Destination: &o.driver, Category: category},
		&cli.StringSliceFlag{Name: "storage-opt", Usage: "storage driver `OPTION`; may be repeated", Destination: &o.driverOptions, Category: category},
	}
}

func (e *env) globalFlags() []cli.Flag { return e.global.flags() }
func (e *env) commonFlags() []cli.Flag { return e.local.flags() }

func (e *env) isQuiet() bool   { return e.global.quiet || e.local.quiet }
func (e *env) isVerbose() bool { return e.global.verbose || e.local.verbose }

// storeOptions is what --root and its kin say.
func (e *env) storeOptions() build.StoreOptions {
	return build.StoreOptions{
		Root:          either(e.local.root, e.global.root),
		RunRoot:       either(e.local.runRoot, e.global.runRoot),
		Driver:        either(e.local.driver, e.global.driver),
		DriverOptions: append(e.global.driverOptions.Value(), e.local.driverOptions.Value()...),

		RegistriesConf: registriesConf(),
	}
}

// openStore returns the local image store. An ordinary user's process is
// started anew in a user namespace first, and this call does not return then.
func (e *env) openStore() (*build.Store, error) {
	if e.store != nil {
		return e.store, nil
	}
	if err := build.EnterUserNamespace(); err != nil {
		return nil, err
	}
	s, err := build.OpenStore(e.storeOptions())
	if err != nil {
		return nil, err
	}
	e.store = s
	return s, nil
}

// storePlace is where the local store is, "" if there is none that this process
// can use as it is; none is made.
func (e *env) storePlace() string {
	if e.store == nil {
		s, ok := build.OpenStoreIfAny(e.storeOptions())
		if !ok {
			return ""
		}
		e.store = s
	}
	return e.store.Place()
}

// close releases the store; each command must be done with it.
func (e *env) close() error {
	if e.store == nil {
		return nil
	}
	err := e.store.Close()
	e.store = nil
	return err
}

// say prints a line for people unless -q was given.
func (e *env) say(format string, args ...any) {
	if !e.isQuiet() {
		fmt.Fprintf(e.stderr, format+"\n", args...)
	}
}

// reportWriter is where libraries may write progress for people.
func (e *env) reportWriter() io.Writer {
	if e.isQuiet() {
		return io.Discard
	}
	return e.stderr
}

// stderrIsTerminal tells whether a progress bar would be seen as one.
func (e *env) stderrIsTerminal() bool {
	f, ok := e.stderr.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
