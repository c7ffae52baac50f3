package network

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
)

var errIP = errors.New("dhcp, dhcp6, auto6, any, INTERFACE:METHOD, or CLIENT:SERVER:GATEWAY:NETMASK:HOSTNAME:INTERFACE:METHOD[:DNS[:DNS[:NTP]]]" +
	" is expected, with IPv6 addresses in brackets")

// The fields of ip= in the kernel's Documentation/admin-guide/nfs/nfsroot.rst.
const (
	ipClient = iota
	ipServer
	ipGateway
	ipMask
	ipHost
	ipDevice
	ipMethod
	ipDNS0 // dracut: or the MTU
	ipDNS1
	ipNTP
	ipFields
)

// parseIP takes the kernel's form and dracut's short ones, ip=METHOD and
// ip=INTERFACE:METHOD[:MTU].
func parseIP(s string) (Link, error) {
	f, err := splitIP(s)
	if err != nil {
		return Link{}, err
	}
	if len(f) == 1 {
		if m, err := parseMethod(f[0]); !errors.Is(err, errIP) {
			return Link{Method: m}, err
		}
	}
	if len(f) >= 2 && f[1] != "" {
		if m, err := parseMethod(f[1]); !errors.Is(err, errIP) {
			return parseShort(f, m, err)
		}
	}
	if len(f) > ipFields {
		return Link{}, errIP
	}
	f = append(f, make([]string, ipFields-len(f))...)
	for i := range f {
		if f[i] == "0.0.0.0" { // what boot loaders write for nothing
			f[i] = ""
		}
	}
	var l Link
	if f[ipDevice] != "" {
		if l.Device, err = parseDevice(f[ipDevice]); err != nil {
			return Link{}, err
		}
	}
	if f[ipHost] != "" && !isHostname(f[ipHost]) {
		return Link{}, fmt.Errorf("the host name %q has other characters than letters, digits, dots and dashes", f[ipHost])
	}
	l.Hostname = f[ipHost]
	if err := l.servers(f); err != nil {
		return Link{}, err
	}
	return l, l.address(f)
}

// parseShort is ip=INTERFACE:METHOD[:MTU]. The first two fields are not empty.
func parseShort(f []string, m Method, err error) (Link, error) {
	if err != nil {
		return Link{}, err
	}
	d, err := parseDevice(f[0])
	if err != nil {
		return Link{}, err
	}
	l := Link{Device: d, Method: m}
	if len(f) > 3 && strings.Join(f[3:], "") != "" {
		return Link{}, errors.New("a MAC address cannot be set by ip=: leave it out behind the MTU")
	}
	if len(f) > 2 && f[2] != "" {
		l.MTU, err = parseMTU(f[2])
	}
	return l, err
}

// splitIP splits at colons that are not in brackets, and takes the brackets away.
func splitIP(s string) ([]string, error) {
	var fields []string
	var field strings.Builder
	inside := false
	for _, r := range s {
		switch {
		case r == '[' && !inside && field.Len() == 0:
			inside = true
		case r == ']' && inside:
			inside = false
		case r == '[' || r == ']':
			return nil, fmt.Errorf("the brackets do not match: %w", errIP)
		case r == ':' && !inside:
			fields = append(fields, field.String())
			field.Reset()
		default:
			field.WriteRune(r)
		}
	}
	if inside {
		return nil, fmt.Errorf("the brackets do not match: %w", errIP)
	}
	return append(fields, field.String()), nil
}

// parseMethod returns errIP for a word that is no method at all, and another error
// for one that others know.
func parseMethod(s string) (Method, error) {
	switch s {
	case "on", "any", "both":
		return Any, nil
	case "dhcp", "single-dhcp":
		return DHCP, nil
	case "dhcp6":
		return DHCP6, nil
	case "auto6", "either6":
		return Auto6, nil
	case "off", "none", "static":
		return "", errors.New("the method gives no address: give one as in ip=10.0.0.5::10.0.0.1:255.255.255.0::eth0:none, or ip=dhcp")
	case "bootp", "rarp", "ibft", "link6", "link-local":
		return "", fmt.Errorf("the method %s is not supported: use dhcp, dhcp6, auto6, any or a static address", s)
	default:
		return "", errIP
	}
}

