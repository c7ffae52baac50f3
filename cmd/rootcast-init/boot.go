package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"github.com/rootcast/rootcast/cmd/rootcast-init/cmdline"
	"github.com/rootcast/rootcast/cmd/rootcast-init/console"
	"github.com/rootcast/rootcast/cmd/rootcast-init/modules"
	"github.com/rootcast/rootcast/cmd/rootcast-init/mounts"
	"github.com/rootcast/rootcast/cmd/rootcast-init/network"
	"github.com/rootcast/rootcast/convert/node"
)

// newRoot is where the root is put together.
const newRoot = "/sysroot"

// logPath is where the booted system finds what was said.
const logPath = "/run/rootcast/init.log"

// boot is one attempt to start the node.
type boot struct {
	log      *console.Log
	machine  machine
	guest    bool // in dracut's initrd, which has /dev and the drivers, and switches to the root itself
	options  *cmdline.Options
	spec     *node.Spec
	modules  *modules.Loader
	lease    *network.Lease
	failures int
}

// loadModules loads what the hardware asks for, where the root or its state
// comes from hardware, and what the root's format needs.
func (b *boot) loadModules(ctx context.Context) (err error) {
	dir := modulesDir()
	if _, err := os.Stat(dir); err != nil {
		b.log.Debugf("no modules: %v", err)
		return nil
	}
	b.modules, err = modules.New(modules.Options{
		Dir: dir, Sys: "/sys", Params: b.options.Params, Blacklist: b.options.Blacklist, Diskless: !b.usesDisk(),
		Log: b.log.Debugf, Warn: b.log.Printf,
	})
	if err != nil {
		return err
	}
	if !b.guest {
		b.warn(answerKernel())
	}
	if b.usesHardware() && !b.guest {
		began := time.Now()
		loaded, err := b.modules.Coldplug(ctx)
		b.warn(err)
		b.log.Printf("loaded %d modules for the hardware in %s", len(loaded), round(time.Since(began)))
		go b.modules.Follow(ctx)
	}
	b.warn(b.modules.Load(ctx, b.options.Modules...))
	return nil
}

// usesHardware tells whether the first stage itself needs a network or a disk.
func (b *boot) usesHardware() bool {
	return b.spec.Boot != node.Ramdisk || b.usesDisk()
}

// usesDisk tells whether it may need a disk: a state lies on one, or on a server.
func (b *boot) usesDisk() bool { return b.options.Persistent != "" || b.options.LocalDisk != "" }

// need loads modules without which there is no going on; one that is built in,
// or that the kernel lacks, is found out by what needs it.
func (b *boot) need(ctx context.Context, names ...string) {
	if b.modules != nil {
		b.warn(b.modules.Load(ctx, names...))
	}
}

func (b *boot) warn(err error) {
	if err != nil {
		b.log.Printf("warning: %v", err)
	}
}

// findRoot mounts the root on newRoot.
func (b *boot) findRoot(ctx context.Context) error {
	if b.spec.Boot == node.Ramdisk {
		return b.ramdiskRoot(ctx)
	}
	return b.fetchedRoot(ctx)
}

// switchRoot leaves the initrd, or has all ready for dracut to do so.
func (b *boot) switchRoot() error {
	program := b.spec.Init
	if b.options.Init != "" {
		program = b.options.Init
	}
	// The image's links lead from the image's root.
	root, err := os.OpenRoot(newRoot)
	if err != nil {
		return fmt.Errorf("switching to the root: %w", err)
	}
	_, err = root.Lstat(strings.TrimPrefix(path.Clean(program), "/"))
	_ = root.Close()
	if err != nil {
		return fmt.Errorf("the root has no %s to start (init=): %w: %w", program, err, errForGood)
	}
	b.log.Printf("starting %s of %s", program, b.spec.Image)
	b.warn(b.log.Save(logPath))
	if b.guest {
		return mounts.Points(newRoot)
	}
	return mounts.Switch(newRoot, program, os.Args[1:], os.Environ())
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }

// progress says how far the reading of the root is, seldom enough for a serial line.
type progress struct {
	log   *console.Log
	total int64 // 0: not known
	done  int64
	began time.Time
	said  time.Time
}

const progressEvery = 5 * time.Second

func (p *progress) add(n int) {
	p.done += int64(n)
	now := time.Now()
	if p.began.IsZero() {
		p.began, p.said = now, now
	}
	if now.Sub(p.said) < progressEvery {
		return
	}
	p.said = now
	speed := float64(p.done) / now.Sub(p.began).Seconds()
	if p.total > 0 {
		left := time.Duration(float64(p.total-p.done) / max(speed, 1) * float64(time.Second))
		p.log.Printf("%3d %%  %s of %s, %s/s, %s left", 100*p.done/p.total, mib(p.done), mib(p.total), mib(int64(speed)), left.Round(time.Second))
		return
	}
	p.log.Printf("%s, %s/s", mib(p.done), mib(int64(speed)))
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// counting tells a progress of what is read.
type counting struct {
	io.Reader
	p *progress
}

func (c counting) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.p.add(n)
	return n, err
}

// tooSmall compares the node's memory with what the root needs. Of the memory
// that was built in the kernel keeps a part to itself, which MemTotal lacks: an
// eighth at most, on machines that could boot at all.
func tooSmall(peak int64) error {
	total, err := memTotal()
	if err != nil || peak <= 0 || total+total/8 >= peak {
		return nil //nolint:nilerr // without the figure there is nothing to compare
	}
	return fmt.Errorf("the node has %s of memory, and this root needs %s while it boots: give the node more, leave files out of the image (--exlist), or pack it as squashfs: %w",
		mib(total), mib(peak), errForGood)
}

// memTotal is the memory that the kernel manages, in bytes (Documentation/filesystems/proc.rst, meminfo).
func memTotal() (int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "MemTotal: %d kB", &kib); err == nil {
			return kib << 10, nil
		}
	}
	return 0, errors.New("no MemTotal in /proc/meminfo")
}
