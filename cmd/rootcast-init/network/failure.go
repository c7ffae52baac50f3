package network

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// say tells what is waited for.
func (r *race) say() {
	var asking []string
	for _, c := range r.asking {
		if r.failed[c.iface.index] == nil {
			asking = append(asking, c.iface.name)
		}
	}
	slices.Sort(asking)
	var parts []string
	if len(asking) > 0 {
		parts = append(parts, "for an answer on "+strings.Join(asking, ", "))
	}
	if dark := r.dark(); len(dark) > 0 {
		parts = append(parts, "for a link on "+names(dark))
	}
	if len(r.seen) == 0 {
		parts = append(parts, "for "+r.wanted()+" to appear")
	}
	r.config.Log("waiting %s (%v so far)", strings.Join(parts, ", and "), time.Since(r.begin).Round(time.Second))
}

// dark are the candidates without a link.
func (r *race) dark() []iface {
	var list []iface
	for _, c := range r.seen {
		if _, asked := r.asking[c.iface.index]; !asked {
			list = append(list, c.iface)
		}
	}
	return list
}

// asked are the candidates on which an address was asked for.
func (r *race) asked() []iface {
	var list []iface
	for _, c := range r.asking {
		list = append(list, c.iface)
	}
	return list
}

// hopeless tells that all that was named has been tried. Without names another
// interface can appear at any time.
func (r *race) hopeless() bool {
	for _, l := range r.plan.Links {
		if l.Device.none() {
			return false
		}
	}
	tried := 0
	for index := range r.asking {
		if r.failed[index] != nil {
			tried++
		}
	}
	return tried >= len(r.plan.Links)
}

func (r *race) wanted() string {
	var s []string
	for _, l := range r.plan.Links {
		if l.Device.none() {
			return "a network interface"
		}
		s = append(s, fmt.Sprintf("the interface %s of %s", l.Device, l.Device.Arg))
	}
	return strings.Join(s, " or ")
}

// failure is the error for what happened to all candidates.
func (r *race) failure() error {
	if len(r.seen) == 0 && len(r.asking) == 0 {
		return r.absent()
	}
	var silent []iface
	var parts []string
	for _, index := range slices.Sorted(maps.Keys(r.failed)) {
		c, asked := r.asking[index]
		switch err := r.failed[index]; {
		case !asked:
			parts = append(parts, err.Error())
		case errors.Is(err, context.DeadlineExceeded):
			silent = append(silent, c.iface)
		default:
			parts = append(parts, fmt.Sprintf("%s: %v", c.iface.name, err))
		}
	}
	if len(silent) > 0 {
		parts = append([]string{r.silence(silent)}, parts...)
	}
	for _, i := range r.dark() {
		if r.failed[i.index] == nil {
			parts = append(parts, describe([]iface{i})+": no carrier: check the cable and the switch port")
		}
	}
	return errors.New("bringing up the network: " + strings.Join(parts, "; "))
}

// silence is the message for interfaces on which nobody answered.
func (r *race) silence(silent []iface) string {
	if r.all(Auto6) {
		return fmt.Sprintf("no router advertisement with a prefix on %s within %v: check the IPv6 router of that network", names(silent), r.config.DHCPWait)
	}
	what := "DHCP"
	if r.all(DHCP6) {
		what = "DHCPv6"
	}
	macs := make([]string, len(silent))
	for i, s := range silent {
		macs[i] = s.hw.String()
	}
	return fmt.Sprintf("no %s answer on %s within %v: check that the DHCP server knows %s, and that the switch port is in its network",
		what, names(silent), r.config.DHCPWait, strings.Join(macs, ", "))
}

func (r *race) all(m Method) bool {
	return !slices.ContainsFunc(r.plan.Links, func(l Link) bool { return l.Method != m })
}

// absent is the error where no interface is what the command line means.
func (r *race) absent() error {
	list, err := interfaces()
	if err != nil {
		return err
	}
	check := "check the address"
	if r.plan.Links[0].Device.none() {
		check = "check that it has a network card"
	}
	if slices.ContainsFunc(r.plan.Links, func(l Link) bool { return l.Device.Name != "" }) {
		check = "check the name, or give the hardware address: " + ownNames
	}
	return fmt.Errorf("bringing up the network: no sign of %s after %v: the node has %s; %s, and that %s",
		r.wanted(), r.config.LinkWait, orNone(list), check, drivers)
}

// What to check where an interface is missing.
const (
	ownNames = "the kernel's own names count, such as eth0, for udev renames interfaces in the booted system only"
	drivers  = "the card's driver and firmware are in the initrd (convert --add-module, --firmware)"
)
