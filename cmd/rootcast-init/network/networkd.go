package network

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io/fs"
	"net"
	"path"
	"slices"
	"strings"
)

// networkDirs are where systemd-networkd finds .network files of the image, the
// first wins (systemd.network(5)). What the image has below /run is hidden.
var networkDirs = [...]string{ //nolint:gochecknoglobals // a constant table
	"etc/systemd/network", "usr/local/lib/systemd/network", "usr/lib/systemd/network", "lib/systemd/network",
}

const dropIn = "# Written at boot by rootcast: what the node was started with stays up while this file is applied.\n"

// networkd writes the file that is used where the image has none that matches, and
// the drop-ins for those that could.
func (h *handover) networkd() {
	h.units("network", func(base string, conf unit) {
		if !conf.couldMatch(h.lease) {
			return
		}
		if keep := h.lease.keep(conf); keep != "" {
			h.write("run/systemd/network/"+base+".d/rootcast.conf", 0o644, []byte(dropIn+keep))
		}
	})
	h.write("run/systemd/network/zz-rootcast-"+h.lease.Interface+".network", 0o644, h.lease.networkdFile())
	h.leaveSlaves()
}

// leaveSlaves keeps networkd from taking interfaces out of a bond that it has no
// .netdev file for, which it does once a file matches them, be it for all Ethernet.
func (h *handover) leaveSlaves() {
	bond := cmp.Or(h.lease.Parent, h.lease.Interface)
	known := false
	h.units("netdev", func(_ string, conf unit) { known = known || slices.Contains(conf["NetDev"]["Name"], bond) })
	if known {
		return
	}
	for _, name := range h.lease.Slaves {
		h.write("run/systemd/network/00-rootcast-"+name+".network", 0o644,
			fmt.Appendf(nil, "# Written at boot by rootcast: it is part of %s.\n[Match]\nName=%s\n\n[Link]\nUnmanaged=yes\n", bond, name))
	}
}

// units calls each for the image's files of networkd that have the suffix and are
// not masked, by one of a better directory or by a link to /dev/null.
func (h *handover) units(suffix string, each func(base string, conf unit)) {
	seen := map[string]bool{}
	for _, dir := range networkDirs {
		files, err := fs.Glob(h.root.FS(), dir+"/*."+suffix)
		if err != nil {
			continue // not with this pattern
		}
		for _, name := range files {
			base := path.Base(name)
			content, err := h.root.ReadFile(name)
			if seen[base] || err != nil {
				continue
			}
			seen[base] = true
			each(base, parseUnit(content))
		}
	}
}

// keep is what a file lacks to take over without a gap.
func (l *Lease) keep(conf unit) string {
	s := ""
	if len(conf["Network"]["KeepConfiguration"]) == 0 && len(conf["DHCP"]["CriticalConnection"]) == 0 && len(conf["DHCPv4"]["CriticalConnection"]) == 0 {
		s += "[Network]\nKeepConfiguration=yes\n"
	}
	if l.Method == DHCP && !l.infiniband() && len(conf["DHCPv4"]["ClientIdentifier"]) == 0 && len(conf["DHCP"]["ClientIdentifier"]) == 0 {
		s += "[DHCPv4]\nClientIdentifier=mac\n"
	}
	return s
}

func (l *Lease) infiniband() bool { return len(l.MAC) == ibAddrLen }

// physical tells that udev may rename the interface.
func (l *Lease) physical() bool { return l.Parent == "" && len(l.Slaves) == 0 }

