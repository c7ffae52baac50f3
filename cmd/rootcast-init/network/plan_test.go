package network

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	hw0 = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 0x10}
	ib0 = net.HardwareAddr{0, 0, 1, 2, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 2, 0xc9, 3, 0, 0x12, 0x34, 0x56}
)

func TestParseIP(t *testing.T) {
	a, p := netip.MustParseAddr, netip.MustParsePrefix
	for _, c := range []struct {
		name, in string
		want     Link
	}{
		{"dracut's short form", "dhcp", Link{Method: DHCP}},
		{"nothing", "", Link{Method: Any}},
		{"the kernel's on", "on", Link{Method: Any}},
		{"both", "both", Link{Method: Any}},
		{"either6", "either6", Link{Method: Auto6}},
		{"interface and method", "eth0:dhcp6", Link{Device: Device{Name: "eth0"}, Method: DHCP6}},
		{"address and method", "52-54-00-00-00-10:dhcp", Link{Device: Device{HWAddr: hw0}, Method: DHCP}},
		{"with an MTU", "eth0:dhcp:9000", Link{Device: Device{Name: "eth0"}, Method: DHCP, MTU: 9000}},
		{"the kernel's form with nothing but a method", "::::::dhcp", Link{Method: DHCP}},
		{"a host name and an interface", "::::n1:eth0:dhcp", Link{Device: Device{Name: "eth0"}, Method: DHCP, Hostname: "n1"}},
		{"all the kernel's fields", "10.0.0.5:10.0.0.2:10.0.0.1:255.255.255.0:n1:eth0:none:10.0.0.3:10.0.0.4:10.0.0.6", Link{
			Device: Device{Name: "eth0"}, Method: Static, Address: p("10.0.0.5/24"), Gateway: a("10.0.0.1"), Server: a("10.0.0.2"),
			Hostname: "n1", DNS: []netip.Addr{a("10.0.0.3"), a("10.0.0.4")}, NTP: []netip.Addr{a("10.0.0.6")},
		}},
		{"pxelinux's IPAPPEND 1", "10.0.0.5:10.0.0.2:10.0.0.1:255.255.255.0", Link{Method: Static, Address: p("10.0.0.5/24"), Gateway: a("10.0.0.1"), Server: a("10.0.0.2")}},
		{"a boot loader's zeros", "10.0.0.5:0.0.0.0:0.0.0.0:255.255.255.0::eth0:off", Link{Device: Device{Name: "eth0"}, Method: Static, Address: p("10.0.0.5/24")}},
		{"a length for a netmask", "10.0.0.5:::24::eth0:", Link{Device: Device{Name: "eth0"}, Method: Static, Address: p("10.0.0.5/24")}},
		{"a prefix", "10.0.0.5/9", Link{Method: Static, Address: p("10.0.0.5/9")}},
		{"IPv6", "[fd00::5/64]::[fd00::1]:::eth0:none:[fd00::53]", Link{
			Device: Device{Name: "eth0"}, Method: Static, Address: p("fd00::5/64"), Gateway: a("fd00::1"), DNS: []netip.Addr{a("fd00::53")},
		}},
		{"IPv6, length outside of the brackets", "[fd00::5]::::::", Link{}},
		{"static with an MTU", "10.0.0.5:::24::eth0:none:9000", Link{Device: Device{Name: "eth0"}, Method: Static, Address: p("10.0.0.5/24"), MTU: 9000}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseIP(c.in)
			if c.want.Method == "" {
				if err == nil {
					t.Fatalf("no error, but %+v", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

// TestRefused wants each bad value refused with the argument, the value, and what is
// expected.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		config Config
		want   string
	}{
		{"no method", Config{IP: []string{"dchp"}}, `"dchp" is no address`},
		{"off", Config{IP: []string{"off"}}, "gives no address"},
		{"off for an interface", Config{IP: []string{"eth0:off"}}, "gives no address"},
		{"not supported", Config{IP: []string{"eth0:ibft"}}, "not supported: use dhcp"},
		{"no netmask", Config{IP: []string{"10.0.0.5::10.0.0.1::n1:eth0:none"}}, "255.255.255.0, 24 or 10.0.0.5/24 is expected"},
		{"holes in a netmask", Config{IP: []string{"10.0.0.5:::255.0.255.0::eth0:none"}}, `"255.0.255.0" of 10.0.0.5 is none`},
		{"a gateway alone", Config{IP: []string{"::10.0.0.1:255.255.255.0::eth0:dhcp"}}, "give the address first"},
		{"static and dhcp", Config{IP: []string{"10.0.0.5:::24::eth0:dhcp"}}, "leave one of them out"},
		{"two families", Config{IP: []string{"10.0.0.5::[fd00::1]:24::eth0:none"}}, "different families"},
		{"brackets", Config{IP: []string{"[fd00::5::eth0:none"}}, "brackets do not match"},
		{"IPv6 without brackets", Config{IP: []string{"fd00::5/64::fd00::1:::eth0:none"}}, "brackets"},
		{"too many fields", Config{IP: []string{"10.0.0.5:::24::eth0:none:10.0.0.1:10.0.0.1:10.0.0.1:x"}}, "is expected"},
		{"a MAC address to set", Config{IP: []string{"eth0:dhcp:1500:52:54:00:00:00:10"}}, "cannot be set"},
		{"a MAC address to set, long form", Config{IP: []string{"10.0.0.5:::24::eth0:none:1500:x"}}, "cannot be set"},
		{"MTU", Config{IP: []string{"eth0:dhcp:66"}}, "68 to 65535"},
		{"host name", Config{IP: []string{"::::a b::dhcp"}}, `host name "a b"`},
		{"interface", Config{IP: []string{"eth/0:dhcp"}}, "an interface's name"},
		{"an unspecified name server", Config{Nameserver: []string{"::"}}, "reading nameserver=::"},
		{"a name for a name server", Config{Nameserver: []string{"dns1"}}, "reading nameserver=dns1"},
		{"two ip=, one for any interface", Config{IP: []string{"dhcp", "eth0:dhcp"}}, "must name its interface"},
		{"two ip= for one interface", Config{IP: []string{"eth0:dhcp", "eth0:auto6"}}, "has another ip= already"},
		{"BOOTIF of words", Config{BootIF: "eth0"}, "reading BOOTIF=eth0: a hardware address is expected"},
		{"BOOTIF too short", Config{BootIF: "01-52-54-00"}, "reading BOOTIF=01-52-54-00"},
		{"BOOTIF of one-digit pairs", Config{BootIF: "1-5-5-0-0-1-2"}, "a hardware address is expected"},
		{"netdev too long", Config{NetDev: "averyveryverylongname"}, "reading netdev="},
		{"netdev of three pairs", Config{NetDev: "aa:bb:cc"}, "an interface's name or its MAC address"},
		{"VLAN without a parent", Config{VLAN: []string{"eth0.100"}}, "NAME:INTERFACE is expected"},
		{"VLAN 0", Config{VLAN: []string{"v0:eth0"}}, "from 1 to 4094"},
		{"VLAN 4095", Config{VLAN: []string{"v4095:eth0"}}, "from 1 to 4094"},
		{"VLAN without a number", Config{VLAN: []string{"storage:eth0"}}, "from 1 to 4094"},
		{"two VLANs of one name", Config{VLAN: []string{"v5:eth0", "v5:eth1"}}, "is used by vlan=v5 already"},
		{"bond without slaves", Config{Bond: []string{"bond0"}}, "NAME:INTERFACE,INTERFACE"},
		{"bond with a hole", Config{Bond: []string{"bond0:eth0,,eth1"}}, "NAME:INTERFACE,INTERFACE"},
		{"bond's mode", Config{Bond: []string{"bond0:eth0:mode=lacp"}}, "mode=lacp is none"},
		{"bond's option", Config{Bond: []string{"bond0:eth0:mde=1"}}, `no option "mde"`},
		{"bond's option without value", Config{Bond: []string{"bond0:eth0:miimon"}}, `"miimon" has no value`},
		{"bond's number", Config{Bond: []string{"bond0:eth0:miimon=often"}}, "miimon=often is no number"},
		{"bond's primary", Config{Bond: []string{"bond0:eth0:primary=eth7"}}, "primary=eth7 is none of its interfaces"},
		{"bond's MTU", Config{Bond: []string{"bond0:eth0::x"}}, "68 to 65535"},
		{"bond's target", Config{Bond: []string{"bond0:eth0:arp_ip_target=x"}}, "is no address"},
		{"an interface in two bonds", Config{Bond: []string{"bond0:eth0", "bond1:eth0"}}, "eth0 is used by bond=bond0 already"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(c.config)
			if err == nil {
				t.Fatal("it is not refused")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "reading ") || strings.Contains(err.Error(), "\n") {
				t.Errorf("the error is %q, wanted is one line with %q", err, c.want)
			}
		})
	}
}

func TestDevice(t *testing.T) {
	for _, c := range []struct {
		name   string
		config Config
		want   string
	}{
		{"none", Config{}, "any interface"},
		{"BOOTIF of pxelinux", Config{BootIF: "01-52-54-00-00-00-10"}, mac0},
		{"BOOTIF plain", Config{BootIF: "52:54:00:00:00:10"}, mac0},
		{"BOOTIF in capitals", Config{BootIF: "01-52-54-00-00-00-1A"}, "52:54:00:00:00:1a"},
		{"netdev before BOOTIF", Config{BootIF: mac0, NetDev: "eth3"}, "eth3"},
		{"netdev by address", Config{NetDev: mac1}, mac1},
		{"bond before both", Config{BootIF: mac0, NetDev: "eth3", Bond: []string{"bond0:eth0,eth1"}}, "bond0"},
		{"VLAN before bond", Config{Bond: []string{"bond0:eth0,eth1"}, VLAN: []string{"bond0.5:bond0"}}, "bond0.5"},
		{"ip before all", Config{IP: []string{"ib0:dhcp"}, BootIF: mac0, Bond: []string{"bond0:eth0,eth1"}}, "ib0"},
		{"ip without an interface", Config{IP: []string{"dhcp"}, BootIF: mac0}, mac0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Parse(c.config)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "device", p.Links[0].Device.String(), c.want)
		})
	}
}

// TestMatches has InfiniBand's ways to name a port.
func TestMatches(t *testing.T) {
	for _, c := range []struct {
		bootif string
		hw     net.HardwareAddr
		want   bool
	}{
		{"01-52-54-00-00-00-10", hw0, true},
		{"01-52-54-00-00-00-11", hw0, false},
		{"00:02:c9:03:00:12:34:56", ib0, true},
		{"20-00-02-c9-03-00-12-34-56", ib0, true},
		{"20-00-02-c9-12-34-56", ib0, true},
		{"00:02:c9:12:34:56", ib0, true},
		{"00:02:c9:12:34:57", ib0, false},
		{"80:00:ff:ff:fe:80:00:00:00:00:00:00:00:02:c9:03:00:12:34:56", ib0, true}, // another queue pair
		{"20:00:02:c9:03:00:12:34:56", hw0, false},
	} {
		p, err := Parse(Config{BootIF: c.bootif})
		if err != nil {
			t.Errorf("%s: %v", c.bootif, err)
			continue
		}
		equal(t, c.bootif+" is "+c.hw.String(), p.Links[0].Device.matches("x", c.hw), c.want)
	}
}

func TestCandidates(t *testing.T) {
	list := []iface{
		{name: "eth0", index: 2, hw: hw0, kind: "device"},
		{name: "eth1", index: 3, hw: net.HardwareAddr{2, 0, 0, 0, 0, 1}, kind: "device", master: true},
		{name: "br0", index: 4, hw: hw0, kind: "bridge"},
		{name: "ib0", index: 5, hw: ib0, kind: "ipoib", infiniband: true},
		{name: "eth0.5", index: 6, hw: hw0, kind: "vlan"},
	}
	for _, c := range []struct {
		name   string
		config Config
		want   string
	}{
		{"hardware only", Config{}, "eth0 ib0"},
		{"hardware only, by address", Config{BootIF: mac0}, "eth0"},
		{"whatever has the name", Config{NetDev: "br0"}, "br0"},
		{"a VLAN", Config{VLAN: []string{"eth0.5:eth0"}}, "eth0.5"},
		{"two", Config{IP: []string{"ib0:dhcp", "eth0:dhcp"}}, "eth0 ib0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Parse(c.config)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range p.candidates(list) {
				got = append(got, c.iface.name)
			}
			equal(t, "candidates", strings.Join(got, " "), c.want)
		})
	}
}

