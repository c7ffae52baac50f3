package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/rootcast/rootcast/build"
	"github.com/rootcast/rootcast/convert"
	"github.com/rootcast/rootcast/convert/netboot"
	"github.com/rootcast/rootcast/convert/pack"
	"github.com/rootcast/rootcast/convert/qemu"
)

const bootDescription = `Starts a node in QEMU from a rootimgdir, or from an image that is converted
for the purpose and thrown away afterwards. Nothing of the host is changed.

Without --expect this terminal is the node's serial console; Ctrl-A X leaves it.
With --expect the console runs along on stderr. The exit code is 0 as soon as
TEXT appears, and 1 when the machine stops or panics or the time runs out.

   rootcast boot /srv/boot/compute
   rootcast boot --ssh-port 2222 /srv/boot/compute         (then: ssh -p 2222 root@127.0.0.1)
   rootcast boot --expect login: --timeout 5m docker://registry.example/compute:1
   rootcast boot --arch arm64 --memory 4G --append systemd.unit=rescue.target localhost/compute:1

KVM is used if a test guest really came up with it, otherwise software
emulation, which runs nodes of every architecture.`

const (
	expectTimeout = 10 * time.Minute
	lastLines     = 20
	// By default; more bring no node to its login prompt sooner. An emulated one
	// has one: QEMU's emulation by several threads, on a host that is busy besides,
	// has been seen to corrupt a guest's memory.
	maxCPUs, emulatedCPUs = 4, 1
)

// bootCmd is what the flags of rootcast boot fill.
type bootCmd struct {
	e        *env
	registry registryFlags
	make     makeFlags

	arch, memory, append string
	cpus, sshPort        int
	accel, network       string
	expect               string
	timeout              time.Duration

	server rootServer // of what a netroot node fetches
}

func newBootCommand(e *env) *cli.Command {
	c := &bootCmd{e: e}
	flags := []cli.Flag{
		&cli.StringFlag{Name: "arch", Usage: "boot an image of `ARCH`: " + strings.Join(qemu.Architectures(), ", ") + " (default: what there is)", Destination: &c.arch},
		&cli.StringFlag{Name: "memory", Aliases: []string{"m"}, Usage: "`SIZE` such as 4G; a bare number is in MiB (default: what the node needs, at least 1G)", Destination: &c.memory},
		&cli.IntFlag{Name: "cpus", Usage: "`N` processors", DefaultText: "the host's, at most 4; 1 by software emulation", Destination: &c.cpus},
		&cli.StringFlag{Name: "append", Usage: "kernel `ARGUMENTS` after the node's own", Destination: &c.append},
		&cli.StringFlag{Name: "expect", Usage: "wait for `TEXT` on the console instead of showing it to a person", Destination: &c.expect},
		&cli.DurationFlag{Name: "timeout", Usage: "stop the machine after `TIME`", DefaultText: "10m with --expect, else never", Destination: &c.timeout},
		&cli.IntFlag{Name: "ssh-port", Usage: "let `PORT` of 127.0.0.1 lead to the node's port 22", Destination: &c.sshPort},
		&cli.StringFlag{Name: "network", Usage: "`KIND`: isolated, or user to let the node reach this host and beyond", DefaultText: "isolated; user for netroot, whose root this host serves", Destination: &c.network},
		&cli.StringFlag{Name: "accel", Usage: "run the node by `KIND`: auto, kvm or tcg (software emulation)", Value: "auto", Destination: &c.accel},
	}
	flags = append(flags, c.make.flags("take the image for `OS/ARCH[/VARIANT]` of an index")...)
	return &cli.Command{
		Name:        "boot",
		Usage:       "start a node in QEMU",
		ArgsUsage:   "DIR|IMAGE",
		Description: bootDescription,
		Flags:       append(flags, c.registry.flags()...),
		Action:      action(e, "DIR|IMAGE", 1, 1, c.run),
	}
}

func (c *bootCmd) run(ctx context.Context, args []string) (err error) {
	m, err := c.machine(ctx)
	if err != nil {
		return err
	}
	memory, err := parseMemory(c.memory)
	if err != nil {
		return err
	}
	dir := args[0]
	if !isRootimgdir(dir) {
		var remove func() error
		if dir, remove, err = c.convert(ctx, args[0]); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, remove()) }()
	} else if c.make.changed() {
		return usageErrorf("%s is made already; --platform, --kernel and how to pack go with an IMAGE", dir)
	}
	defer func() { err = errors.Join(err, c.server.close()) }()
	if err := c.load(ctx, &m, dir, memory); err != nil {
		return err
	}
	if err := c.accelerate(ctx, &m); err != nil {
		return err
	}
	if err := c.start(ctx, m); err != nil {
		return fmt.Errorf("booting %s: %w", args[0], err)
	}
	return nil
}

