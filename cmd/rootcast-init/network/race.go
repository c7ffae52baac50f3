package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// otherFamily is how long [Any] waits for IPv4 when IPv6 has its address.
const otherFamily = 4 * time.Second

// race asks on all candidates at once.
type race struct {
	plan   Plan
	config Config
	begin  time.Time

	seen    []candidate       // when last looked
	asking  map[int]candidate // by index, those set up
	pending int               // how many conversations run
	failed  map[int]error     // those that ended, by index
	results chan result
}

// result is how a conversation on one interface ended.
type result struct {
	candidate
	lease *Lease
	err   error
}

// run returns the first answer.
func (r *race) run(ctx context.Context) (result, error) {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for said := r.begin; ; {
		if err := r.look(ctx, &group); err != nil {
			return result{}, err
		}
		if r.pending == 0 && (time.Since(r.begin) >= r.config.LinkWait || r.hopeless()) {
			return result{}, r.failure()
		}
		if time.Since(said) >= remind {
			said = time.Now()
			r.say()
		}
		select {
		case res := <-r.results:
			r.pending--
			if res.err == nil {
				return res, nil
			}
			if ctx.Err() == nil && !errors.Is(res.err, context.DeadlineExceeded) {
				r.config.Log("%s: %v", res.iface.name, res.err)
			}
			r.failed[res.iface.index] = res.err
		case <-ticker.C:
		case <-ctx.Done():
			return result{}, fmt.Errorf("bringing up the network: %w", ctx.Err())
		}
	}
}

// look sets new candidates up and starts to ask on those that have a link.
func (r *race) look(ctx context.Context, group *sync.WaitGroup) error {
	list, err := interfaces()
	if err != nil {
		return err
	}
	r.seen = r.plan.candidates(list)
	for _, c := range r.seen {
		if !c.iface.up {
			if err := setUp(c.iface); err != nil && r.failed[c.iface.index] == nil {
				r.failed[c.iface.index] = err
				r.config.Log("%v", err)
			}
			continue
		}
		if _, ok := r.asking[c.iface.index]; ok || !c.iface.carrier {
			continue
		}
		r.asking[c.iface.index] = c
		delete(r.failed, c.iface.index)
		r.pending++
		r.config.Log("%s (%s): the link is up: asking for an address by %s", c.iface.name, c.iface.hw, c.link.Method)
		group.Go(func() {
			lease, err := r.ask(ctx, c)
			select {
			case r.results <- result{c, lease, err}:
			case <-ctx.Done():
			}
		})
	}
	return nil
}

// ask is the conversation on one interface.
func (r *race) ask(ctx context.Context, c candidate) (*Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, r.config.DHCPWait)
	defer cancel()
	d4 := &dhcp4{iface: c.iface, hostname: c.link.Hostname, log: r.config.Log}
	d6 := &ip6{iface: c.iface, log: r.config.Log}
	switch c.link.Method {
	case Static:
		return c.link.lease(), nil
	case DHCP:
		return d4.run(ctx)
	case DHCP6, Auto6:
		return d6.run(ctx, c.link.Method)
	default:
		return either(ctx, d4.run, func(ctx context.Context) (*Lease, error) { return d6.run(ctx, Auto6) })
	}
}

// lease is the static address. A gateway is all that else can be wrong with it, and
// it need not answer to anybody.
func (l Link) lease() *Lease {
	lease := &Lease{Method: Static, Addresses: []netip.Prefix{l.Address}, Obtained: time.Now()}
	if l.Gateway.IsValid() {
		lease.Gateways = []netip.Addr{l.Gateway}
	}
	return lease
}

type asker func(context.Context) (*Lease, error)

// either asks both, and gives the first some time when the second has its answer.
func either(ctx context.Context, first, second asker) (*Lease, error) {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	type answer struct {
		lease *Lease
		err   error
	}
	firsts, seconds := make(chan answer, 1), make(chan answer, 1)
	group.Go(func() { l, err := first(ctx); firsts <- answer{l, err} })
	group.Go(func() { l, err := second(ctx); seconds <- answer{l, err} })
	var a, b answer
	select {
	case a = <-firsts:
		if a.err == nil {
			return a.lease, nil
		}
		b = <-seconds
	case b = <-seconds:
		if b.err == nil {
			stop := time.AfterFunc(otherFamily, cancel)
			defer stop.Stop()
		}
		a = <-firsts
	}
	switch {
	case a.err == nil:
		return a.lease, nil
	case b.err == nil:
		return b.lease, nil
	default:
		return nil, a.err
	}
}
