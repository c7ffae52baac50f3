package network

import (
	"net"
	"time"
)

// Config is what the kernel command line says of the network. Values are as they
// stand there, without the argument's name.
type Config struct {
	BootIF     string   // BOOTIF=: pxelinux's 01-52-54-00-12-34-56, or a MAC address
	NetDev     string   // netdev=: an interface's name or MAC address, as xCAT writes it
	IP         []string // ip=: each by the kernel's nfsroot.rst or dracut.cmdline(7)
	VLAN       []string // vlan=: eth0.100:eth0 or name100:eth0
	Bond       []string // bond=: bond0:eth0,eth1:mode=802.3ad,miimon=100:9000
	Nameserver []string // nameserver=: one address each

	LinkWait time.Duration // how long to wait for interfaces and their links; default 30 s
	DHCPWait time.Duration // how long to ask for an address once there is a link; default 60 s

	Log func(format string, args ...any) // takes one line each; nil is quiet
}

const (
	defaultLinkWait = 30 * time.Second
	defaultDHCPWait = 60 * time.Second

	// tick is how often interfaces are looked at: links come up in 0.1 to 10 s.
	tick = 50 * time.Millisecond
	// remind is the time between two lines that say what is waited for.
	remind = 5 * time.Second
)

func (c Config) withDefaults() Config {
	if c.LinkWait <= 0 {
		c.LinkWait = defaultLinkWait
	}
	if c.DHCPWait <= 0 {
		c.DHCPWait = defaultDHCPWait
	}
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	return c
}

// Method is how an interface comes by its addresses.
type Method string

// The methods of ip=. The kernel's on and both, and dracut's single-dhcp and
// either6, are names for Any, DHCP and Auto6.
const (
	Any    Method = "any"    // DHCPv4 and IPv6, the first that answers
	DHCP   Method = "dhcp"   // DHCPv4, RFC 2131
	DHCP6  Method = "dhcp6"  // DHCPv6, RFC 8415, and routes by router advertisements
	Auto6  Method = "auto6"  // router advertisements, RFC 4862
	Static Method = "static" // as ip= says
)

// hwAddr is a hardware address of 6 bytes, or 20 for InfiniBand.
type hwAddr = net.HardwareAddr
