package network

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

// Lease is what the boot interface was given, and what the booted system needs to
// go on with it.
type Lease struct {
	Interface string
	Index     int              // the kernel's number of the interface
	MAC       net.HardwareAddr // 20 bytes for InfiniBand
	Method    Method           // never Any: what the answer came by

	Addresses []netip.Prefix
	Gateways  []netip.Addr // of the default route, the best first
	Routes    []Route      // others than the default route
	MTU       int          // 0: nobody set one

	DNS        []netip.Addr
	Search     []string
	Hostname   string // without domain as a rule
	Domain     string
	NTP        []netip.Addr
	NextServer netip.Addr // siaddr, or the server of ip=
	TFTPServer string     // option 66, a name or an address
	BootFile   string     // a path, or the URL of DHCPv6
	RootPath   string     // option 17

	Obtained          time.Time
	LeaseTime, T1, T2 time.Duration // 0: for ever
	ServerID          netip.Addr    // of DHCPv4
	ClientID          []byte        // option 61, or the DUID of DHCPv6

	Parent string   // the interface below a VLAN
	Slaves []string // the interfaces of a bond
}

// Route is a route by way of the boot interface.
type Route struct {
	Dst     netip.Prefix
	Gateway netip.Addr // not valid: the destination is on the link
}

// infinite is the lease time that means for ever (RFC 2131 §3.3, RFC 8415 §7.7).
const infinite = 0xffffffff * time.Second

// maxNameservers is MAXNS of resolv.conf(5): what stands behind is never asked.
const maxNameservers = 3

// ResolvConf is the lease as a resolv.conf(5); without name servers it holds a
// comment only.
func (l *Lease) ResolvConf() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Written at boot for %s (%s).\n", l.Interface, l.Method)
	search := l.searchList()
	if len(search) > 0 {
		b.WriteString("search")
		for _, s := range search {
			b.WriteString(" " + s)
		}
		b.WriteByte('\n')
	}
	for _, a := range l.DNS[:min(len(l.DNS), maxNameservers)] {
		fmt.Fprintf(&b, "nameserver %s\n", zoned(a, l.Interface))
	}
	return b.Bytes()
}

// zoned names the interface of a link-local address: without it nothing can be sent.
func zoned(a netip.Addr, iface string) netip.Addr {
	if a.Is6() && a.IsLinkLocalUnicast() {
		return a.WithZone(iface)
	}
	return a
}

func (l *Lease) searchList() []string {
	if len(l.Search) == 0 && l.Domain != "" {
		return []string{l.Domain}
	}
	return l.Search
}

// String is the lease in one line for the console.
func (l *Lease) String() string {
	s := fmt.Sprintf("%s (%s): %s by %s", l.Interface, l.MAC, joined(l.Addresses, ", "), l.Method)
	if len(l.Gateways) > 0 {
		s += fmt.Sprintf(", gateway %s", l.Gateways[0])
	}
	if len(l.DNS) > 0 {
		s += ", name servers " + joined(l.DNS, ", ")
	}
	return s
}

func joined[T fmt.Stringer](list []T, sep string) string {
	var b bytes.Buffer
	for i, v := range list {
		if i > 0 {
			b.WriteString(sep)
		}
		b.WriteString(v.String())
	}
	return b.String()
}

// addNames keeps of a server's domain names those that are names: what is written
// to files must not bring lines of its own.
func (l *Lease) addNames(names ...string) {
	for _, n := range names {
		if n = trimDot(n); isHostname(n) && !slices.Contains(l.Search, n) {
			l.Search = append(l.Search, n)
		}
	}
}

func trimDot(s string) string {
	if n := len(s); n > 1 && s[n-1] == '.' {
		return s[:n-1]
	}
	return s
}

// addrs keeps the addresses that can be a host's, each once.
func addrs(ips []net.IP) []netip.Addr {
	var list []netip.Addr
	for _, ip := range ips {
		if a := addr(ip); a.IsValid() && !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list
}

// addr is not valid for what cannot be a host's address.
func addr(ip net.IP) netip.Addr {
	a, ok := netip.AddrFromSlice(ip)
	if a = a.Unmap(); !ok || a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return netip.Addr{}
	}
	return a
}
