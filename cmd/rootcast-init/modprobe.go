package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/cmd/rootcast-init/cmdline"
	"github.com/rootcast/rootcast/cmd/rootcast-init/modules"
)

// modprobePath tells which program the kernel calls for a module that it wants
// itself, such as a file system's or a cipher's (Documentation/admin-guide/sysctl/kernel.rst).
const modprobePath = "/proc/sys/kernel/modprobe"

// answerKernel puts this program where the kernel looks for modprobe.
func answerKernel() error {
	text, err := os.ReadFile(modprobePath)
	if err != nil {
		return nil //nolint:nilerr // a kernel that calls nobody
	}
	name := strings.TrimSpace(string(text))
	if !path.IsAbs(name) {
		return nil // switched off
	}
	if _, err := os.Lstat(name); err == nil {
		return nil // there is one, or this is not the first attempt
	}
	if err := os.MkdirAll(path.Dir(name), 0o755); err != nil {
		return fmt.Errorf("answering the kernel's requests for modules: %w", err)
	}
	if err := os.Symlink("/init", name); err != nil {
		return fmt.Errorf("answering the kernel's requests for modules: %w", err)
	}
	return nil
}

// modprobe loads the modules that the kernel asks for, by their names or aliases:
// modprobe -q -- NAME (kernel/module/kmod.c, call_modprobe).
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
