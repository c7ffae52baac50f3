package network

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
)

// networkManager writes the state that NetworkManager itself would have left behind
// in an initrd: the device is managed, and by which profile it is up (the keys of
// its src/core/nm-config.c). Without it the device would count as somebody else's, and
// nobody would renew the lease.
func (h *handover) networkManager() {
	l := h.lease
	if !l.physical() {
		return
	}
	id := h.profile()
	if id == "" {
		id = l.uuid()
		h.write("run/NetworkManager/system-connections/rootcast-"+l.Interface+".nmconnection", 0o600, l.nmProfile(id))
	}
	h.write(fmt.Sprintf("run/NetworkManager/devices/%d", l.Index), 0o644, fmt.Appendf(nil, "[device]\nmanaged=true\nconnection-uuid=%s\nnm-owned=false\n", id))
}

// profile is the UUID of the image's own profile for the interface: one for its
// hardware address, else one for its name, else one for all of its kind.
func (h *handover) profile() string {
	var uuids [3]string
	for _, dir := range []string{"etc/NetworkManager/system-connections", "usr/lib/NetworkManager/system-connections"} {
		files, err := fs.Glob(h.root.FS(), dir+"/*")
		if err != nil {
			continue // not with this pattern
		}
		for _, name := range files {
			content, err := h.root.ReadFile(name)
			if err != nil {
				continue
			}
			if u, rank := h.lease.fits(parseUnit(content)); u != "" && uuids[rank] == "" {
				uuids[rank] = u
			}
		}
	}
	for _, u := range uuids {
		if u != "" {
			return u
		}
	}
	return ""
}

// fits returns the profile's UUID if it is for the interface, and how sure that is.
func (l *Lease) fits(conf unit) (uuid string, rank int) {
	one := func(section, key string) string { return strings.Join(conf[section][key], " ") }
	uuid = one("connection", "uuid")
	types, section := []string{"ethernet", "802-3-ethernet"}, "ethernet"
	if l.infiniband() {
		types, section = []string{"infiniband"}, "infiniband"
	}
	if !isHostname(uuid) || !slices.Contains(types, one("connection", "type")) || one("connection", "autoconnect") == "false" {
		return "", 0
	}
	mac, name := one(section, "mac-address")+one("802-3-ethernet", "mac-address"), one("connection", "interface-name")
	switch {
	case mac != "" && sameHW(mac, l.MAC):
		return uuid, 0
	case mac == "" && name == l.Interface:
		return uuid, 1
	case mac == "" && name == "":
		return uuid, 2
	default:
		return "", 0
	}
}

// uuid is the same at each boot (RFC 9562 §5.8).
func (l *Lease) uuid() string {
	b := sha256.Sum256(append([]byte("rootcast network "), l.MAC...))
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// nmProfile is the lease as a nm-settings-keyfile(5). An own profile of an
// administrator has the default priority, 0, and is preferred.
func (l *Lease) nmProfile(id string) []byte {
	kind := "ethernet"
	if l.infiniband() {
		kind = "infiniband"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Written at boot by rootcast, which brought up %s by %s.\n", l.Interface, l.Method)
	fmt.Fprintf(&b, "[connection]\nid=rootcast-%s\nuuid=%s\ntype=%s\nautoconnect-priority=-100\n\n[%s]\nmac-address=%s\n", l.Interface, id, kind, kind, strings.ToUpper(l.MAC.String()))
	if l.MTU != 0 {
		fmt.Fprintf(&b, "mtu=%d\n", l.MTU)
	}
	if l.infiniband() {
		b.WriteString("transport-mode=datagram\n")
	}
	b.WriteString("\n[ipv4]\n")
	four, six := l.nmFamily(netip.Addr.Is4), l.nmFamily(netip.Addr.Is6)
	switch {
	case l.Method == DHCP && l.infiniband():
		b.WriteString("method=auto\n")
	case l.Method == DHCP:
		b.WriteString("method=auto\ndhcp-client-id=mac\n")
	case four != "":
		b.WriteString(four)
	default:
		b.WriteString("method=disabled\n")
	}
	b.WriteString("\n[ipv6]\naddr-gen-mode=eui64\n")
	switch {
	case l.Method == DHCP6:
		b.WriteString("method=auto\ndhcp-duid=ll\ndhcp-iaid=mac\n")
	case six != "":
		b.WriteString(six)
	default:
		b.WriteString("method=auto\n")
	}
	return b.Bytes()
}

// nmFamily is the section of a static address, "" without one of the family.
func (l *Lease) nmFamily(is func(netip.Addr) bool) string {
	if l.Method != Static {
		return ""
	}
	var b strings.Builder
	for n, p := range l.Addresses {
		if is(p.Addr()) {
			fmt.Fprintf(&b, "address%d=%s\n", n+1, p)
		}
	}
	if b.Len() == 0 {
		return ""
	}
	for _, gw := range l.Gateways {
		if is(gw) {
			fmt.Fprintf(&b, "gateway=%s\n", gw)
			break
		}
	}
	var dns []netip.Addr
	for _, a := range l.DNS {
		if is(a) {
			dns = append(dns, a)
		}
	}
	if len(dns) > 0 {
		fmt.Fprintf(&b, "dns=%s;\n", joined(dns, ";"))
	}
	if search := l.searchList(); len(search) > 0 {
		fmt.Fprintf(&b, "dns-search=%s;\n", strings.Join(search, ";"))
	}
	return "method=manual\n" + b.String()
}
