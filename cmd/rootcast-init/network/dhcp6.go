package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/dhcpv6/nclient6"
	"github.com/insomniacslk/dhcp/iana"
)

// managed gets an address by DHCPv6.
func (d *ip6) managed(ctx context.Context, local netip.Addr, ra advertisement) (*Lease, error) {
	client, err := d.client(local)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	for {
		l, err := d.solicit(ctx, client)
		if err == nil {
			l.advertised(ra)
			return l, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		d.log("%s: %v: asking again", d.iface.name, err)
		if err := pause(ctx, jitter(firstWait)); err != nil {
			return nil, err
		}
	}
}

// solicit is one round of RFC 8415 §18.2.1 and 18.2.2, or of one exchange with
// servers that allow it.
func (d *ip6) solicit(ctx context.Context, client *nclient6.Client) (*Lease, error) {
	solicit, err := dhcpv6.NewSolicit(d.iface.hw, append(d.options6(), dhcpv6.WithRapidCommit)...)
	if err != nil {
		return nil, fmt.Errorf("making a DHCPv6 request: %w", err)
	}
	answer, err := exchange6(ctx, client, solicit, usable)
	if err != nil {
		return nil, err
	}
	if answer.MessageType == dhcpv6.MessageTypeReply {
		return d.fromReply(answer)
	}
	request, err := dhcpv6.NewRequestFromAdvertise(answer, d.options6()...)
	if err != nil {
		return nil, fmt.Errorf("answering a DHCPv6 server: %w", err)
	}
	asked, cancel := context.WithTimeout(ctx, 4*firstWait)
	defer cancel()
	reply, err := exchange6(asked, client, request, nclient6.IsMessageType(dhcpv6.MessageTypeReply))
	if err != nil {
		return nil, fmt.Errorf("the DHCPv6 server forgot its offer: %w", err)
	}
	return d.fromReply(reply)
}

// usable takes an answer that has an address.
func usable(m *dhcpv6.Message) bool {
	if m.MessageType != dhcpv6.MessageTypeAdvertise && m.MessageType != dhcpv6.MessageTypeReply {
		return false
	}
	ia := m.Options.OneIANA()
	return ia != nil && ia.Options.OneAddress() != nil && addr(ia.Options.OneAddress().IPv6Addr).IsValid()
}

// information asks for name servers only (RFC 8415 §18.2.6) and adds them.
func (d *ip6) information(ctx context.Context, local netip.Addr, l *Lease) error {
	client, err := d.client(local)
	if err != nil {
		return err
	}
	defer client.Close()
	m, err := dhcpv6.NewMessage(d.options6()...)
	if err != nil {
		return fmt.Errorf("making a DHCPv6 request: %w", err)
	}
	m.MessageType = dhcpv6.MessageTypeInformationRequest
	m.AddOption(dhcpv6.OptElapsedTime(0))
	ctx, cancel := context.WithTimeout(ctx, routerWait)
	defer cancel()
	reply, err := exchange6(ctx, client, m, nclient6.IsMessageType(dhcpv6.MessageTypeReply))
	if err != nil {
		return err
	}
	l.options6(reply)
	return nil
}

// exchange6 sends until there is an answer, in growing intervals.
func exchange6(ctx context.Context, client *nclient6.Client, m *dhcpv6.Message, match nclient6.Matcher) (*dhcpv6.Message, error) {
	started := time.Now()
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		m.UpdateOption(dhcpv6.OptElapsedTime(time.Since(started)))
		try, cancel := context.WithTimeout(ctx, jitter(wait))
		answer, err := client.SendAndRead(try, client.RemoteAddr(), m, match)
		if err != nil {
			<-try.Done() // whatever it was, not in a tight loop
		}
		cancel()
		if err == nil || ctx.Err() != nil {
			return answer, errors.Join(err, ctx.Err())
		}
	}
}

func (d *ip6) client(local netip.Addr) (*nclient6.Client, error) {
	conn, err := net.ListenUDP("udp6", &net.UDPAddr{IP: local.AsSlice(), Zone: d.zone(), Port: dhcpv6.DefaultClientPort})
	if err != nil {
		return nil, fmt.Errorf("opening DHCPv6's port on %s: %w", d.iface.name, err)
	}
	client, err := nclient6.NewWithConn(conn, d.iface.hw, nclient6.WithTimeout(4*lastWait), nclient6.WithRetry(1),
		nclient6.WithBroadcastAddr(&net.UDPAddr{IP: dhcpv6.AllDHCPRelayAgentsAndServers, Zone: d.zone(), Port: dhcpv6.DefaultServerPort}))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("asking DHCPv6 on %s: %w", d.iface.name, err), conn.Close())
	}
	return client, nil
}

// duid is one that does not change from boot to boot: the library's own has the
// time in it, and a node has nowhere to keep it.
func (d *ip6) duid() dhcpv6.DUID {
	if d.iface.infiniband {
		return &dhcpv6.DUIDLL{HWType: iana.HWTypeInfiniband, LinkLayerAddr: d.iface.hw[ibAddrLen-guidLen:]}
	}
	return &dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: d.iface.hw}
}

func (d *ip6) options6() []dhcpv6.Modifier {
	return []dhcpv6.Modifier{
		dhcpv6.WithClientID(d.duid()),
		dhcpv6.WithRequestedOptions(dhcpv6.OptionDNSRecursiveNameServer, dhcpv6.OptionDomainSearchList, dhcpv6.OptionBootfileURL, dhcpv6.OptionNTPServer),
	}
}

// fromReply reads a DHCPv6 answer. Its address has no prefix: what is on the link
// is the router's to say (RFC 5942 §4).
func (d *ip6) fromReply(m *dhcpv6.Message) (*Lease, error) {
	if s := m.Options.Status(); s != nil && s.StatusCode != iana.StatusSuccess {
		return nil, fmt.Errorf("the DHCPv6 server refused: %s %s", s.StatusCode, printable(s.StatusMessage))
	}
	ia := m.Options.OneIANA()
	if !usable(m) {
		reason := "no address is in its answer"
		if ia != nil && ia.Options.Status() != nil {
			reason = printable(ia.Options.Status().StatusMessage)
		}
		return nil, fmt.Errorf("the DHCPv6 server refused: %s", reason)
	}
	one := ia.Options.OneAddress()
	a := addr(one.IPv6Addr)
	if !a.Is6() || a.IsLinkLocalUnicast() || a.IsLoopback() {
		return nil, fmt.Errorf("the DHCPv6 server gave the address %s, which no host can have", one.IPv6Addr)
	}
	l := &Lease{
		Method: DHCP6, Addresses: []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}, Obtained: time.Now(),
		LeaseTime: one.ValidLifetime, T1: ia.T1, T2: ia.T2, ClientID: d.duid().ToBytes(), BootFile: printable(m.Options.BootFileURL()),
	}
	if l.LeaseTime >= infinite {
		l.LeaseTime, l.T1, l.T2 = 0, 0, 0
	}
	l.options6(m)
	return l, nil
}

func (l *Lease) options6(m *dhcpv6.Message) {
	l.DNS = append(l.DNS, addrs(m.Options.DNS())...)
	l.NTP = append(l.NTP, addrs(m.Options.NTPServers())...)
	if s := m.Options.DomainSearchList(); s != nil {
		l.addNames(s.Labels...)
	}
}
