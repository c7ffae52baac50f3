package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/mdlayher/ndp"
	"github.com/vishvananda/netlink"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

const (
	// routerWait is how long DHCPv6 waits for a router, which knows the routes.
	routerWait = 3 * time.Second
	// otherWait is how long DHCPv6 may take where there is an address without it.
	otherWait = 10 * time.Second
)

// ip6 brings up IPv6 on one interface.
type ip6 struct {
	iface iface
	log   func(string, ...any)
}

// run waits for an address by the method, Auto6 or DHCP6.
func (d *ip6) run(ctx context.Context, method Method) (*Lease, error) {
	if err := d.enable(); err != nil {
		return nil, err
	}
	local, err := d.address(ctx, func(a netip.Addr) bool { return a.IsLinkLocalUnicast() })
	if err != nil {
		return nil, err
	}
	if method == DHCP6 {
		ra, err := d.router(ctx, local, routerWait)
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return nil, err
		}
		return d.managed(ctx, local, ra)
	}
	ra, err := d.router(ctx, local, 0)
	if err != nil {
		return nil, err
	}
	if ra.managed {
		limited := ctx
		if ra.autonomous {
			var cancel context.CancelFunc
			limited, cancel = context.WithTimeout(ctx, otherWait)
			defer cancel()
		}
		l, err := d.managed(limited, local, ra)
		if err == nil || !ra.autonomous || ctx.Err() != nil {
			return l, err
		}
		d.log("%s: the router %s announces DHCPv6, and there is no answer: going on without", d.iface.name, ra.source)
	}
	return d.autonomous(ctx, local, ra)
}

// enable lets the kernel take part in IPv6, whatever its defaults are.
func (d *ip6) enable() error {
	dir := "/proc/sys/net/ipv6/conf/" + d.iface.name + "/"
	for _, set := range [][2]string{{"disable_ipv6", "0"}, {"autoconf", "1"}, {"accept_ra", "1"}, {"accept_ra_defrtr", "1"}, {"accept_ra_pinfo", "1"}} {
		err := os.WriteFile(dir+set[0], []byte(set[1]), 0o644)
		if errors.Is(err, os.ErrNotExist) && set[0] == "disable_ipv6" {
			return fmt.Errorf("%s has no IPv6: the kernel lacks it, or ipv6.disable=1 is set", d.iface.name)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("switching IPv6 on for %s: %w", d.iface.name, err)
		}
	}
	return nil
}

// address waits for an address that has passed the search for duplicates.
func (d *ip6) address(ctx context.Context, want func(netip.Addr) bool) (netip.Addr, error) {
	for {
		p, err := d.prefixes(want)
		if err != nil {
			return netip.Addr{}, err
		}
		if len(p) > 0 {
			return p[0].Addr(), nil
		}
		if err := pause(ctx, tick); err != nil {
			return netip.Addr{}, err
		}
	}
}

// zone is the interface by number. Package net remembers for a minute which number
// a name has, and a bond that was made anew has another.
func (d *ip6) zone() string { return strconv.Itoa(d.iface.index) }

func (d *ip6) prefixes(want func(netip.Addr) bool) ([]netip.Prefix, error) {
	list, err := netlink.AddrList(d.iface.ref(), netlink.FAMILY_V6)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("listing the addresses of %s: %w", d.iface.name, err)
	}
	var found []netip.Prefix
	for _, a := range list {
		ones, _ := a.Mask.Size()
		if ip := addr(a.IP); ip.IsValid() && want(ip) && a.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED|unix.IFA_F_DEPRECATED) == 0 {
			found = append(found, netip.PrefixFrom(ip, ones))
		}
	}
	return found, nil
}

// advertisement is what a router says of its network. The kernel takes prefixes
// and routes from it, and leaves name servers to others.
type advertisement struct {
	source         netip.Addr
	router         bool // it is a default router
	managed, other bool // addresses, or only name servers, by DHCPv6
	autonomous     bool // it has a prefix to make addresses of
	dns            []netip.Addr
	search         []string
}

