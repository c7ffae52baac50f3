package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/cmd/rootcast-init/cmdline"
	"github.com/rootcast/rootcast/cmd/rootcast-init/modules"
)

// modprobe loads a module that the kernel itself asks for, such as a file
// system's or a cipher's: it calls /sbin/modprobe -q -- NAME (kernel/module/kmod.c,
// call_modprobe), which in the initrd is this program.
func modprobe(ctx context.Context, args []string) error {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return fmt.Errorf("reading the kernel's command line: %w", err)
	}
	options, _ := cmdline.Parse(string(line))
	quiet := func(string, ...any) {}
	l, err := modules.New(modules.Options{
		Dir: modulesDir(), Sys: "/sys", Params: options.Params, Blacklist: options.Blacklist, Log: quiet, Warn: quiet,
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range args {
		if !strings.HasPrefix(name, "-") {
			errs = append(errs, l.Load(ctx, name))
		}
	}
	return errors.Join(errs...)
}

// modulesDir is where the running kernel's modules are.
func modulesDir() string { return "/lib/modules/" + release() }

// release is the running kernel's version: "" where it does not tell.
func release() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Release[:])
}