// machine is what the flags alone say, checked before any work is done.
func (c *bootCmd) machine(ctx context.Context) (qemu.Machine, error) {
	m := qemu.Machine{CPUs: c.cpus, SSHPort: c.sshPort, Network: qemu.Network(c.network), CommandLine: c.append}
	if c.arch != "" {
		name, err := qemu.ArchName(c.arch)
		if err != nil {
			return m, usageErrorf("--arch: %v", err)
		}
		c.arch = name
	}
	switch {
	case c.cpus < 0:
		return m, usageErrorf("--cpus %d: at least 1", c.cpus)
	case c.sshPort < 0 || c.sshPort > 65535:
		return m, usageErrorf("--ssh-port %d: ports are 1 to 65535", c.sshPort)
	case c.timeout < 0:
		return m, usageErrorf("--timeout %s: it cannot have run out before the start", c.timeout)
	case m.Network != "" && m.Network != qemu.Isolated && m.Network != qemu.User:
		return m, usageErrorf("--network %q: there are %s and %s", c.network, qemu.Isolated, qemu.User)
	case c.accel != "auto" && c.accel != string(qemu.KVM) && c.accel != string(qemu.TCG):
		return m, usageErrorf("--accel %q: there are auto, kvm and tcg", c.accel)
	}
	return m, checkPort(ctx, c.sshPort)
}

// checkPort tells early, and better than QEMU would, that a port is taken.
func checkPort(ctx context.Context, port int) error {
	if port == 0 {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("--ssh-port %d cannot be used: %w", port, err)
	}
	return l.Close()
}

// convert makes a rootimgdir of an image in a temporary place.
func (c *bootCmd) convert(ctx context.Context, name string) (dir string, remove func() error, err error) {
	if c.make.platform == "" && c.arch != "" {
		c.make.platform = "linux/" + c.arch
	}
	reg, err := c.registry.registry()
	if err != nil {
		return "", nil, err
	}
	if needsStore(name) || c.make.first.initrd == convert.InitrdDracut {
		// This may start the process anew, which must not leave a directory behind.
		if _, err := c.e.openStore(); err != nil {
			return "", nil, err
		}
	}
	dir, err = os.MkdirTemp(either(os.Getenv("TMPDIR"), "/var/tmp"), "rootcast-boot-")
	if err != nil {
		return "", nil, fmt.Errorf("making a directory for what is booted: %w", err)
	}
	temp := dir // the named results are gone by the time that it is removed
	remove = func() error { return os.RemoveAll(temp) }
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(temp))
		}
	}()
	o, err := c.make.options(c.e, dir)
	if err != nil {
		return "", nil, err
	}
	began := time.Now()
	made, err := c.e.convert(ctx, name, reg, wish{platform: c.make.platform, limit: c.make.limit}, o)
	if err != nil {
		return "", nil, err
	}
	c.e.sayConverted(made, time.Since(began))
	// A machine may run for days; the store is others' too.
	return dir, remove, c.e.close()
}

// load completes m with what lies in a rootimgdir.
func (c *bootCmd) load(ctx context.Context, m *qemu.Machine, dir string, memory int) error {
	version := netboot.Current(dir) // for all files, even if another is published meanwhile
	made, err := netboot.ReadManifest(version)
	if err != nil {
		return err
	}
	parts := strings.Split(made.Platform, "/")
	if m.Arch = parts[min(1, len(parts)-1)]; c.arch != "" && m.Arch != c.arch {
		return fmt.Errorf("booting %s: it is for %s, not for %s", dir, made.Platform, c.arch)
	}
	if m.Kernel, err = bootFile(version, made, netboot.KernelName); err != nil {
		return fmt.Errorf("booting %s: %w", dir, err)
	}
	initrd := netboot.RamdiskName
	if made.Boot == netboot.BootNetroot {
		initrd = made.InitrdFile()
	}
	if m.Initrd, err = bootFile(version, made, initrd); err != nil {
		return fmt.Errorf("booting %s: %w", dir, err)
	}
	if made.Boot == netboot.BootNetroot {
		if err := c.offerRoot(ctx, m, version, made); err != nil {
			return fmt.Errorf("booting %s: %w", dir, err)
		}
	}
	if m.Network == "" {
		m.Network = qemu.Isolated
	}
	m.CommandLine = strings.TrimSpace(made.Arguments + " " + m.CommandLine)
	switch m.Memory = memory; {
	case memory == 0:
		m.Memory = qemu.MemoryFor(made.Memory.Peak)
	case int64(memory)<<20 < made.Memory.Peak:
		return fmt.Errorf("--memory %s is too small: %s needs %s while it boots", c.memory, dir, units.BytesSize(float64(made.Memory.Peak)))
	}
	return nil
}

