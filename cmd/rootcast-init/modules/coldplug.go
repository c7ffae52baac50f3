package modules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/convert/kmod"
)

// How long to wait for devices that a driver brings to light after its module
// was loaded: some look for theirs in the background.
const (
	settle  = 100 * time.Millisecond
	maxWalk = 32 // deeper than any chain of buses
)

// atOnce is how many drivers look for their hardware at the same time, most of
// which is waiting.
const atOnce = 8

// Coldplug loads a module for each device that asks for one, again and again
// until no new device appears. It returns what it loaded; what failed is in the
// error, and kept nothing else from being loaded. Where nobody waits for a disk the
// drivers of disks go on by themselves: a host adapter with many of them may take
// a minute, in which the root can arrive.
func (l *Loader) Coldplug(ctx context.Context) (loaded []string, err error) {
	before := l.count()
	var errs []error
	idle := false
	for range maxWalk {
		known := l.count()
		if err := l.pass(ctx); err != nil {
			errs = append(errs, err)
		}
		if ctx.Err() != nil {
			break
		}
		fresh := l.count() > known
		if idle && !fresh {
			break
		}
		if idle = !fresh; idle {
			time.Sleep(settle)
		}
	}
	return l.loadedSince(before), errors.Join(errs...)
}

// followEvery is how soon a device that turns up late gets its module.
const followEvery = 500 * time.Millisecond

// Follow loads modules for the devices that turn up, until ctx ends: a disk
// behind USB or a network adapter that had to start takes its seconds.
func (l *Loader) Follow(ctx context.Context) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := l.pass(ctx); err != nil && ctx.Err() == nil {
			l.o.Warn("warning: %v", err)
		}
	}
}

// pass loads the modules of all devices that were not there before.
func (l *Loader) pass(ctx context.Context) error {
	fresh, err := l.newAliases()
	if err != nil || len(fresh) == 0 {
		return err
	}
	l.o.Log("%d new devices ask for modules", len(fresh))
	// Network adapters are numbered as their drivers find them: their order must
	// be the same in every boot, so that eth0 is.
	var network, others []wanted
	for _, w := range l.wantedBy(fresh) {
		switch {
		case strings.HasPrefix(w.module.Path, "kernel/drivers/net/"):
			network = append(network, w)
		case l.o.Diskless && drivesDisks(w.module):
			go l.loadMeanwhile(ctx, w)
		default:
			others = append(others, w)
		}
	}
	var g errgroup.Group
	g.SetLimit(atOnce)
	errs := make([]error, len(others)+1)
	g.Go(func() error {
		for _, w := range network {
			errs[0] = errors.Join(errs[0], l.loadFor(ctx, w))
		}
		return nil
	})
	for i, w := range others {
		g.Go(func() error {
			errs[i+1] = l.loadFor(ctx, w)
			return nil
		})
	}
	return errors.Join(g.Wait(), errors.Join(errs...))
}

// drivesDisks tells the drivers that look for disks.
func drivesDisks(m kmod.Module) bool {
	return slices.ContainsFunc([]string{"ata", "block", "message", "mmc", "nvme", "scsi"}, func(dir string) bool {
		return strings.HasPrefix(m.Path, "kernel/drivers/"+dir+"/")
	})
}

func (l *Loader) loadMeanwhile(ctx context.Context, w wanted) {
	if err := l.loadFor(ctx, w); err != nil && ctx.Err() == nil {
		l.o.Warn("warning: %v", err)
	}
}

// wanted is a module that a device asks for.
type wanted struct {
	module kmod.Module
	alias  string // of the device
}

// wantedBy returns the modules of the devices, each once.
func (l *Loader) wantedBy(aliases []string) (list []wanted) {
	known := map[string]bool{}
	for _, alias := range aliases {
		for _, name := range l.set.Match(alias) {
			m, ok := l.set.Lookup(name)
			if ok && !known[m.Name] {
				known[m.Name] = true
				list = append(list, wanted{m, alias})
			}
		}
	}
	return list
}

func (l *Loader) loadFor(ctx context.Context, w wanted) error {
	err := l.Load(ctx, w.module.Name)
	if err == nil || errors.Is(err, errBlacklisted) || isNoDevice(err) {
		return nil
	}
	return fmt.Errorf("%w (for %s)", err, w.alias)
}

// isNoDevice is a module that found out that nothing here needs it, as many do
// that ask the processor.
func isNoDevice(err error) bool { return errors.Is(err, unix.ENODEV) }