func TestBondLink(t *testing.T) {
	b, err := parseBond("bond0:eth0,eth1:mode=4,lacp_rate=fast,xmit_hash_policy=layer3+4,arp_interval=100,arp_ip_target=10.0.0.1;10.0.0.2,primary=eth1")
	if err != nil {
		t.Fatal(err)
	}
	l, err := bondLink(b, 7)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "mode", l.Mode.String(), "802.3ad")
	equal(t, "rate", l.LacpRate.String(), "fast")
	equal(t, "policy", l.XmitHashPolicy.String(), "layer3+4")
	equal(t, "miimon", l.Miimon, -1) // it excludes arp_interval
	equal(t, "targets", len(l.ArpIpTargets), 2)
	equal(t, "primary", l.Primary, 7)
	if b, err = parseBond("bond0:eth0,eth1"); err != nil {
		t.Fatal(err)
	}
	if l, err = bondLink(b, 0); err != nil {
		t.Fatal(err)
	}
	equal(t, "miimon", l.Miimon, defaultMiimon)
	equal(t, "primary", l.Primary, -1)
}

// TestJitter keeps waits within a fifth of what they should be.
func TestJitter(t *testing.T) {
	for range 1000 {
		if d := jitter(10 * time.Second); d < 8*time.Second || d > 12*time.Second {
			t.Fatalf("10 s became %v", d)
		}
	}
	equal(t, "nothing", jitter(0), 0)
}

