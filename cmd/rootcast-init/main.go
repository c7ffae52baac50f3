// Command rootcast-init is the first program of a diskless node. The kernel
// starts it as /init in the initrd that rootcast convert makes; it finds or
// fetches the root, checks it, mounts it, and becomes the image's own init there.
//
// In an initrd that dracut makes it is a guest: the mount hook of rootcast's dracut
// module runs it as "rootcast-init mount", and dracut switches to the root that it
// leaves on /sysroot.
//
// It speaks on the console, and README has the kernel arguments that it takes.
package main

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/cmd/rootcast-init/cmdline"
	"github.com/rootcast/rootcast/cmd/rootcast-init/console"
	"github.com/rootcast/rootcast/cmd/rootcast-init/mounts"
	"github.com/rootcast/rootcast/convert/node"
)

func main() {
	if path.Base(os.Args[0]) == "modprobe" {
		if err := modprobe(context.Background(), os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "modprobe:", err)
			os.Exit(1)
		}
		return
	}
	b := &boot{log: console.New(os.Stdout, false), guest: os.Getpid() != 1, machine: machine{shell: "/bin/sh", reset: unix.Reboot}}
	if b.guest && !slices.Equal(os.Args[1:], []string{"mount"}) {
		fmt.Fprintln(os.Stderr, "rootcast-init is the first program of a node: the kernel starts it as /init of an initrd that rootcast convert makes, or dracut as rootcast-init mount")
		os.Exit(2)
	}
	for {
		err := b.start(context.Background())
		if err == nil {
			os.Exit(0)
		}
		if b.fail(err) {
			os.Exit(1)
		}
	}
}

// start does all there is to do. As the first program it returns only if
// something is wrong.
func (b *boot) start(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if !b.guest {
		if err := mounts.Early(); err != nil {
			return err
		}
	}
	if err := b.learn(); err != nil {
		return err
	}
	b.log.Printf("rootcast %s: %s by %s", b.spec.Tool, b.spec.Image, b.spec.Boot)
	if err := b.loadModules(ctx); err != nil {
		return err
	}
	if err := b.findRoot(ctx); err != nil {
		return err
	}
	if err := b.prepareRoot(ctx); err != nil {
		return err
	}
	stop() // what is left to do is the system's
	return b.switchRoot()
}

// learn reads what convert and the administrator said.
func (b *boot) learn() error {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return fmt.Errorf("reading the kernel's command line: %w", err)
	}
	var complaints []string
	b.options, complaints = cmdline.Parse(string(line))
	b.log.SetDebug(b.options.Debug)
	for _, c := range complaints {
		b.log.Printf("warning: kernel argument %s", c)
	}
	f, err := os.Open("/" + node.Path)
	if err != nil {
		return fmt.Errorf("the initrd is not one that rootcast convert made: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	if b.spec, err = node.Decode(f); err != nil {
		return err
	}
	if running := release(); b.spec.Kernel != running {
		b.log.Printf("warning: the kernel is %s, and the initrd was made for %s: its modules do not fit; check that kernel and initrd come from one rootimgdir", running, b.spec.Kernel)
	}
	return nil
}
