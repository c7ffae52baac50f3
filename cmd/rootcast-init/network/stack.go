package network

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// defaultMiimon is how often a bond looks at its links in ms, where nothing says
// so: without it the kernel's bonding never notices that one fails.
const defaultMiimon = 100

// build makes the bonds and then the VLANs.
func (p Plan) build(ctx context.Context, c Config) error {
	for _, b := range p.Bonds {
		slaves, err := await(ctx, c, b.Slaves, "bond="+b.Name)
		if err != nil {
			return err
		}
		if err := b.make(slaves); err != nil {
			return err
		}
		c.Log("%s: a bond of %s", b.Name, strings.Join(b.Slaves, ", "))
	}
	for _, v := range p.VLANs {
		parents, err := await(ctx, c, []string{v.Parent}, "vlan="+v.Name)
		if err != nil {
			return err
		}
		if err := v.make(parents[0]); err != nil {
			return err
		}
		c.Log("%s: VLAN %d of %s", v.Name, v.ID, v.Parent)
	}
	return nil
}

// await waits for the interfaces' drivers.
func await(ctx context.Context, c Config, want []string, arg string) ([]iface, error) {
	start := time.Now()
	for said := start; ; {
		list, err := interfaces()
		if err != nil {
			return nil, err
		}
		var found []iface
		var missing []string
		for _, name := range want {
			if i, ok := byName(list, name); ok {
				found = append(found, i)
			} else {
				missing = append(missing, name)
			}
		}
		switch {
		case len(missing) == 0:
			return found, nil
		case time.Since(start) >= c.LinkWait:
			return nil, fmt.Errorf("%s: there is no interface %s after %v: the node has %s; check the name: %s, and that %s",
				arg, strings.Join(missing, ", "), c.LinkWait, orNone(list), ownNames, drivers)
		case time.Since(said) >= remind:
			said = time.Now()
			c.Log("waiting for %s, which %s needs", strings.Join(missing, ", "), arg)
		}
		if err := pause(ctx, tick); err != nil {
			return nil, fmt.Errorf("waiting for %s: %w", strings.Join(missing, ", "), err)
		}
	}
}

func orNone(list []iface) string {
	if len(list) == 0 {
		return "no network interface"
	}
	return describe(list)
}

// replace makes a device in the place of one of an earlier try, or of the bond0
// that the module makes of itself.
func replace(l netlink.Link, kind, module string) error {
	name := l.Attrs().Name
	if old, err := netlink.LinkByName(name); err == nil {
		if old.Type() != kind {
			return fmt.Errorf("making %s: there is an interface of that name, and it is no %s", name, kind)
		}
		if err := netlink.LinkDel(old); err != nil {
			return fmt.Errorf("making %s anew: %w", name, err)
		}
	}
	err := netlink.LinkAdd(l)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("making %s: the kernel knows no %s: check that the initrd has the module %s (%w)", name, kind, module, err)
	}
	if err != nil {
		return fmt.Errorf("making %s: %w", name, err)
	}
	return nil
}

func (v VLAN) make(parent iface) error {
	if err := setUp(parent); err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex = v.Name, parent.index
	return replace(&netlink.Vlan{LinkAttrs: attrs, VlanId: v.ID, VlanProtocol: netlink.VLAN_PROTOCOL_8021Q}, "vlan", "8021q")
}

func (b Bond) make(slaves []iface) error {
	primary := 0
	if i, ok := byName(slaves, b.Options["primary"]); ok {
		primary = i.index
	}
	link, err := bondLink(b, primary)
	if err != nil {
		return err
	}
	if err := replace(link, "bond", "bonding"); err != nil {
		return err
	}
	for _, s := range slaves {
		// Only an interface that is down can become part of a bond.
		if err := netlink.LinkSetDown(s.ref()); err != nil {
			return fmt.Errorf("setting %s down for %s: %w", s.name, b.Name, err)
		}
		if err := netlink.LinkSetMasterByIndex(s.ref(), link.Attrs().Index); err != nil {
			return fmt.Errorf("making %s part of %s: %w", s.name, b.Name, err)
		}
		if err := setUp(s); err != nil {
			return err
		}
	}
	if b.MTU == 0 {
		return nil
	}
	if err := netlink.LinkSetMTU(link, b.MTU); err != nil {
		return fmt.Errorf("setting the MTU %d of %s: %w", b.MTU, b.Name, err)
	}
	return nil
}

