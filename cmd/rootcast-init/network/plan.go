package network

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// Plan is a command line that was understood.
type Plan struct {
	Bonds []Bond
	VLANs []VLAN
	Links []Link       // the ways to an address; each with a device of its own if there are several
	DNS   []netip.Addr // of nameserver=, asked before those that DHCP names
}

// Link is one ip=, or what stands for it if there is none.
type Link struct {
	Device Device
	Method Method

	// For [Static], else zero.
	Address netip.Prefix
	Gateway netip.Addr

	Server   netip.Addr // the boot server, or a point-to-point peer; only told to the caller
	Hostname string
	MTU      int // 0: what DHCP says or the driver has
	DNS      []netip.Addr
	NTP      []netip.Addr
}

// Device says which interface is meant: by name, by hardware address, or any that
// has a link if both are empty.
type Device struct {
	Name   string
	HWAddr net.HardwareAddr // 6 bytes; 8 for an InfiniBand GUID
	Arg    string           // the argument that named it, for messages
}

// Bond is one bond=.
type Bond struct {
	Name    string
	Slaves  []string
	Options map[string]string // by the names of the kernel's bonding.rst
	MTU     int
}

// VLAN is one vlan=.
type VLAN struct {
	Name, Parent string
	ID           int // 1 to 4094
}

// Parse understands the command line and touches nothing. An error names the
// argument, its value, and what is expected there.
func Parse(c Config) (Plan, error) {
	var p Plan
	for _, s := range c.Bond {
		b, err := parseBond(s)
		if err != nil {
			return Plan{}, argError("bond", s, err)
		}
		p.Bonds = append(p.Bonds, b)
	}
	for _, s := range c.VLAN {
		v, err := parseVLAN(s)
		if err != nil {
			return Plan{}, argError("vlan", s, err)
		}
		p.VLANs = append(p.VLANs, v)
	}
	for _, s := range c.Nameserver {
		a, err := parseAddr(s)
		if err != nil {
			return Plan{}, argError("nameserver", s, err)
		}
		p.DNS = append(p.DNS, a)
	}
	device, err := bootDevice(c, p)
	if err != nil {
		return Plan{}, err
	}
	if p.Links, err = parseLinks(c.IP, device); err != nil {
		return Plan{}, err
	}
	return p, p.check()
}

func argError(arg, value string, err error) error {
	return fmt.Errorf("reading %s=%s: %w", arg, value, err)
}

// bootDevice is the interface where ip= names none.
func bootDevice(c Config, p Plan) (Device, error) {
	var d Device
	if c.BootIF != "" {
		hw, err := parseBootIF(c.BootIF)
		if err != nil {
			return Device{}, argError("BOOTIF", c.BootIF, err)
		}
		d = Device{HWAddr: hw, Arg: "BOOTIF=" + c.BootIF}
	}
	if c.NetDev != "" {
		var err error
		if d, err = parseDevice(c.NetDev); err != nil {
			return Device{}, argError("netdev", c.NetDev, err)
		}
		d.Arg = "netdev=" + c.NetDev
	}
	switch {
	case len(p.VLANs) > 0:
		v := p.VLANs[len(p.VLANs)-1]
		d = Device{Name: v.Name, Arg: "vlan=" + v.Name}
	case len(p.Bonds) > 0:
		b := p.Bonds[len(p.Bonds)-1]
		d = Device{Name: b.Name, Arg: "bond=" + b.Name}
	}
	return d, nil
}

func parseLinks(ips []string, device Device) ([]Link, error) {
	if len(ips) == 0 {
		return []Link{{Device: device, Method: Any}}, nil
	}
	links := make([]Link, 0, len(ips))
	for _, s := range ips {
		l, err := parseIP(s)
		if err != nil {
			return nil, argError("ip", s, err)
		}
		switch {
		case !l.Device.none():
			l.Device.Arg = "ip=" + s
		case len(ips) > 1:
			return nil, argError("ip", s, fmt.Errorf("there are %d ip=, so each must name its interface, as in ip=eth0:dhcp", len(ips)))
		default:
			l.Device = device
		}
		if slices.ContainsFunc(links, func(o Link) bool { return o.Device.same(l.Device) }) {
			return nil, argError("ip", s, fmt.Errorf("%s has another ip= already: keep one, ip=%s:any asks for IPv4 and IPv6", l.Device, l.Device))
		}
		links = append(links, l)
	}
	return links, nil
}

// check finds names that are used twice.
func (p Plan) check() error {
	used := map[string]string{}
	take := func(name, arg string) error {
		if other := used[name]; other != "" {
			return fmt.Errorf("reading %s: %s is used by %s already: an interface is part of one bond, and a new device needs a name of its own", arg, name, other)
		}
		used[name] = arg
		return nil
	}
	for _, b := range p.Bonds {
		arg := "bond=" + b.Name
		for _, name := range append([]string{b.Name}, b.Slaves...) {
			if err := take(name, arg); err != nil {
				return err
			}
		}
	}
	for _, v := range p.VLANs {
		if err := take(v.Name, "vlan="+v.Name); err != nil {
			return err
		}
	}
	return nil
}

func (d Device) none() bool { return d.Name == "" && len(d.HWAddr) == 0 }

func (d Device) same(o Device) bool { return d.Name == o.Name && slices.Equal(d.HWAddr, o.HWAddr) }

// String is the interface as a person would name it.
func (d Device) String() string {
	switch {
	case d.Name != "":
		return d.Name
	case len(d.HWAddr) > 0:
		return d.HWAddr.String()
	default:
		return "any interface"
	}
}

// matches tells whether the device is the interface. An InfiniBand interface has
// 20 bytes, of which the last 8 are its port's GUID and the first 4, a queue pair's
// number, change from boot to boot. Firmware names it by the GUID, or by the 6
// bytes that remain when the GUID's middle two are left out.
func (d Device) matches(name string, hw hwAddr) bool {
	if d.Name != "" {
		return d.Name == name
	}
	if len(d.HWAddr) == 0 {
		return true
	}
	if len(hw) != ibAddrLen {
		return slices.Equal(d.HWAddr, hw)
	}
	guid := hw[ibAddrLen-guidLen:]
	switch len(d.HWAddr) {
	case guidLen:
		return slices.Equal(d.HWAddr, guid)
	case macLen:
		return slices.Equal(d.HWAddr[:3], guid[:3]) && slices.Equal(d.HWAddr[3:], guid[5:])
	default:
		return false
	}
}
