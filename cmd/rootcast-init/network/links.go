package network

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// iface is a network interface at one moment.
type iface struct {
	name       string
	index      int
	hw         hwAddr
	kind       string // "device" for hardware, else netlink's: veth, bond, vlan …
	up         bool   // someone set it up
	carrier    bool   // it has a link
	master     bool   // it is part of another, such as a bond
	infiniband bool
	mtu        int
}

// interfaces lists those that could be a boot interface or part of one: with
// hardware addresses that DHCP can use.
func interfaces() ([]iface, error) {
	links, err := netlink.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("listing the network interfaces: %w", err)
	}
	var list []iface
	for _, l := range links {
		if i := newIface(l); i.usable() {
			list = append(list, i)
		}
	}
	return list, nil
}

func newIface(l netlink.Link) iface {
	a := l.Attrs()
	return iface{
		name:       a.Name,
		index:      a.Index,
		hw:         a.HardwareAddr,
		kind:       l.Type(),
		up:         a.RawFlags&unix.IFF_UP != 0,
		carrier:    a.RawFlags&unix.IFF_UP != 0 && a.RawFlags&unix.IFF_LOWER_UP != 0 && a.OperState != netlink.OperDormant,
		master:     a.MasterIndex != 0,
		infiniband: a.EncapType == "infiniband",
		mtu:        a.MTU,
	}
}

func (i iface) usable() bool {
	return i.infiniband && len(i.hw) == ibAddrLen || !i.infiniband && len(i.hw) == macLen && slices.ContainsFunc(i.hw, func(b byte) bool { return b != 0 })
}

// automatic tells whether the interface is tried when none was named: what reaches
// a network by itself, and no bridges, tunnels or dummies.
func (i iface) automatic() bool {
	return !i.master && slices.Contains([]string{"device", "veth", "macvlan", "ipoib"}, i.kind)
}

// byName is false where there is no such interface (yet).
func byName(list []iface, name string) (iface, bool) {
	i := slices.IndexFunc(list, func(i iface) bool { return i.name == name })
	if i < 0 {
		return iface{}, false
	}
	return list[i], true
}

// candidate is an interface and how to ask on it.
type candidate struct {
	iface iface
	link  Link
}

// candidates are the interfaces that the plan means, of those there are.
func (p Plan) candidates(list []iface) []candidate {
	var found []candidate
	for _, i := range list {
		for _, l := range p.Links {
			// By address only hardware itself: a VLAN and a bond have the address of
			// what is below them.
			if l.Device.matches(i.name, i.hw) && (l.Device.Name != "" || i.automatic()) {
				found = append(found, candidate{i, l})
				break
			}
		}
	}
	return found
}

// describe lists interfaces for a message: eth0 (52:54:00:12:34:56).
func describe(list []iface) string {
	names := make([]string, 0, len(list))
	for _, i := range list {
		names = append(names, fmt.Sprintf("%s (%s)", i.name, i.hw))
	}
	return strings.Join(names, ", ")
}

func names(list []iface) string {
	var s []string
	for _, i := range list {
		s = append(s, i.name)
	}
	return strings.Join(s, ", ")
}

// setUp sets an interface up.
func setUp(i iface) error {
	if err := netlink.LinkSetUp(i.ref()); err != nil {
		return fmt.Errorf("setting %s up: %w: check the kernel's messages for its driver", i.name, err)
	}
	return nil
}

// release takes what a losing interface was given, and sets it down: the booted
// system finds it as if it had not been touched. IPv6 goes by itself.
func release(i iface) error {
	if err := flush(i, netlink.FAMILY_V4, nil); err != nil {
		return err
	}
	if err := netlink.LinkSetDown(i.ref()); err != nil {
		return fmt.Errorf("setting %s down: %w", i.name, err)
	}
	return nil
}

// ref is what netlink takes for the interface: its index suffices.
func (i iface) ref() netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: i.name, Index: i.index}}
}
