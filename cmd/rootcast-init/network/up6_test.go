package network

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/dhcpv6/server6"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/mdlayher/ndp"
	"github.com/vishvananda/netlink"
	"golang.org/x/net/ipv6"
)

// router6 answers router solicitations on the far end.
func (l *lab) router6(name string, ra *ndp.RouterAdvertisement) {
	l.t.Helper()
	l.atPeer(func() {
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/accept_dad", []byte("0"), 0); err != nil {
			l.t.Fatal(err)
		}
	})
	l.plug(name, "fe80::1/64")
	l.atPeer(func() {
		ifi, err := net.InterfaceByName(name)
		if err != nil {
			l.t.Fatal(err)
		}
		conn, _, err := ndp.Listen(ifi, ndp.Addr("fe80::1"))
		if err != nil {
			l.t.Fatal(err)
		}
		if err := conn.JoinGroup(netip.IPv6LinkLocalAllRouters()); err != nil {
			l.t.Fatal(err)
		}
		var filter ipv6.ICMPFilter
		filter.SetAll(true)
		filter.Accept(ipv6.ICMPTypeRouterSolicitation)
		if err := conn.SetICMPFilter(&filter); err != nil {
			l.t.Fatal(err)
		}
		l.t.Cleanup(func() { _ = conn.Close() })
		go func() {
			for {
				if _, _, _, err := conn.ReadFrom(); err != nil {
					return
				}
				_ = conn.WriteTo(ra, nil, netip.IPv6LinkLocalAllNodes())
			}
		}()
	})
}

func prefix(autonomous bool) *ndp.PrefixInformation {
	return &ndp.PrefixInformation{
		PrefixLength: 64, OnLink: true, AutonomousAddressConfiguration: autonomous,
		ValidLifetime: time.Hour, PreferredLifetime: time.Hour, Prefix: netip.MustParseAddr("fd00:2::"),
	}
}

// serve6 answers DHCPv6 on the far end.
func (l *lab) serve6(name string, answer func(*dhcpv6.Message) *dhcpv6.Message) {
	l.t.Helper()
	l.atPeer(func() {
		handler := func(conn net.PacketConn, to net.Addr, m dhcpv6.DHCPv6) {
			inner, err := m.GetInnerMessage()
			if err != nil {
				return
			}
			if r := answer(inner); r != nil {
				_, _ = conn.WriteTo(r.ToBytes(), to)
			}
		}
		server, err := server6.NewServer(name, nil, handler)
		if err != nil {
			l.t.Fatal(err)
		}
		go func() { _ = server.Serve() }()
		l.t.Cleanup(func() { _ = server.Close() })
	})
}

// pool6 gives everybody one address.
func pool6(ip string) func(*dhcpv6.Message) *dhcpv6.Message {
	return func(m *dhcpv6.Message) *dhcpv6.Message {
		options := []dhcpv6.Modifier{
			dhcpv6.WithServerID(&dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}}),
			dhcpv6.WithDNS(net.ParseIP("fd00:2::53")), dhcpv6.WithDomainSearchList("six.example"),
		}
		if ia := m.Options.OneIANA(); ia != nil {
			options = append(options, dhcpv6.WithIAID(ia.IaId), dhcpv6.WithIANA(dhcpv6.OptIAAddress{IPv6Addr: net.ParseIP(ip), PreferredLifetime: time.Hour, ValidLifetime: 2 * time.Hour}))
		}
		make := dhcpv6.NewReplyFromMessage
		if m.MessageType == dhcpv6.MessageTypeSolicit {
			make = dhcpv6.NewAdvertiseFromSolicit
		}
		r, err := make(m, options...)
		if err != nil {
			panic(err)
		}
		return r
	}
}