// FuzzParse wants that nothing crashes, and that what is taken is sound: names that
// the kernel takes, addresses of hosts, methods with what they need.
func FuzzParse(f *testing.F) {
	f.Add("10.0.0.5:10.0.0.2:10.0.0.1:255.255.255.0:n1:eth0:none:10.0.0.3", "01-52-54-00-00-00-10", "eth0.100:eth0", "bond0:eth0,eth1:mode=802.3ad:9000", "eth0")
	f.Add("[fd00::5/64]::[fd00::1]:::eth0:none", "20-00-02-c9-03-00-12-34-56", "v5:bond0", "b:e:arp_ip_target=10.0.0.1", "52:54:00:00:00:10")
	f.Add("eth0:dhcp:9000", "", "", "", "")
	f.Fuzz(func(t *testing.T, ip, bootif, vlan, bond, netdev string) {
		for _, c := range []Config{{IP: []string{ip}}, {BootIF: bootif}, {VLAN: []string{vlan}}, {Bond: []string{bond}}, {NetDev: netdev}, {Nameserver: []string{ip}}} {
			p, err := Parse(c)
			if err != nil {
				continue
			}
			for _, l := range p.Links {
				if l.Device.Name != "" && !isName(l.Device.Name) {
					t.Errorf("%+v: the name %q", c, l.Device.Name)
				}
				if (l.Method == Static) != l.Address.IsValid() || l.Gateway.IsValid() && l.Method != Static || l.Method == "" {
					t.Errorf("%+v: %+v", c, l)
				}
				if l.Hostname != "" && !isHostname(l.Hostname) {
					t.Errorf("%+v: the host name %q", c, l.Hostname)
				}
			}
			for _, v := range p.VLANs {
				if v.ID < 1 || v.ID > 4094 || !isName(v.Name) || !isName(v.Parent) {
					t.Errorf("%+v: %+v", c, v)
				}
			}
		}
	})
}