// servers reads the fields of hosts other than this one, and dracut's MTU.
func (l *Link) servers(f []string) error {
	var err error
	if f[ipServer] != "" {
		if l.Server, err = parseAddr(f[ipServer]); err != nil {
			return err
		}
	}
	if mtu := f[ipDNS0]; mtu != "" && strings.Trim(mtu, "0123456789") == "" {
		if f[ipDNS1] != "" || f[ipNTP] != "" {
			return errors.New("a MAC address cannot be set by ip=: leave it out behind the MTU")
		}
		l.MTU, err = parseMTU(mtu)
		return err
	}
	for i, field := range f[ipDNS0:] {
		if field == "" {
			continue
		}
		a, err := parseAddr(field)
		if err != nil {
			return err
		}
		if ipDNS0+i == ipNTP {
			l.NTP = append(l.NTP, a)
		} else {
			l.DNS = append(l.DNS, a)
		}
	}
	return nil
}

// address decides between a static address and the other methods: as in the kernel
// an address makes on, any, both and no method at all static.
func (l *Link) address(f []string) error {
	method := f[ipMethod]
	if f[ipClient] == "" {
		if f[ipGateway] != "" || f[ipMask] != "" {
			return errors.New("a gateway or a netmask without a client's address: give the address first, as in ip=10.0.0.5::10.0.0.1:255.255.255.0::eth0:none")
		}
		if method == "" {
			method = "any"
		}
		m, err := parseMethod(method)
		l.Method = m
		return err
	}
	switch method {
	case "", "none", "off", "static", "on", "any", "both":
	default:
		if _, err := parseMethod(method); err != nil {
			return err
		}
		return fmt.Errorf("a static address and the method %s: leave one of them out", method)
	}
	l.Method = Static
	var err error
	if l.Address, err = parsePrefix(f[ipClient], f[ipMask]); err != nil {
		return err
	}
	if f[ipGateway] != "" {
		if l.Gateway, err = parseAddr(f[ipGateway]); err != nil {
			return err
		}
		if l.Gateway.Is4() != l.Address.Addr().Is4() {
			return fmt.Errorf("the gateway %s and the address %s are of different families", l.Gateway, l.Address.Addr())
		}
	}
	return nil
}

// parsePrefix takes ADDRESS/LENGTH, or an address and its netmask in dots or as a
// length.
func parsePrefix(addr, mask string) (netip.Prefix, error) {
	addr, length, both := strings.Cut(addr, "/")
	if !both {
		length = mask
	}
	a, err := parseAddr(addr)
	if err != nil {
		return netip.Prefix{}, err
	}
	n, err := strconv.Atoi(length)
	if m, e := netip.ParseAddr(length); err != nil && e == nil && m.Is4() && a.Is4() {
		b := m.As4()
		v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		if n = bits.LeadingZeros32(^v); v<<n == 0 { // no ones behind the first zero
			err = nil
		}
	}
	if err != nil || n < 1 || n > a.BitLen() {
		return netip.Prefix{}, fmt.Errorf("the netmask %q of %s is none: 255.255.255.0, 24 or %s/24 is expected", length, addr, addr)
	}
	return netip.PrefixFrom(a, n), nil
}

// parseAddr takes an address of a host, without zone.
func parseAddr(s string) (netip.Addr, error) {
	if rest, ok := strings.CutPrefix(s, "["); ok {
		s = strings.TrimSuffix(rest, "]")
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() {
		return netip.Addr{}, fmt.Errorf("%q is no address of a host: one as 10.0.0.1 or [fd00::1] is expected", s)
	}
	return a.Unmap(), nil
}

// isHostname allows what RFC 1123 does, and the underscores that are seen. What
// passes can stand in a configuration file.
func isHostname(s string) bool {
	return s != "" && len(s) <= 253 && s[0] != '-' && s[0] != '.' && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '.' && r != '_' && r != '-' && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z')
	})
}
