package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// dadWait is a limit to IPv6's search for duplicates, which takes 1 to 2 s.
const dadWait = 5 * time.Second

// apply gives the interface what the lease says. IPv4 addresses that firmware or
// the kernel's ip= left there go.
func (l *Lease) apply(ctx context.Context, i iface, log func(string, ...any)) error {
	if l.MTU != 0 && l.MTU != i.mtu {
		if err := l.setMTU(i); err != nil {
			log("%v: going on with %d", err, i.mtu)
			l.MTU = 0
		}
	}
	if l.Method == Auto6 {
		return nil // the kernel has done it
	}
	if err := l.setAddresses(ctx, i); err != nil {
		return err
	}
	for _, r := range l.Routes {
		if err := l.setRoute(i, r, 0); err != nil {
			return err
		}
	}
	for n, gw := range l.Gateways {
		if l.Method == DHCP6 {
			break // by router advertisements
		}
		all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if gw.Is6() {
			all = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		if err := l.setRoute(i, Route{Dst: all, Gateway: gw}, n); err != nil {
			return err
		}
	}
	return nil
}

// setMTU sets the interface's, and that of what a VLAN lies on if it is smaller.
func (l *Lease) setMTU(i iface) error {
	if l.Parent != "" {
		parent, err := netlink.LinkByName(l.Parent)
		if err == nil && parent.Attrs().MTU < l.MTU {
			err = netlink.LinkSetMTU(parent, l.MTU)
		}
		if err != nil {
			return fmt.Errorf("setting the MTU %d of %s below %s: %w", l.MTU, l.Parent, i.name, err)
		}
	}
	if err := netlink.LinkSetMTU(i.ref(), l.MTU); err != nil {
		return fmt.Errorf("setting the MTU %d of %s: %w", l.MTU, i.name, err)
	}
	return nil
}

func (l *Lease) setAddresses(ctx context.Context, i iface) error {
	for _, p := range l.Addresses {
		// Old addresses first: the new one would be secondary to one of the same
		// network, and go with it.
		if p.Addr().Is4() {
			if err := flush(i, netlink.FAMILY_V4, &p); err != nil {
				return err
			}
		}
		if err := netlink.AddrReplace(i.ref(), &netlink.Addr{IPNet: ipNet(p)}); err != nil {
			return fmt.Errorf("giving %s the address %s: %w", i.name, p, err)
		}
		if p.Addr().Is6() {
			if err := settled(ctx, i, p.Addr()); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush takes the addresses of a family from an interface, but for keep.
func flush(i iface, family int, keep *netip.Prefix) error {
	old, err := netlink.AddrList(i.ref(), family)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return fmt.Errorf("listing the addresses of %s: %w", i.name, err)
	}
	for _, a := range old {
		if keep != nil && a.IPNet.String() == keep.String() {
			continue
		}
		// A secondary address is gone when its primary went.
		if err := netlink.AddrDel(i.ref(), &a); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return fmt.Errorf("taking the address %s from %s: %w", a.IPNet, i.name, err)
		}
	}
	return nil
}

// settled waits until no other host turned out to have the IPv6 address.
func settled(ctx context.Context, i iface, want netip.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, dadWait)
	defer cancel()
	for {
		list, err := netlink.AddrList(i.ref(), netlink.FAMILY_V6)
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			return fmt.Errorf("listing the addresses of %s: %w", i.name, err)
		}
		for _, a := range list {
			switch {
			case addr(a.IP) != want:
			case a.Flags&unix.IFA_F_DADFAILED != 0:
				return fmt.Errorf("giving %s the address %s: another host on the network has it: check for two nodes with one address", i.name, want)
			case a.Flags&unix.IFA_F_TENTATIVE == 0:
				return nil
			}
		}
		if err := pause(ctx, tick); err != nil {
			return fmt.Errorf("waiting for the address %s of %s to be free of duplicates: %w", want, i.name, err)
		}
	}
}

// setRoute sets a route; metric orders several default routes. A gateway outside of
// the interface's networks is told to be on the link, as servers of
// point-to-point networks mean it.
func (l *Lease) setRoute(i iface, r Route, metric int) error {
	route := &netlink.Route{LinkIndex: i.index, Dst: ipNet(r.Dst), Priority: metric, Protocol: unix.RTPROT_BOOT}
	if r.Gateway.IsValid() {
		route.Gw = net.IP(r.Gateway.AsSlice())
		if !l.onLink(r.Gateway) {
			route.Flags = int(netlink.FLAG_ONLINK)
		}
	} else {
		route.Scope = netlink.SCOPE_LINK
	}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("setting the route to %s of %s: %w", r, i.name, err)
	}
	return nil
}

func (l *Lease) onLink(gw netip.Addr) bool {
	for _, p := range l.Addresses {
		if p.Contains(gw) {
			return true
		}
	}
	return false
}

// String is the route as ip(8) shows it.
func (r Route) String() string {
	if !r.Gateway.IsValid() {
		return r.Dst.String()
	}
	return fmt.Sprintf("%s via %s", r.Dst, r.Gateway)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
