package network

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/rfc1035label"
	"github.com/vishvananda/netlink"
)

const (
	mac0 = "52:54:00:00:00:10"
	mac1 = "52:54:00:00:00:11"
	mac2 = "52:54:00:00:00:12"
)

func mask24() dhcpv4.Modifier { return dhcpv4.WithNetmask(net.CIDRMask(24, 32)) }

func router(ip string) dhcpv4.Modifier { return dhcpv4.WithRouter(net.ParseIP(ip)) }

// TestDHCP is the usual case: one interface, and a server that says all it can. The
// address that firmware left goes.
func TestDHCP(t *testing.T) {
	l := newLab(t)
	if l == nil {
		return
	}
	l.wire("eth0", mac0)
	old, _ := netlink.ParseAddr("10.0.0.99/24")
	if err := netlink.AddrAdd(l.link("eth0"), old); err != nil {
		t.Fatal(err)
	}
	l.plug("eth0", "10.0.0.1/24")
	asked := make(chan *dhcpv4.DHCPv4, 8)
	answer := pool("10.0.0.5", "10.0.0.1", mask24(), router("10.0.0.1"), dhcpv4.WithDNS(net.IPv4(10, 0, 0, 2), net.IPv4(10, 0, 0, 3)),
		dhcpv4.WithLeaseTime(3600), dhcpv4.WithOption(dhcpv4.OptHostName("n1")), dhcpv4.WithOption(dhcpv4.OptDomainName("cluster.example")),
		dhcpv4.WithOption(dhcpv4.OptDomainSearch(&rfc1035label.Labels{Labels: []string{"a.example", "b.example"}})),
		dhcpv4.WithGeneric(dhcpv4.OptionInterfaceMTU, []byte{0x05, 0x78}), dhcpv4.WithServerIP(net.IPv4(10, 0, 0, 4)),
		dhcpv4.WithOption(dhcpv4.OptNTPServers(net.IPv4(10, 0, 0, 6))), dhcpv4.WithOption(dhcpv4.OptBootFileName("node.efi")),
		dhcpv4.WithOption(dhcpv4.OptRootPath("nfs:/x")), dhcpv4.WithOption(dhcpv4.OptTFTPServerName("10.0.0.7")))
	l.serve4("eth0", func(m *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 { asked <- m; return answer(m) })
	lease := l.mustUp(Config{Nameserver: []string{"10.9.9.9"}})
	equal(t, "addresses", l.addresses("eth0"), "10.0.0.5/24")
	equal(t, "routes", l.routes("eth0", netlink.FAMILY_V4), "0.0.0.0/0 via 10.0.0.1")
	equal(t, "MTU", l.link("eth0").Attrs().MTU, 1400)
	equal(t, "resolv.conf", string(lease.ResolvConf()), "# Written at boot for eth0 (dhcp).\nsearch a.example b.example\nnameserver 10.9.9.9\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n")
	equal(t, "host name", lease.Hostname+" "+lease.Domain, "n1 cluster.example")
	equal(t, "servers", lease.NextServer.String()+" "+lease.BootFile+" "+lease.RootPath+" "+lease.TFTPServer+" "+joined(lease.NTP, ","), "10.0.0.4 node.efi nfs:/x 10.0.0.7 10.0.0.6")
	equal(t, "times", lease.LeaseTime.String()+" "+lease.T1.String()+" "+lease.T2.String(), "1h0m0s 30m0s 52m30s")
	for _, kind := range []dhcpv4.MessageType{dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest} {
		m := <-asked
		for m.MessageType() != kind {
			m = <-asked
		}
		equal(t, "vendor class", m.ClassIdentifier(), "rootcast")
		if id := m.Options.Get(dhcpv4.OptionClientIdentifier); !bytes.Equal(id, []byte{1, 0x52, 0x54, 0, 0, 0, 0x10}) {
			t.Errorf("the client identifier is %x", id)
		}
		for _, o := range []dhcpv4.OptionCode{dhcpv4.OptionInterfaceMTU, dhcpv4.OptionClasslessStaticRoute, dhcpv4.OptionBootfileName} {
			if !m.IsOptionRequested(o) {
				t.Errorf("%s does not ask for option %s", kind, o)
			}
		}
	}
}

// TestSecondAnswers has two links and a server on one, and an interface without a
// link; the others are set down.
func TestSecondAnswers(t *testing.T) {
	l := newLab(t)
	if l == nil {
		return
	}
	l.wire("eth0", mac0)
	l.wire("eth1", mac1)
	l.wire("eth2", mac2)
	l.plug("eth0", "10.0.0.1/24")
	l.plug("eth1", "10.0.1.1/24")
	l.serve4("eth1", pool("10.0.1.5", "10.0.1.1", mask24()))
	lease := l.mustUp(Config{})
	equal(t, "interface", lease.Interface, "eth1")
	equal(t, "eth0 is up", l.isUp("eth0"), false)
	equal(t, "eth1 is up", l.isUp("eth1"), true)
	equal(t, "eth2 is up", l.isUp("eth2"), false)
}

// TestBootIF picks the interface that does not answer first, of three that would.
func TestBootIF(t *testing.T) {
	l := newLab(t)
	if l == nil {
		return
	}
	for i, mac := range []string{mac0, mac1, mac2} {
		name, net := "eth"+string(rune('0'+i)), "10.0."+string(rune('0'+i))
		l.wire(name, mac)
		l.plug(name, net+".1/24")
		l.serve4(name, pool(net+".5", net+".1", mask24()))
	}
	lease := l.mustUp(Config{BootIF: "01-" + strings.ReplaceAll(mac2, ":", "-")})
	equal(t, "interface", lease.Interface, "eth2")
	equal(t, "eth0 is up", l.isUp("eth0"), false)
}

// TestLate has the interface appear, and then its link come up, while Up waits.
func TestLate(t *testing.T) {
	l := newLab(t)
	if l == nil {
		return
	}
	begin, done := time.Now(), make(chan struct{})
	go func() {
		defer close(done)
		time.Sleep(300 * time.Millisecond) // what is tested is waiting
		l.wire("eth0", mac0)
		time.Sleep(300 * time.Millisecond)
		l.plug("eth0", "10.0.0.1/24")
		l.serve4("eth0", pool("10.0.0.5", "10.0.0.1", mask24()))
	}()
	lease := l.mustUp(Config{NetDev: mac0})
	<-done
	equal(t, "addresses", joined(lease.Addresses, " "), "10.0.0.5/24")
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestNoCarrier(t *testing.T) {
	l := newLab(t)
	if l == nil {
		return
	}
	l.wire("eth0", mac0)
	l.wire("eth1", mac1)
	l.fails(Config{LinkWait: 300 * time.Millisecond}, "eth0 ("+mac0+"): no carrier: check the cable and the switch port", "eth1 ("+mac1+"): no carrier")
}

func TestNoInterface(t *testing.T) {
	l := newLab(t)
	if l == nil {
		return
	}
	l.fails(Config{LinkWait: 100 * time.Millisecond}, "no sign of a network interface", "the node has no network interface; check that it has a network card", "driver")
	l.wire("eth0", mac0)
	l.fails(Config{LinkWait: 100 * time.Millisecond, BootIF: mac1}, mac1, "BOOTIF=", "the node has eth0 ("+mac0+"); check the address")
	l.fails(Config{LinkWait: 100 * time.Millisecond, NetDev: "eno1"}, "the interface eno1 of netdev=eno1", "the node has eth0", "check the name", "the kernel's own names")
	l.fails(Config{LinkWait: 100 * time.Millisecond, VLAN: []string{"v5:eth7"}}, "vlan=v5: there is no interface eth7", "the node has eth0 ("+mac0+"); check the name")
}

// TestNoAnswer fails with what to check, and can be tried again.
func TestNoAnswer(t *testing.T) {
	l := newLab(t)
	if l == nil {
		return
	}
	l.wire("eth0", mac0)
	l.wire("eth1", mac1)
	l.wire("eth2", mac2)
	l.plug("eth0", "10.0.0.1/24")
	l.plug("eth1", "")
	short := Config{DHCPWait: 700 * time.Millisecond, LinkWait: 500 * time.Millisecond, IP: []string{"dhcp"}}
	l.fails(short, "no DHCP answer on eth0, eth1 within 700ms", "knows "+mac0+", "+mac1, "switch port", "eth2 ("+mac2+"): no carrier")
	l.serve4("eth0", pool("10.0.0.5", "10.0.0.1", mask24()))
	equal(t, "interface", l.mustUp(Config{}).Interface, "eth0")
}

// TestCancel ends at once, whatever is waited for.
func TestCancel(t *testing.T) {
	l := newLab(t)
	if l == nil {
		return
	}
	l.wire("eth0", mac0)
	l.plug("eth0", "")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	begin := time.Now()
	if _, err := Up(ctx, Config{}); err == nil || ctx.Err() == nil {
		t.Fatalf("the error is %v", err)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestNAK is refused once, and gets other things that are no answer for it.
func TestNAK(t *testing.T) {
	l := newLab(t)
	if l == nil {
		return
	}
	l.wire("eth0", mac0)
	l.plug("eth0", "10.0.0.1/24")
	var requests, discovers atomic.Int32
	answer := pool("10.0.0.5", "10.0.0.1", mask24())
	l.serve4("eth0", func(m *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		switch {
		case m.MessageType() == dhcpv4.MessageTypeDiscover && discovers.Add(1) == 1:
			return reply(m, dhcpv4.MessageTypeOffer, "0.0.0.0", "10.0.0.1") // a proxy's
		case m.MessageType() == dhcpv4.MessageTypeRequest && requests.Add(1) == 1:
			return reply(m, dhcpv4.MessageTypeNak, "0.0.0.0", "10.0.0.1", dhcpv4.WithOption(dhcpv4.OptMessage("not today")))
		}
		return answer(m)
	})
	l.mustUp(Config{IP: []string{"eth0:dhcp"}})
	equal(t, "addresses", l.addresses("eth0"), "10.0.0.5/24")
	equal(t, "requests", requests.Load(), 2)
	if log := strings.Join(l.lines, "\n"); !strings.Contains(log, `10.0.0.1 says "not today"`) {
		t.Errorf("the log does not tell of the refusal:\n%s", log)
	}
}

// TestBadAddress gets an address that no host can have, and then a good one.
func TestBadAddress(t *testing.T) {
	l := newLab(t)
	if l == nil {
		return
	}
	l.wire("eth0", mac0)
	l.plug("eth0", "10.0.0.1/24")
	var n atomic.Int32
	l.serve4("eth0", func(m *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		if n.Add(1) <= 2 {
			return pool("127.0.0.5", "10.0.0.1", mask24())(m)
		}
		return pool("10.0.0.5", "10.0.0.1", mask24())(m)
	})
	l.mustUp(Config{IP: []string{"dhcp"}})
	equal(t, "addresses", l.addresses("eth0"), "10.0.0.5/24")
}

// TestClassless has a gateway outside of the network, and a route on the link.
func TestClassless(t *testing.T) {
	l := newLab(t)
	if l == nil {
		return
	}
	l.wire("eth0", mac0)
	l.plug("eth0", "10.0.0.1/24")
	_, all, _ := net.ParseCIDR("0.0.0.0/0")
	_, one, _ := net.ParseCIDR("192.168.5.1/32")
	_, two, _ := net.ParseCIDR("172.16.0.0/12")
	l.serve4("eth0", pool("10.0.0.5", "10.0.0.1", dhcpv4.WithNetmask(net.CIDRMask(32, 32)), router("10.0.0.77"), dhcpv4.WithOption(dhcpv4.OptClasslessStaticRoute(
		&dhcpv4.Route{Dest: one, Router: net.IPv4zero}, &dhcpv4.Route{Dest: two, Router: net.IPv4(192, 168, 5, 1)}, &dhcpv4.Route{Dest: all, Router: net.IPv4(192, 168, 5, 1)},
	))))
	l.mustUp(Config{IP: []string{"dhcp"}})
	equal(t, "addresses", l.addresses("eth0"), "10.0.0.5/32")
	equal(t, "routes", l.routes("eth0", netlink.FAMILY_V4), "0.0.0.0/0 via 192.168.5.1 onlink, 172.16.0.0/12 via 192.168.5.1 onlink, 192.168.5.1/32")
}

func TestStatic(t *testing.T) {
	l := newLab(t)
	if l == nil {
		return
	}
	l.wire("eth0", mac0)
	l.wire("eth1", mac1)
	l.plug("eth1", "10.0.0.1/24")
	lease := l.mustUp(Config{IP: []string{"10.0.0.5:10.0.0.2:10.0.0.1:255.255.255.0:n1:eth1:none:10.0.0.3:10.0.0.4:10.0.0.6"}})
	equal(t, "addresses", l.addresses("eth1"), "10.0.0.5/24")
	equal(t, "routes", l.routes("eth1", netlink.FAMILY_V4), "0.0.0.0/0 via 10.0.0.1")
	equal(t, "lease", lease.String(), "eth1 ("+mac1+"): 10.0.0.5/24 by static, gateway 10.0.0.1, name servers 10.0.0.3, 10.0.0.4")
	equal(t, "servers", lease.NextServer.String()+" "+joined(lease.NTP, ","), "10.0.0.2 10.0.0.6")
	equal(t, "eth0 is up", l.isUp("eth0"), false)
}

func TestStatic6(t *testing.T) {
	l := newLab(t)
	if l == nil {
		return
	}
	l.wire("eth0", mac0)
	l.plug("eth0", "fd00:1::1/64")
	l.mustUp(Config{IP: []string{"[fd00:1::5/64]::[fd00:1::1]:::eth0:none:1400"}})
	equal(t, "addresses", l.addresses("eth0"), "fd00:1::5/64")
	equal(t, "routes", l.routes("eth0", netlink.FAMILY_V6), "::/0 via fd00:1::1")
	equal(t, "MTU", l.link("eth0").Attrs().MTU, 1400)
	l.fails(Config{IP: []string{"[fd00:1::1/64]:::::eth0:none"}}, "another host on the network has it")
}

// TestVLAN asks through a VLAN, or gets the error of a kernel that has none.
func TestVLAN(t *testing.T) {
	l := newLab(t)
	if l == nil {
		return
	}
	l.wire("eth0", mac0)
	l.plug("eth0", "")
	c := Config{VLAN: []string{"eth0.100:eth0"}}
	if !l.knows("vlan") {
		l.fails(c, "making eth0.100", "has the module 8021q")
		l.lacks("VLANs (8021q)")
	}
	l.atPeer(func() {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.ParentIndex = "v100", l.link("eth0").Attrs().Index
		if err := netlink.LinkAdd(&netlink.Vlan{LinkAttrs: attrs, VlanId: 100}); err != nil {
			t.Fatal(err)
		}
	})
	l.plug("v100", "10.0.0.1/24")
	l.serve4("v100", pool("10.0.0.5", "10.0.0.1", mask24()))
	for range 2 { // a second time over what the first has made
		lease := l.mustUp(c)
		equal(t, "interface", lease.Interface+" "+lease.Parent, "eth0.100 eth0")
		equal(t, "addresses", l.addresses("eth0.100"), "10.0.0.5/24")
		equal(t, "eth0 is up", l.isUp("eth0"), true)
	}
}

// TestBond asks through a bond, or gets the error of a kernel that has none.
func TestBond(t *testing.T) {
	l := newLab(t)
	if l == nil {
		return
	}
	l.wire("eth0", mac0)
	l.wire("eth1", mac1)
	l.plug("eth0", "10.0.0.1/24")
	c := Config{Bond: []string{"bond0:eth0,eth1:mode=active-backup,miimon=50,primary=eth0:1400"}, IP: []string{"dhcp"}}
	if !l.knows("bond") {
		l.fails(c, "making bond0", "has the module bonding")
		l.lacks("bonds (bonding)")
	}
	l.serve4("eth0", pool("10.0.0.5", "10.0.0.1", mask24()))
	for range 2 {
		lease := l.mustUp(c)
		equal(t, "interface", lease.Interface+" "+strings.Join(lease.Slaves, ","), "bond0 eth0,eth1")
		equal(t, "addresses", l.addresses("bond0"), "10.0.0.5/24")
		equal(t, "MTU", l.link("eth1").Attrs().MTU, 1400)
	}
}

// knows tells whether the kernel can make such devices.
func (l *lab) knows(kind string) bool {
	l.t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "probe"
	var link netlink.Link = netlink.NewLinkBond(attrs)
	if kind == "vlan" {
		attrs.ParentIndex = l.link("eth0").Attrs().Index
		link = &netlink.Vlan{LinkAttrs: attrs, VlanId: 4000}
	}
	if err := netlink.LinkAdd(link); err != nil {
		return false
	}
	if err := netlink.LinkDel(link); err != nil {
		l.t.Fatal(err)
	}
	return true
}