// bondLink is the bond for netlink. It refuses options that it does not know.
func bondLink(b Bond, primary int) (*netlink.Bond, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = b.Name
	l := netlink.NewLinkBond(attrs)
	for _, key := range slices.Sorted(maps.Keys(b.Options)) {
		if err := bondOption(l, key, b.Options[key]); err != nil {
			return nil, err
		}
	}
	if b.Options["primary"] != "" {
		l.Primary = primary
	}
	if l.Miimon < 0 && l.ArpInterval < 0 {
		l.Miimon = defaultMiimon
	}
	return l, nil
}

// bondOption sets an option of the kernel's Documentation/networking/bonding.rst.
func bondOption(l *netlink.Bond, key, value string) error {
	numbers := map[string]*int{
		"miimon": &l.Miimon, "updelay": &l.UpDelay, "downdelay": &l.DownDelay, "use_carrier": &l.UseCarrier, "arp_interval": &l.ArpInterval,
		"resend_igmp": &l.ResendIgmp, "num_grat_arp": &l.NumPeerNotif, "num_unsol_na": &l.NumPeerNotif, "all_slaves_active": &l.AllSlavesActive,
		"min_links": &l.MinLinks, "lp_interval": &l.LpInterval, "packets_per_slave": &l.PacketsPerSlave, "tlb_dynamic_lb": &l.TlbDynamicLb,
		"ad_actor_sys_prio": &l.AdActorSysPrio, "ad_user_port_key": &l.AdUserPortKey,
	}
	if n, ok := numbers[key]; ok {
		v, err := strconv.ParseUint(value, 10, 31)
		if err != nil {
			return fmt.Errorf("the bond's %s=%s is no number", key, value)
		}
		*n = int(v)
		return nil
	}
	var ok bool
	switch key {
	case "primary":
		return nil
	case "arp_ip_target":
		for _, s := range strings.FieldsFunc(value, func(r rune) bool { return r == ';' || r == '+' }) {
			a, err := parseAddr(s)
			if err != nil {
				return err
			}
			l.ArpIpTargets = append(l.ArpIpTargets, net.IP(a.AsSlice()))
		}
		return nil
	case "mode":
		l.Mode, ok = word(netlink.StringToBondModeMap, value)
	case "xmit_hash_policy":
		l.XmitHashPolicy, ok = word(netlink.StringToBondXmitHashPolicyMap, value)
	case "lacp_rate":
		l.LacpRate, ok = word(netlink.StringToBondLacpRateMap, value)
	case "ad_select":
		l.AdSelect, ok = word(netlink.StringToBondAdSelectMap, value)
	case "fail_over_mac":
		l.FailOverMac, ok = word(netlink.StringToBondFailOverMacMap, value)
	case "primary_reselect":
		l.PrimaryReselect, ok = word(netlink.StringToBondPrimaryReselectMap, value)
	case "arp_validate":
		l.ArpValidate, ok = word(netlink.StringToBondArpValidateMap, value)
	case "arp_all_targets":
		l.ArpAllTargets, ok = word(netlink.StringToBondArpAllTargetsMap, value)
	default:
		return fmt.Errorf("the bond has no option %q: those of the kernel's bonding.rst are expected, as mode=802.3ad,miimon=100", key)
	}
	if !ok {
		return fmt.Errorf("the bond's %s=%s is none that the kernel's bonding.rst knows", key, value)
	}
	return nil
}

// word finds a value by its name or, as the kernel allows too, by its number.
func word[T ~int](values map[string]T, s string) (T, bool) {
	if v, ok := values[s]; ok {
		return v, true
	}
	n, err := strconv.Atoi(s)
	for _, v := range values {
		if err == nil && int(v) == n {
			return v, true
		}
	}
	return 0, false
}
