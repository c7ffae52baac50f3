package network

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// ifupdown lets ifup run dhclient with the lease at hand, or keeps it from touching
// the interface. dhclient asks for a lease in its file first (INIT-REBOOT, RFC 2131
// §4.3.2), and its script takes an address away only when another one comes. With
// an entry in ifstate it would never start, and nobody would renew.
func (h *handover) ifupdown() {
	l := h.lease
	if l.Method == DHCP && h.has("sbin/dhclient", "usr/sbin/dhclient") {
		h.write("var/lib/dhcp/dhclient."+l.Interface+".leases", 0o644, l.dhclientLease())
		return
	}
	h.write("run/network/ifstate", 0o644, []byte(l.Interface+"="+l.Interface+"\n"))
}

// dhclientLease is the lease as a dhclient.leases(5).
func (l *Lease) dhclientLease() []byte {
	var b bytes.Buffer
	p := l.Addresses[0]
	fmt.Fprintf(&b, "lease {\n  interface \"%s\";\n  fixed-address %s;\n", l.Interface, p.Addr())
	option := func(name, format string, value any) { fmt.Fprintf(&b, "  option %s "+format+";\n", name, value) }
	option("subnet-mask", "%s", net.IP(net.CIDRMask(p.Bits(), 32)))
	list := func(name string, addrs []netip.Addr) {
		if len(addrs) > 0 {
			option(name, "%s", joined(addrs, ","))
		}
	}
	if l.LeaseTime > 0 {
		option("dhcp-lease-time", "%d", l.LeaseTime/time.Second)
	} else {
		option("dhcp-lease-time", "%d", uint32(infinite/time.Second))
	}
	option("dhcp-message-type", "%d", 5) // ACK
	if l.ServerID.IsValid() {
		option("dhcp-server-identifier", "%s", l.ServerID)
	}
	list("routers", l.Gateways)
	list("domain-name-servers", l.DNS)
	list("ntp-servers", l.NTP)
	if l.MTU != 0 {
		option("interface-mtu", "%d", l.MTU)
	}
	if l.Hostname != "" {
		option("host-name", "%q", l.Hostname)
	}
	if l.Domain != "" {
		option("domain-name", "%q", l.Domain)
	}
	for _, t := range []struct {
		name  string
		after time.Duration
	}{{"renew", l.T1}, {"rebind", l.T2}, {"expire", l.LeaseTime}} {
		if l.LeaseTime == 0 {
			fmt.Fprintf(&b, "  %s never;\n", t.name)
			continue
		}
		at := l.Obtained.Add(t.after).UTC()
		fmt.Fprintf(&b, "  %s %d %s;\n", t.name, at.Weekday(), at.Format("2006/01/02 15:04:05"))
	}
	b.WriteString("}\n")
	return b.Bytes()
}
