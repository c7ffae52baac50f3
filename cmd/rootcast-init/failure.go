package main

import (
	"errors"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/cmd/rootcast-init/mounts"
	"github.com/rootcast/rootcast/cmd/rootcast-init/shell"
)

// errForGood is what no second attempt can mend.
var errForGood = errors.New("trying again does not help")

// How long a node waits before it tries again: each time twice as long.
const (
	againFirst = 5 * time.Second
	againMost  = 2 * time.Minute
	// remindEvery is how often a node that has stopped says so: the person at the
	// console may come late.
	remindEvery = 10 * time.Minute
)

// machine is what the first stage does with the node itself.
type machine struct {
	shell string              // where the image's would be
	reset func(how int) error // reboots the node, or turns it off
}

// fail tells the person at the console what is wrong and does what the command
// line asks for. It returns false if all is to be tried again, and true if dracut
// is to give the console to a person.
func (b *boot) fail(err error) (giveUp bool) {
	b.failures++
	b.log.Printf("THE NODE DOES NOT BOOT: %v", err)
	b.warn(b.log.Save(logPath))
	b.warn(mounts.Undo(newRoot))
	return b.await(err)
}

// await passes the time until the next attempt, as the command line wants it, or
// returns true if dracut is to have the console.
func (b *boot) await(err error) (giveUp bool) {
	switch {
	case b.options != nil && b.options.Shell && b.guest:
		return true
	case b.options != nil && b.options.Shell:
		b.drop()
	case b.options != nil && b.options.Panic != 0:
		wait := max(b.options.Panic, 0)
		b.log.Printf("rebooting in %s (panic=)", wait)
		time.Sleep(wait)
		b.restart(unix.LINUX_REBOOT_CMD_RESTART)
	case errors.Is(err, errForGood) && b.guest:
		return true
	case errors.Is(err, errForGood):
		for {
			b.log.Printf("stopped: mend it and reset the node; with panic=30 it reboots by itself, with rootcast.shell there is a shell here")
			time.Sleep(remindEvery)
			b.log.Printf("THE NODE DOES NOT BOOT: %v", err)
		}
	default:
		wait := min(againFirst<<min(b.failures-1, 10), againMost)
		b.log.Printf("trying again in %s", wait)
		time.Sleep(wait)
	}
	return false
}

// drop gives the console to a person. One that gives no input ends every shell
// at once, which must not make an endless loop.
func (b *boot) drop() {
	began := time.Now()
	b.runShell()
	time.Sleep(againFirst - time.Since(began))
}

func (b *boot) runShell() {
	if _, err := os.Stat(b.machine.shell); err == nil {
		b.log.Printf("a shell of the image: exit to try again")
		cmd := exec.Command(b.machine.shell)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
		if err := cmd.Run(); err != nil {
			b.log.Printf("the shell: %v", err)
		}
		return
	}
	b.log.Printf("a minimal shell: help lists its commands, exit tries again")
	err := shell.Run(os.Stdin, os.Stdout, shell.Env{Log: b.log.Text})
	switch {
	case errors.Is(err, shell.ErrReboot):
		b.restart(unix.LINUX_REBOOT_CMD_RESTART)
	case errors.Is(err, shell.ErrHalt):
		b.restart(unix.LINUX_REBOOT_CMD_POWER_OFF)
	case !errors.Is(err, shell.ErrRetry):
		b.log.Printf("the shell: %v", err)
	}
}

// restart has the kernel reset the machine or turn it off.
func (b *boot) restart(how int) {
	unix.Sync()
	err := b.machine.reset(how)
	b.log.Printf("the kernel does not restart the machine: %v", err)
	time.Sleep(againFirst)
}