// bootFile is the path of a file of a rootimgdir, which must be whole.
func bootFile(dir string, m *netboot.Manifest, name string) (string, error) {
	want, ok := m.File(name)
	if !ok {
		return "", fmt.Errorf("its manifest has no %s", name)
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Size() != want.Size {
		return "", fmt.Errorf("%s has %d bytes and its manifest says %d; make it anew with rootcast convert", name, info.Size(), want.Size)
	}
	return path, nil
}

// accelerate decides what runs the guest and says so.
func (c *bootCmd) accelerate(ctx context.Context, m *qemu.Machine) error {
	verdict := qemu.Verdict{Accel: qemu.Accel(c.accel), Reason: "as --accel says"}
	if c.accel == "auto" {
		var cache string
		if dir, err := os.UserCacheDir(); err == nil { // without one the probe is made each time
			cache = filepath.Join(dir, "rootcast")
		}
		var err error
		if verdict, err = (qemu.Probe{CacheDir: cache}).Choose(ctx, *m); err != nil {
			return err
		}
	}
	m.Accel = verdict.Accel
	how, cpus := "KVM", min(runtime.NumCPU(), maxCPUs)
	if m.Accel == qemu.TCG {
		how, cpus = "software emulation", emulatedCPUs
	}
	m.CPUs = cmp.Or(m.CPUs, cpus)
	processors := "1 CPU"
	if m.CPUs > 1 {
		processors = fmt.Sprintf("%d CPUs", m.CPUs)
	}
	c.e.say("booting %s with %s and %s of memory by %s: %s",
		m.Arch, processors, units.BytesSize(float64(m.Memory)*units.MiB), how, verdict.Reason)
	return nil
}

func (c *bootCmd) start(ctx context.Context, m qemu.Machine) error {
	if c.expect != "" {
		return c.await(ctx, m)
	}
	return c.interact(ctx, m)
}

// await runs the machine until the text appears.
func (c *bootCmd) await(ctx context.Context, m qemu.Machine) error {
	limit := c.timeout
	if limit == 0 {
		limit = expectTimeout
	}
	began := time.Now()
	s, err := qemu.Start(ctx, m, qemu.Options{Output: c.e.reportWriter()})
	if err != nil {
		return err
	}
	defer s.Close()
	timed, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = s.Expect(timed, c.expect)
	s.Close()
	c.e.say("") // the console's last line may be unfinished, as prompts are
	switch {
	case err == nil:
		c.e.say("%q appeared after %s", c.expect, fmtDuration(time.Since(began)))
	case c.e.isQuiet() && ctx.Err() == nil: // else they were just shown
		for _, line := range s.Tail(lastLines) {
			fmt.Fprintln(c.e.stderr, line)
		}
	}
	return err
}

// interact gives the machine's console to the person at the terminal.
func (c *bootCmd) interact(ctx context.Context, m qemu.Machine) error {
	if c.timeout != 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	restore, err := c.e.keepTerminal()
	if err != nil {
		return err
	}
	err = qemu.Run(ctx, m, qemu.Console{In: c.e.stdin, Out: c.e.stdout})
	if rerr := restore(); err == nil {
		err = rerr
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stopped the machine after %s, as --timeout says", c.timeout)
	}
	return err
}

// keepTerminal returns what puts the terminal right after QEMU, which changes
// it and may have to be killed.
func (e *env) keepTerminal() (restore func() error, err error) {
	f, ok := e.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return func() error { return nil }, nil
	}
	fd := int(f.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return nil, fmt.Errorf("asking for the terminal's state: %w", err)
	}
	e.say("this is the node's serial console; leave it with Ctrl-A X (Ctrl-A H lists all keys)")
	return func() error {
		err := errors.Join(term.Restore(fd, state), unix.SetNonblock(fd, false))
		if err != nil {
			return fmt.Errorf("putting the terminal right: %w; reset(1) does it", err)
		}
		return nil
	}, nil
}

// isRootimgdir tells a rootimgdir from an image's name: by what it holds, else
// by looking like a path.
func isRootimgdir(arg string) bool {
	if _, err := os.Stat(filepath.Join(arg, netboot.ManifestName)); err == nil {
		return true
	}
	return !build.HasTransport(arg) && (strings.HasPrefix(arg, "/") || strings.HasPrefix(arg, "."))
}

// changed tells whether any flag differs from its default.
func (m *makeFlags) changed() bool {
	return m.platform+m.kernel+m.append != "" || m.boot != "" || m.method != string(pack.CPIO) || m.compress != string(convert.Auto) ||
		m.level != 0 || m.jobs != 0 || len(m.exlists.Value()) > 0 || m.limit.set || m.first.changed()
}

// parseMemory returns MiB; 0 for none given.
func parseMemory(s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	if mib, err := strconv.Atoi(s); err == nil && mib > 0 {
		return mib, nil
	}
	bytes, err := units.RAMInBytes(s)
	if err != nil || bytes < units.MiB {
		return 0, usageErrorf("--memory %q is no size such as 4G or 2048M", s)
	}
	return int(bytes / units.MiB), nil
}