// router asks for routers until one answers; limit 0 is that of ctx.
func (d *ip6) router(ctx context.Context, local netip.Addr, limit time.Duration) (advertisement, error) {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	conn, _, err := ndp.Listen(&net.Interface{Name: d.zone(), Index: d.iface.index, MTU: max(d.iface.mtu, 1500)}, ndp.Addr(local.String()))
	if err != nil {
		return advertisement{}, fmt.Errorf("listening for routers on %s: %w", d.iface.name, err)
	}
	defer conn.Close()
	var filter ipv6.ICMPFilter
	filter.SetAll(true)
	filter.Accept(ipv6.ICMPTypeRouterAdvertisement)
	if err := errors.Join(conn.SetICMPFilter(&filter), conn.JoinGroup(netip.IPv6LinkLocalAllNodes()), conn.SetControlMessage(ipv6.FlagHopLimit, true)); err != nil {
		return advertisement{}, fmt.Errorf("listening for routers on %s: %w", d.iface.name, err)
	}
	solicit := &ndp.RouterSolicitation{}
	if !d.iface.infiniband {
		solicit.Options = []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: d.iface.hw}}
	}
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		// What cannot be sent now is sent with the next try.
		_ = conn.WriteTo(solicit, nil, netip.IPv6LinkLocalAllRouters())
		if ra, ok := hear(ctx, conn, jitter(wait)); ok {
			return ra, nil
		}
		if ctx.Err() != nil {
			return advertisement{}, ctx.Err()
		}
	}
}

// hear waits for one advertisement.
func hear(ctx context.Context, conn *ndp.Conn, wait time.Duration) (advertisement, bool) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Now()) })
	defer stop()
	_ = conn.SetReadDeadline(time.Time{})
	for ctx.Err() == nil {
		m, cm, from, err := conn.ReadFrom()
		ra, ok := m.(*ndp.RouterAdvertisement)
		// RFC 4861 §6.1.2: from a router on the link.
		if err == nil && ok && from.IsLinkLocalUnicast() && cm != nil && cm.HopLimit == ndp.HopLimit {
			return readAdvertisement(ra, from.WithZone("")), true
		}
	}
	return advertisement{}, false
}

func readAdvertisement(m *ndp.RouterAdvertisement, from netip.Addr) advertisement {
	ra := advertisement{source: from, router: m.RouterLifetime > 0, managed: m.ManagedConfiguration, other: m.OtherConfiguration}
	for _, o := range m.Options {
		switch o := o.(type) {
		case *ndp.PrefixInformation:
			ra.autonomous = ra.autonomous || o.AutonomousAddressConfiguration && o.ValidLifetime > 0
		case *ndp.RecursiveDNSServer:
			for _, a := range o.Servers {
				if a = addr(a.AsSlice()); a.IsValid() && o.Lifetime > 0 {
					ra.dns = append(ra.dns, a)
				}
			}
		case *ndp.DNSSearchList:
			if o.Lifetime > 0 {
				ra.search = append(ra.search, o.DomainNames...)
			}
		}
	}
	return ra
}

// autonomous waits for the address that the kernel makes of the router's prefix.
func (d *ip6) autonomous(ctx context.Context, local netip.Addr, ra advertisement) (*Lease, error) {
	global := func(a netip.Addr) bool { return a.Is6() && a.IsGlobalUnicast() }
	if _, err := d.address(ctx, global); err != nil {
		return nil, err
	}
	l := &Lease{Method: Auto6, Obtained: time.Now()}
	var err error
	if l.Addresses, err = d.prefixes(global); err != nil {
		return nil, err
	}
	if ra.other && !ra.managed {
		if err := d.information(ctx, local, l); err != nil {
			d.log("%s: asking DHCPv6 for name servers: %v: going on without", d.iface.name, err)
		}
	}
	l.advertised(ra)
	return l, nil
}

// advertised adds what a router said to an answer.
func (l *Lease) advertised(ra advertisement) {
	if ra.router {
		l.Gateways = append(l.Gateways, ra.source)
	}
	l.DNS = append(l.DNS, ra.dns...)
	l.addNames(ra.search...)
}
