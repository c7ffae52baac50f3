package network

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

func ack(t testing.TB, modifiers ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	t.Helper()
	m, err := dhcpv4.NewDiscovery(hw0)
	if err != nil {
		t.Fatal(err)
	}
	return reply(m, dhcpv4.MessageTypeAck, "10.0.0.5", "10.0.0.1", modifiers...)
}

func TestFromACK(t *testing.T) {
	for _, c := range []struct {
		name string
		with []dhcpv4.Modifier
		got  func(*Lease) string
		want string
	}{
		{"the class's mask", nil, func(l *Lease) string { return joined(l.Addresses, " ") }, "10.0.0.5/8"},
		{"for ever", []dhcpv4.Modifier{dhcpv4.WithLeaseTime(0xffffffff)}, func(l *Lease) string { return l.LeaseTime.String() + l.T1.String() + l.T2.String() }, "0s0s0s"},
		{"a host name with a line of its own", []dhcpv4.Modifier{dhcpv4.WithOption(dhcpv4.OptHostName("n1\nDNS=6.6.6.6"))}, func(l *Lease) string { return l.Hostname }, ""},
		{"a host name with a zero byte", []dhcpv4.Modifier{dhcpv4.WithOption(dhcpv4.OptHostName("n1\x00"))}, func(l *Lease) string { return l.Hostname }, "n1"},
		{"a domain with a line of its own", []dhcpv4.Modifier{dhcpv4.WithOption(dhcpv4.OptDomainName("a\";\nx"))}, func(l *Lease) string { return l.Domain }, ""},
		{"a list for a domain", []dhcpv4.Modifier{dhcpv4.WithOption(dhcpv4.OptDomainName("a.example b.example"))}, func(l *Lease) string { return l.Domain + " " + strings.Join(l.Search, ",") }, "a.example a.example,b.example"},
		{"an MTU of 68", []dhcpv4.Modifier{dhcpv4.WithGeneric(dhcpv4.OptionInterfaceMTU, []byte{0, 68})}, func(l *Lease) string { return string(rune('0' + l.MTU)) }, "0"},
		{"a name server of zeros", []dhcpv4.Modifier{dhcpv4.WithDNS(net.IPv4zero, net.IPv4(10, 0, 0, 3), net.IPv4bcast)}, func(l *Lease) string { return joined(l.DNS, " ") }, "10.0.0.3"},
		{"static routes by class", []dhcpv4.Modifier{dhcpv4.WithGeneric(dhcpv4.OptionStaticRoutingTable, []byte{172, 16, 0, 0, 10, 0, 0, 9, 0, 0, 0, 0, 10, 0, 0, 9})}, func(l *Lease) string { return joined(l.Routes, " ") }, "172.16.0.0/16 via 10.0.0.9"},
		{"the boot file of the header", []dhcpv4.Modifier{func(d *dhcpv4.DHCPv4) { d.BootFileName = "x.efi" }}, func(l *Lease) string { return l.BootFile }, "x.efi"},
		{"a boot file with colours", []dhcpv4.Modifier{dhcpv4.WithOption(dhcpv4.OptBootFileName("\x1b[31m"))}, func(l *Lease) string { return l.BootFile }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := fromACK(ack(t, c.with...))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "lease", c.got(l), c.want)
		})
	}
	for _, ip := range []string{"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"} {
		if _, err := fromACK(ack(t, dhcpv4.WithYourIP(net.ParseIP(ip)))); err == nil || !strings.Contains(err.Error(), "10.0.0.1") {
			t.Errorf("%s: the error is %v", ip, err)
		}
	}
	if _, err := fromACK(ack(t, dhcpv4.WithNetmask(net.IPMask{255, 0, 255, 0}))); err == nil {
		t.Error("a mask with holes is taken")
	}
}

// TestInfiniBand has the form of RFC 4390: no hardware address, a client identifier,
// and the wish for a broadcast.
func TestInfiniBand(t *testing.T) {
	d := &dhcp4{iface: iface{name: "ib0", hw: ib0, infiniband: true}}
	m, err := dhcpv4.NewDiscovery(d.hwaddr(), d.options()...)
	if err != nil {
		t.Fatal(err)
	}
	b := m.ToBytes()
	equal(t, "hardware type, length", [2]byte{b[1], b[2]}, [2]byte{32, 0})
	equal(t, "broadcast", m.IsBroadcast(), true)
	equal(t, "client identifier", net.HardwareAddr(m.Options.Get(dhcpv4.OptionClientIdentifier)).String(), "ff:00:00:00:00:00:02:00:00:02:c9:00:00:02:c9:03:00:12:34:56")
	equal(t, "DUID", net.HardwareAddr((&ip6{iface: d.iface}).duid().ToBytes()).String(), "00:03:00:20:00:02:c9:03:00:12:34:56")
}

// FuzzFromACK wants that no answer of a server crashes the node, or brings lines of
// its own into the files of the hand-over.
func FuzzFromACK(f *testing.F) {
	f.Add(ack(f, mask24(), router("10.0.0.1"), dhcpv4.WithOption(dhcpv4.OptHostName("n1")), dhcpv4.WithDomainSearchList("a.example"), dhcpv4.WithLeaseTime(600)).ToBytes())
	_, all, _ := net.ParseCIDR("0.0.0.0/0")
	f.Add(ack(f, dhcpv4.WithOption(dhcpv4.OptClasslessStaticRoute(&dhcpv4.Route{Dest: all, Router: net.IPv4(10, 0, 0, 1)}))).ToBytes())
	f.Add(ack(f, dhcpv4.WithGeneric(dhcpv4.OptionStaticRoutingTable, make([]byte, 9)), dhcpv4.WithGeneric(dhcpv4.OptionSubnetMask, []byte{255})).ToBytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := dhcpv4.FromBytes(b)
		if err != nil {
			return
		}
		l, err := fromACK(m)
		if err != nil {
			return
		}
		l.Interface, l.MAC = "eth0", hw0
		if len(l.Addresses) != 1 || !l.Addresses[0].IsValid() {
			t.Fatalf("the addresses are %v", l.Addresses)
		}
		for _, text := range [][]byte{l.ResolvConf(), l.dhclientLease(), l.networkdFile(), l.nmProfile("x")} {
			for _, c := range text {
				if c != '\n' && (c < ' ' || c > '~') {
					t.Fatalf("there is a byte %#x in\n%s", c, text)
				}
			}
		}
		for line := range strings.Lines(string(l.dhclientLease())) {
			if strings.Count(line, `"`)%2 != 0 || strings.Count(line, ";") > 1 {
				t.Fatalf("there is a line %q", line)
			}
		}
		for _, r := range l.Routes {
			if !r.Dst.IsValid() || r.Dst != r.Dst.Masked() {
				t.Fatalf("there is a route to %v", r.Dst)
			}
		}
		for _, a := range append(append([]netip.Addr(nil), l.DNS...), l.Gateways...) {
			if !a.Is4() || a.IsUnspecified() {
				t.Fatalf("there is a server %v", a)
			}
		}
	})
}