// TestAuto6 takes the kernel's address and the router's name server.
func TestAuto6(t *testing.T) {
	l := newLab(t)
	if l == nil {
		return
	}
	l.wire("eth0", mac0)
	l.router6("eth0", &ndp.RouterAdvertisement{RouterLifetime: time.Hour, Options: []ndp.Option{
		prefix(true), &ndp.RecursiveDNSServer{Lifetime: time.Hour, Servers: []netip.Addr{netip.MustParseAddr("fd00:2::53"), netip.MustParseAddr("fe80::1")}},
		&ndp.DNSSearchList{Lifetime: time.Hour, DomainNames: []string{"auto.example"}},
	}})
	lease := l.mustUp(Config{IP: []string{"eth0:auto6"}})
	equal(t, "method", lease.Method, Auto6)
	equal(t, "addresses", l.addresses("eth0"), "fd00:2::5054:ff:fe00:10/64")
	equal(t, "lease", joined(lease.Addresses, " ")+" "+joined(lease.Gateways, " "), "fd00:2::5054:ff:fe00:10/64 fe80::1")
	equal(t, "resolv.conf", string(lease.ResolvConf()), "# Written at boot for eth0 (auto6).\nsearch auto.example\nnameserver fd00:2::53\nnameserver fe80::1%eth0\n")
}

// TestAnyIs6 has no IPv4 at all, and a server that only knows name servers.
func TestAnyIs6(t *testing.T) {
	l := newLab(t)
	if l == nil {
		return
	}
	l.wire("eth0", mac0)
	l.router6("eth0", &ndp.RouterAdvertisement{RouterLifetime: time.Hour, OtherConfiguration: true, Options: []ndp.Option{prefix(true)}})
	l.serve6("eth0", pool6("fd00:2::5"))
	lease := l.mustUp(Config{})
	equal(t, "method", lease.Method, Auto6)
	equal(t, "name servers", joined(lease.DNS, " "), "fd00:2::53")
}

// TestManaged6 follows the router to DHCPv6; the answer to the first request is lost.
func TestManaged6(t *testing.T) {
	l := newLab(t)
	if l == nil {
		return
	}
	l.wire("eth0", mac0)
	l.router6("eth0", &ndp.RouterAdvertisement{RouterLifetime: time.Hour, ManagedConfiguration: true, Options: []ndp.Option{prefix(false)}})
	answer := pool6("fd00:2::5")
	var requests atomic.Int32
	var id atomic.Value
	l.serve6("eth0", func(m *dhcpv6.Message) *dhcpv6.Message {
		id.Store(string(m.Options.ClientID().ToBytes()))
		if m.MessageType == dhcpv6.MessageTypeRequest && requests.Add(1) == 1 {
			return nil
		}
		return answer(m)
	})
	lease := l.mustUp(Config{IP: []string{"auto6"}})
	equal(t, "method", lease.Method, DHCP6)
	equal(t, "addresses", l.addresses("eth0"), "fd00:2::5/128")
	equal(t, "routes", l.routes("eth0", netlink.FAMILY_V6), "::/0 via fe80::1")
	equal(t, "lease time", lease.LeaseTime, 2*time.Hour)
	equal(t, "search", lease.searchList()[0], "six.example")
	equal(t, "client", fmt.Sprint(id.Load()), "\x00\x03\x00\x01\x52\x54\x00\x00\x00\x10")
}

// TestDHCP6 has no router; its server speaks the short exchange.
func TestDHCP6(t *testing.T) {
	l := newLab(t)
	if l == nil {
		return
	}
	l.wire("eth0", mac0)
	l.plug("eth0", "fe80::1/64")
	l.serve6("eth0", func(m *dhcpv6.Message) *dhcpv6.Message {
		r := pool6("fd00:2::5")(m)
		r.MessageType = dhcpv6.MessageTypeReply
		return r
	})
	equal(t, "method", l.mustUp(Config{IP: []string{"dhcp6"}}).Method, DHCP6)
	equal(t, "addresses", l.addresses("eth0"), "fd00:2::5/128")
}

func TestNoRouter(t *testing.T) {
	l := newLab(t)
	if l == nil {
		return
	}
	l.wire("eth0", mac0)
	l.plug("eth0", "")
	l.fails(Config{IP: []string{"auto6"}, DHCPWait: 3 * time.Second, LinkWait: time.Second}, "no router advertisement with a prefix on eth0 within 3s")
}
