package network

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Up brings up the boot interface as the command line says and returns what it was
// given. It can be called again after an error; the interfaces that it tried stay
// up, so that their links are there for the next time. An error says on one line
// what to check.
func Up(ctx context.Context, c Config) (*Lease, error) {
	c = c.withDefaults()
	plan, err := Parse(c)
	if err != nil {
		return nil, err
	}
	if err := plan.build(ctx, c); err != nil {
		return nil, err
	}
	r := race{plan: plan, config: c, begin: time.Now(), asking: map[int]candidate{}, failed: map[int]error{}, results: make(chan result)}
	won, err := r.run(ctx)
	if err != nil {
		return nil, err
	}
	plan.complete(won)
	if err := won.lease.apply(ctx, won.iface, c.Log); err != nil {
		return nil, err
	}
	r.releaseOthers(won)
	return won.lease, nil
}

// releaseOthers leaves alone what the answer came by.
func (r *race) releaseOthers(won result) {
	for _, i := range append(r.dark(), r.asked()...) {
		if i.index == won.iface.index || i.name == won.lease.Parent || slices.Contains(won.lease.Slaves, i.name) {
			continue
		}
		if err := release(i); err != nil {
			r.config.Log("%v", err)
		}
	}
}

// complete adds what the command line says to what the network said.
func (p Plan) complete(won result) {
	l, link := won.lease, won.link
	l.Interface, l.Index, l.MAC = won.iface.name, won.iface.index, won.iface.hw
	l.DNS = unique(p.DNS, link.DNS, l.DNS)
	l.NTP = unique(link.NTP, l.NTP)
	l.Hostname = cmp.Or(link.Hostname, l.Hostname)
	l.MTU = cmp.Or(link.MTU, l.MTU)
	if link.Server.IsValid() {
		l.NextServer = link.Server
	}
	for _, v := range p.VLANs {
		if v.Name == l.Interface {
			l.Parent = v.Parent
		}
	}
	for _, b := range p.Bonds {
		if b.Name == l.Interface || b.Name == l.Parent {
			l.Slaves = b.Slaves
		}
		if b.Name == l.Interface {
			l.MTU = cmp.Or(b.MTU, l.MTU)
		}
	}
}

func unique[T comparable](lists ...[]T) []T {
	var all []T
	for _, v := range slices.Concat(lists...) {
		if !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}
