package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/rootcast/rootcast/build/binfmt"
)

const binfmtDescription = `Programs of another architecture run by an emulator, QEMU's user mode, that the
kernel starts for them: RUN steps of build --platform and the packages' scripts
of bootstrap --platform need that; convert does not. These commands show whether
it works, set it up and take it away again.

   rootcast binfmt status
   sudo rootcast binfmt install arm64 ppc64le
   sudo rootcast binfmt remove

Emulators belong to the machine: what is installed holds in all its containers,
and in a container it can mostly not be installed. From Linux 6.7 on, a user
namespace may mount a binfmt_misc of its own, which holds in it alone and hides
the machine's.`

const binfmtStatusDescription = `Shows for each architecture whether its programs run here, natively or by which
handler of binfmt_misc; a program of a few instructions is really run, as in a
container. Of a handler it shows the flags (F is needed, or else the emulator
would have to be in every container), the emulator and what kind of file it is,
and below the table whatever is wrong, with the command that mends it.

   rootcast binfmt status
   rootcast binfmt status --json | jq -r '.architectures[] | select(.runs) | .architecture'
   rootcast binfmt status arm64 && rootcast build --platform linux/arm64 .

With ARCH, the exit code is 1 if programs of one of them do not run.`

const binfmtInstallDescription = `Registers emulators with the kernel, with the flag F, and mounts binfmt_misc if
need be. Without ARCH, every architecture that an emulator is found for gets it.
Nothing changes for architectures whose programs run already. Until the next
boot, unless --persistent has systemd-binfmt do the same at each boot. Prints the
handlers by which the programs run.

   sudo apt-get install qemu-user-static
   sudo rootcast binfmt install arm64
   sudo rootcast binfmt install --persistent arm64 ppc64le
   sudo rootcast binfmt install --qemu-path /usr/bin --qemu-suffix -static ppc64le
   sudo rootcast binfmt install --from-image docker.io/tonistiigi/binfmt riscv64

Emulators must be static programs. Those of --from-image are looked for in the
image's /usr/bin and /usr/local/bin, or in its --qemu-path, and put into
/usr/local/libexec/rootcast. Handlers are called rootcast-qemu-…; others are left
as they are, and rootcast's are asked first.`

const binfmtRemoveDescription = `Removes what rootcast binfmt install has set up: handlers, the files in
/etc/binfmt.d, and emulators out of images; all, or those for ARCH. A handler of
somebody else is removed if it is named itself; it comes back when the machine
boots, if its package says so. Prints what it removed.

   sudo rootcast binfmt remove
   sudo rootcast binfmt remove arm64
   sudo rootcast binfmt remove qemu-aarch64`

func newBinfmtCommand(e *env) *cli.Command {
	status := &binfmtStatus{e: e}
	return &cli.Command{
		Name:        "binfmt",
		Usage:       "let this machine run programs of other architectures",
		Description: binfmtDescription,
		Subcommands: []*cli.Command{newBinfmtStatusCommand(status), newBinfmtInstallCommand(e), newBinfmtRemoveCommand(e)},
		Action: func(c *cli.Context) error {
			if name := c.Args().First(); name != "" {
				return usageErrorf("binfmt has no command %q, but status, install and remove", name)
			}
			return action(e, "", 0, 0, status.run)(c)
		},
	}
}

// parseArchs finds the architectures that arguments name.
func parseArchs(args []string) ([]binfmt.Arch, error) {
	var list []binfmt.Arch
	for _, name := range args {
		a, ok := binfmt.Find(name)
		if !ok {
			return nil, usageErrorf("architecture %q is not one of %s", name, strings.Join(binfmt.Names(), ", "))
		}
		list = append(list, a)
	}
	return list, nil
}

// binfmtStatus is what the flags of rootcast binfmt status fill.
type binfmtStatus struct {
	e    *env
	json bool
}

func newBinfmtStatusCommand(c *binfmtStatus) *cli.Command {
	return &cli.Command{
		Name:        "status",
		Usage:       "show which programs run here, and how",
		ArgsUsage:   "[ARCH...]",
		Description: binfmtStatusDescription,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "print all of it for programs", Destination: &c.json, DisableDefaultText: true},
		},
		Action: action(c.e, "[ARCH...]", 0, -1, c.run),
	}
}

func (c *binfmtStatus) run(ctx context.Context, args []string) error {
	archs, err := parseArchs(args)
	if err != nil {
		return err
	}
	status, err := binfmt.Machine{TempDir: tempDir()}.Status(ctx, archs...)
	if err != nil {
		return err
	}
	if c.json {
		err = printJSON(c.e.stdout, status)
	} else {
		err = writeBinfmtStatus(c.e.stdout, status, len(archs) == 0)
	}
	if err != nil || len(archs) == 0 {
		return err
	}
	var problems []error
	for _, one := range status.Architectures {
		if one.Problem != nil {
			problems = append(problems, one.Problem)
		}
	}
	return errors.Join(problems...)
}