// networkdFile is the lease as a systemd.network(5). Kind=!* keeps it from VLANs
// and the like, which have the hardware address of what they lie on.
func (l *Lease) networkdFile() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Written at boot by rootcast, which brought up %s by %s. Any other file that matches wins.\n[Match]\n", l.Interface, l.Method)
	if l.physical() {
		fmt.Fprintf(&b, "MACAddress=%s\nKind=!*\n", l.MAC)
	} else {
		fmt.Fprintf(&b, "Name=%s\n", l.Interface)
	}
	if l.MTU != 0 && l.Method != DHCP {
		fmt.Fprintf(&b, "\n[Link]\nMTUBytes=%d\n", l.MTU)
	}
	b.WriteString("\n[Network]\nKeepConfiguration=yes\n")
	switch l.Method {
	case DHCP:
		b.WriteString("DHCP=ipv4\n\n[DHCPv4]\nUseMTU=yes\n")
		if !l.infiniband() {
			b.WriteString("ClientIdentifier=mac\n")
		}
	case DHCP6:
		// The IAID that was asked with: the last four bytes of the address.
		fmt.Fprintf(&b, "DHCP=ipv6\n\n[DHCPv6]\nDUIDType=link-layer\nIAID=%d\n", binary.BigEndian.Uint32(l.MAC[len(l.MAC)-4:]))
	case Auto6:
		b.WriteString("IPv6AcceptRA=yes\n")
	default:
		l.networkdStatic(&b)
	}
	return b.Bytes()
}

func (l *Lease) networkdStatic(b *bytes.Buffer) {
	for _, p := range l.Addresses {
		fmt.Fprintf(b, "Address=%s\n", p)
	}
	for _, a := range l.DNS {
		fmt.Fprintf(b, "DNS=%s\n", a)
	}
	for _, a := range l.NTP {
		fmt.Fprintf(b, "NTP=%s\n", a)
	}
	if search := l.searchList(); len(search) > 0 {
		fmt.Fprintf(b, "Domains=%s\n", strings.Join(search, " "))
	}
	for _, gw := range l.Gateways {
		fmt.Fprintf(b, "\n[Route]\nGateway=%s\n", gw)
		if !l.onLink(gw) {
			b.WriteString("GatewayOnLink=yes\n")
		}
	}
}

// unit is a file of systemd: values by section and key, as far as they matter here.
type unit map[string]map[string][]string

func parseUnit(content []byte) unit {
	u := unit{}
	section := ""
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") {
			section = line[1 : len(line)-1]
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		if u[section] == nil {
			u[section] = map[string][]string{}
		}
		key = strings.TrimSpace(key)
		u[section][key] = append(u[section][key], strings.Fields(value)...)
	}
	return u
}

// couldMatch errs to the side of yes: a drop-in for a file that is not used does
// nothing, and the name that udev will give is not known.
func (u unit) couldMatch(l *Lease) bool {
	m := u["Match"]
	for _, key := range []string{"MACAddress", "PermanentMACAddress"} {
		if list := m[key]; len(list) > 0 && !slices.ContainsFunc(list, func(s string) bool { return sameHW(s, l.MAC) }) {
			return false
		}
	}
	kinds := m["Kind"]
	if len(kinds) > 0 && !strings.HasPrefix(kinds[0], "!") && l.physical() {
		return false
	}
	types := m["Type"]
	if len(types) > 0 && !strings.HasPrefix(types[0], "!") && !slices.ContainsFunc(types, l.isType) {
		return false
	}
	list := m["Name"]
	return len(list) == 0 || strings.HasPrefix(list[0], "!") || slices.ContainsFunc(list, l.couldBeNamed)
}

func (l *Lease) isType(pattern string) bool {
	t := "ether"
	switch {
	case l.infiniband():
		t = "infiniband"
	case l.Parent != "":
		t = "vlan"
	case len(l.Slaves) > 0:
		t = "bond"
	}
	ok, err := path.Match(pattern, t)
	return ok || err != nil
}

// couldBeNamed matches the name of now and, for hardware, the scheme of
// systemd.net-naming-scheme(7): en… for Ethernet, ib… for InfiniBand.
func (l *Lease) couldBeNamed(pattern string) bool {
	if ok, err := path.Match(pattern, l.Interface); ok || err != nil {
		return true
	}
	prefix := "en"
	if l.infiniband() {
		prefix = "ib"
	}
	return l.physical() && (strings.HasPrefix(pattern, prefix) || strings.HasPrefix(pattern, prefix[:1]+"*"))
}

// sameHW compares a hardware address as a file writes it: with colons, dashes or
// dots (systemd.network(5), MACAddress=).
func sameHW(s string, hw net.HardwareAddr) bool {
	a, err := net.ParseMAC(s)
	return err == nil && slices.Equal(a, hw)
}
