package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// fromACK reads a DHCPv4 answer. What is not sound in an option is left out; an
// answer without a usable address is an error.
func fromACK(m *dhcpv4.DHCPv4) (*Lease, error) {
	a := addr(m.YourIPAddr)
	if !a.Is4() || a.IsLoopback() {
		return nil, fmt.Errorf("the DHCP server %s gave the address %s, which no host can have", m.ServerIdentifier(), m.YourIPAddr)
	}
	prefix, err := prefixOf(a, m.SubnetMask())
	if err != nil {
		return nil, fmt.Errorf("the DHCP server %s gave %s: %w", m.ServerIdentifier(), a, err)
	}
	l := &Lease{
		Method:     DHCP,
		Addresses:  []netip.Prefix{prefix},
		DNS:        addrs(m.DNS()),
		NTP:        addrs(m.NTPServers()),
		NextServer: addr(m.ServerIPAddr),
		TFTPServer: printable(m.TFTPServerName()),
		BootFile:   printable(m.BootFileNameOption()),
		RootPath:   printable(m.RootPath()),
		ServerID:   addr(m.ServerIdentifier()),
		Obtained:   time.Now(),
	}
	if l.BootFile == "" {
		l.BootFile = printable(m.BootFileName)
	}
	if h := trimDot(trimNUL(m.HostName())); isHostname(h) {
		l.Hostname = h
	}
	l.domains(m)
	l.routes(m)
	l.times(m)
	// RFC 2132 §5.1: 68 at least. Servers that send less than 576 mean something else.
	if mtu, err := dhcpv4.GetUint16(dhcpv4.OptionInterfaceMTU, m.Options); err == nil && mtu >= 576 {
		l.MTU = int(mtu)
	}
	return l, nil
}

// prefixOf takes the class's mask (RFC 791) where a server sends none.
func prefixOf(a netip.Addr, mask net.IPMask) (netip.Prefix, error) {
	if mask == nil {
		mask = net.IP(a.AsSlice()).DefaultMask()
	}
	ones, size := mask.Size()
	if size != 32 || ones == 0 {
		return netip.Prefix{}, fmt.Errorf("with the subnet mask %s, which is none", mask)
	}
	return netip.PrefixFrom(a, ones), nil
}

// domains reads options 15 and 119. Some servers put a list into option 15.
func (l *Lease) domains(m *dhcpv4.DHCPv4) {
	if labels := m.DomainSearch(); labels != nil {
		l.addNames(labels.Labels...)
	}
	names := strings.Fields(trimNUL(m.DomainName()))
	if len(names) > 1 {
		l.addNames(names...)
	}
	if len(names) > 0 && isHostname(trimDot(names[0])) {
		l.Domain = trimDot(names[0])
	}
}

// routes reads option 121, and only without it options 3 and 33 (RFC 3442: a client
// that knows classless routes must ignore the router option).
func (l *Lease) routes(m *dhcpv4.DHCPv4) {
	if classless := m.ClasslessStaticRoute(); len(classless) > 0 {
		for _, r := range classless {
			l.addRoute(r.Dest.IP, r.Dest.Mask, r.Router)
		}
		return
	}
	l.Gateways = addrs(m.Router())
	pairs := dhcpv4.GetIPs(dhcpv4.OptionStaticRoutingTable, m.Options)
	for i := 0; i+1 < len(pairs); i += 2 {
		if !pairs[i].IsUnspecified() { // RFC 2132 §5.8: not for the default route
			l.addRoute(pairs[i], pairs[i].DefaultMask(), pairs[i+1])
		}
	}
}

// addRoute takes a route of an option. A router of 0.0.0.0 is a destination on the
// link (RFC 3442).
func (l *Lease) addRoute(dst net.IP, mask net.IPMask, router net.IP) {
	ones, size := mask.Size()
	a, ok := netip.AddrFromSlice(dst.To4())
	gw := addr(router)
	if !ok || size != 32 || a.IsMulticast() || !gw.IsValid() && !router.IsUnspecified() {
		return
	}
	if ones == 0 && gw.IsValid() {
		l.Gateways = append(l.Gateways, gw)
		return
	}
	l.Routes = append(l.Routes, Route{Dst: netip.PrefixFrom(a, ones).Masked(), Gateway: gw})
}

// times fills in what a server leaves out by RFC 2131 §4.4.5.
func (l *Lease) times(m *dhcpv4.DHCPv4) {
	l.LeaseTime = m.IPAddressLeaseTime(0)
	if l.LeaseTime >= infinite {
		l.LeaseTime = 0
	}
	l.T1 = m.IPAddressRenewalTime(l.LeaseTime / 2)
	l.T2 = m.IPAddressRebindingTime(l.LeaseTime * 7 / 8)
	if l.T1 > l.T2 || l.T2 > l.LeaseTime {
		l.T1, l.T2 = l.LeaseTime/2, l.LeaseTime*7/8
	}
}

// trimNUL takes away the zero bytes that some servers end strings with.
func trimNUL(s string) string { return strings.TrimRight(s, "\x00") }

// printable is "" for what could not be shown on a console.
func printable(s string) string {
	s = trimNUL(s)
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return s
}

// errNAK is a server's refusal, after which RFC 2131 starts anew.
var errNAK = errors.New("the DHCP server refused the address that it had offered")