// writeBinfmtStatus writes a line for each architecture, and below them what is
// wrong, if it is not said elsewhere.
func writeBinfmtStatus(w io.Writer, status *binfmt.Status, problems bool) error {
	if status.UserNamespace {
		fmt.Fprint(w, "The handlers are this user namespace's own, not the machine's.\n\n")
	}
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "ARCHITECTURE\tRUNS\tHANDLER\tFLAGS\tMAGIC\tEMULATOR")
	for _, one := range status.Architectures {
		runs := "no"
		switch {
		case one.Native:
			runs = "natively"
		case one.Runs:
			runs = "emulated"
		}
		if len(one.Handlers) == 0 {
			fmt.Fprintf(table, "%s\t%s\t\t\t\t\n", one.Architecture, runs)
		}
		for i, h := range one.Handlers {
			name := one.Architecture
			if i > 0 {
				name, runs = "", ""
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s (%s)\n", name, runs, h.Name+offMark(h), h.Flags, magicMark(h), h.Interpreter, h.File)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil { // empty cells are padded
			return err
		}
	}
	lead := "\n"
	for _, one := range status.Architectures {
		if !problems || one.Problem == nil {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s%s: %v\n", lead, one.Architecture, one.Problem); err != nil {
			return err
		}
		lead = ""
	}
	return nil
}

func offMark(h binfmt.HandlerStatus) string {
	if !h.Enabled {
		return " (off)"
	}
	return ""
}

func magicMark(h binfmt.HandlerStatus) string {
	if !h.MagicRight {
		return "wrong"
	}
	return "right"
}

// binfmtInstall is what the flags of rootcast binfmt install fill.
type binfmtInstall struct {
	e         *env
	registry  registryFlags
	installer binfmt.Installer
	image     string
}

func newBinfmtInstallCommand(e *env) *cli.Command {
	c := &binfmtInstall{e: e}
	in := &c.installer
	return &cli.Command{
		Name:        "install",
		Usage:       "register emulators with the kernel",
		ArgsUsage:   "[ARCH...]",
		Description: binfmtInstallDescription,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "qemu-path", Usage: "look for emulators in `DIR` (default: /usr/bin, /usr/local/bin)", Destination: &in.QEMUPath},
			&cli.StringFlag{Name: "qemu-suffix", Usage: "emulators are called qemu-ARCH`SUFFIX` (default: -static, or nothing)", Destination: &in.QEMUSuffix},
			&cli.StringFlag{Name: "from-image", Usage: "take emulators out of the image `REF` of the store, a registry or a file", Destination: &c.image},
			&cli.BoolFlag{Name: "persistent", Usage: "write /etc/binfmt.d/rootcast-qemu-….conf, for systemd-binfmt at each boot", Destination: &in.Persistent, DisableDefaultText: true},
			&cli.BoolFlag{Name: "force", Usage: "register an emulator even where the programs run already", Destination: &in.Force, DisableDefaultText: true},
		}, c.registry.flags()...),
		Action: action(e, "[ARCH...]", 0, -1, c.run),
	}
}

func (c *binfmtInstall) run(ctx context.Context, args []string) error {
	archs, err := parseArchs(args)
	if err != nil {
		return err
	}
	if p := c.installer.QEMUPath; p != "" && !strings.HasPrefix(p, "/") {
		return usageErrorf("--qemu-path %s: the directory must begin with /", p)
	}
	in := c.installer
	in.TempDir = tempDir()
	if c.image != "" {
		reg, err := c.registry.registry()
		if err != nil {
			return err
		}
		src, err := c.e.openSource(ctx, c.image, reg, "")
		if err != nil {
			return err
		}
		defer src.Close() //nolint:errcheck // its files were only read
		in.Image = src.tree
	}
	if len(archs) == 0 {
		return c.installAny(ctx, in)
	}
	for _, a := range archs {
		if err := c.install(ctx, in, a); err != nil {
			return err
		}
	}
	return nil
}

// installAny installs what there is an emulator for.
func (c *binfmtInstall) installAny(ctx context.Context, in binfmt.Installer) error {
	var missing error
	emulated := 0
	for _, a := range binfmt.Architectures() {
		if in.Force && a.IsNative() {
			continue
		}
		err := c.install(ctx, in, a)
		switch {
		case errors.Is(err, binfmt.ErrNoEmulator):
			missing = err
			c.e.say("%v", err)
		case err != nil:
			return err
		case !a.IsNative():
			emulated++
		}
	}
	if emulated == 0 {
		return missing
	}
	return nil
}

func (c *binfmtInstall) install(ctx context.Context, in binfmt.Installer, a binfmt.Arch) error {
	done, err := in.Install(ctx, a)
	if err != nil {
		return err
	}
	if done.Handler == "" {
		c.e.say("%s programs run here natively", a.Name)
		return nil
	}
	c.tell(a, done)
	_, err = fmt.Fprintln(c.e.stdout, done.Handler)
	return err
}

// tell says for people what was done.
func (c *binfmtInstall) tell(a binfmt.Arch, done binfmt.Installed) {
	if done.Mounted {
		c.e.say("mounted binfmt_misc at %s", binfmt.Dir)
	}
	now, where, until := "run already", "", ""
	if done.Changed {
		now, until = "run now", ", until the next boot (see --persistent)"
	}
	switch {
	case done.Alone:
		where, until = " in this user namespace, though not on the machine", ""
	case done.Persistent:
		until = ", also after the next boot"
	case !done.Changed && c.installer.Persistent:
		until = "; who registered it has to see to the next boot, or add --force for a handler of rootcast's"
	}
	c.e.say("%s programs %s%s, by %s%s", a.Name, now, where, done.Interpreter, until)
}

func newBinfmtRemoveCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:        "remove",
		Usage:       "remove what install has registered",
		ArgsUsage:   "[ARCH|HANDLER...]",
		Description: binfmtRemoveDescription,
		Action: action(e, "[ARCH|HANDLER...]", 0, -1, func(_ context.Context, args []string) error {
			removed, err := binfmt.Installer{}.Remove(args...)
			for _, name := range removed {
				if _, perr := fmt.Fprintln(e.stdout, name); err == nil {
					err = perr
				}
			}
			return err
		}),
	}
}
