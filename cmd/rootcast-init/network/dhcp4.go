package network

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"github.com/insomniacslk/dhcp/iana"
)

// vendorClass is option 60: servers can know a node's second boot stage by it.
const vendorClass = "rootcast"

// The waits for an answer: RFC 2131 §4.1 begins with 4 s and doubles up to 64. A
// node that boots has a person or a batch system waiting; with a server that first
// pings an address (1 s) the second packet of the same transaction does no harm.
const (
	firstWait = 1 * time.Second
	lastWait  = 16 * time.Second
)

// dhcp4 is one interface's conversation with DHCPv4 servers.
type dhcp4 struct {
	iface    iface
	hostname string // to ask for, or ""
	started  time.Time
	log      func(string, ...any)
}

// run asks until there is an address or ctx ends.
func (d *dhcp4) run(ctx context.Context) (*Lease, error) {
	d.started = time.Now()
	for naks := 0; ; naks++ {
		l, err := d.discover(ctx)
		if !errors.Is(err, errNAK) {
			return l, err
		}
		d.log("%s: %v: asking again", d.iface.name, err)
		if err := pause(ctx, jitter(min(firstWait<<min(naks, 4), lastWait)/2)); err != nil {
			return nil, err
		}
	}
}

// discover is one round of RFC 2131 §3.1, which ends with a lease or errNAK.
func (d *dhcp4) discover(ctx context.Context) (*Lease, error) {
	discover, err := dhcpv4.NewDiscovery(d.hwaddr(), d.options()...)
	if err != nil {
		return nil, fmt.Errorf("making a DHCP request: %w", err)
	}
	offer, err := d.exchange(ctx, discover, isOffer)
	if err != nil {
		return nil, err
	}
	request, err := dhcpv4.NewRequestFromOffer(offer, d.options()...)
	if err != nil {
		return nil, fmt.Errorf("making a DHCP request: %w", err)
	}
	server := offer.ServerIdentifier()
	// A server that has forgotten its offer says nothing: half of the waits, then anew.
	asked, cancel := context.WithTimeout(ctx, 4*firstWait)
	defer cancel()
	ack, err := d.exchange(asked, request, nclient4.IsAll(nclient4.IsCorrectServer(server), nclient4.IsMessageType(dhcpv4.MessageTypeAck, dhcpv4.MessageTypeNak)))
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("%w: no answer from %s", errNAK, server)
	case err != nil:
		return nil, err
	case ack.MessageType() == dhcpv4.MessageTypeNak:
		return nil, fmt.Errorf("%w: %s says %q", errNAK, server, printable(ack.Message()))
	}
	l, err := fromACK(ack)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNAK, err)
	}
	l.ClientID = d.clientID()
	return l, nil
}

// isOffer leaves out those of proxies, which know boot files and no addresses.
func isOffer(m *dhcpv4.DHCPv4) bool {
	return m.MessageType() == dhcpv4.MessageTypeOffer && addr(m.YourIPAddr).IsValid()
}

// exchange sends a message until something matches, in growing intervals. Each try
// has a socket of its own: one that saw its interface go down for a moment
// hears nothing any more.
func (d *dhcp4) exchange(ctx context.Context, m *dhcpv4.DHCPv4, match nclient4.Matcher) (*dhcpv4.DHCPv4, error) {
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		m.NumSeconds = uint16(min(time.Since(d.started)/time.Second, 0xffff))
		answer, err := d.try(ctx, m, match, jitter(wait))
		if err == nil {
			return answer, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

func (d *dhcp4) try(ctx context.Context, m *dhcpv4.DHCPv4, match nclient4.Matcher, wait time.Duration) (*dhcpv4.DHCPv4, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	client, err := d.client(wait)
	if err != nil {
		<-ctx.Done() // the interface is down, or gone: not to try in a tight loop
		return nil, err
	}
	answer, err := client.SendAndRead(ctx, nclient4.DefaultServers, m, match)
	if err != nil && !errors.Is(err, nclient4.ErrNoResponse) && ctx.Err() == nil {
		<-ctx.Done() // it could not be sent
	}
	return answer, errors.Join(err, client.Close())
}

func (d *dhcp4) client(wait time.Duration) (*nclient4.Client, error) {
	options := []nclient4.ClientOpt{nclient4.WithTimeout(2 * wait), nclient4.WithRetry(1)}
	if !d.iface.infiniband {
		return nclient4.New(d.iface.name, append(options, nclient4.WithHWAddr(d.iface.hw))...)
	}
	// A packet socket's address in Go holds 8 bytes and InfiniBand's broadcast has
	// 20, so the kernel must make these frames.
	conn, err := server4.NewIPv4UDPConn(d.iface.name, &net.UDPAddr{Port: nclient4.ClientPort})
	if err != nil {
		return nil, err
	}
	return nclient4.NewWithConn(conn, d.hwaddr(), options...)
}

// hwaddr is the field chaddr, which RFC 4390 leaves empty for InfiniBand.
func (d *dhcp4) hwaddr() hwAddr {
	if d.iface.infiniband {
		return hwAddr{}
	}
	return d.iface.hw
}

// clientID is what a node's firmware sends as well, so that servers see one client:
// hardware type and address (RFC 2132 §9.14), or, for InfiniBand, what ConnectX
// firmware and iPXE make of the port's GUID.
func (d *dhcp4) clientID() []byte {
	if d.iface.infiniband {
		return append([]byte{0xff, 0, 0, 0, 0, 0, 2, 0, 0, 2, 0xc9, 0}, d.iface.hw[max(0, len(d.iface.hw)-guidLen):]...)
	}
	return append([]byte{byte(iana.HWTypeEthernet)}, d.iface.hw...)
}

func (d *dhcp4) options() []dhcpv4.Modifier {
	list := []dhcpv4.Modifier{
		dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(nclient4.MaxMessageSize)),
		dhcpv4.WithOption(dhcpv4.OptClientIdentifier(d.clientID())),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier(vendorClass)),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionSubnetMask, dhcpv4.OptionClasslessStaticRoute, dhcpv4.OptionRouter, dhcpv4.OptionStaticRoutingTable,
			dhcpv4.OptionDomainNameServer, dhcpv4.OptionHostName, dhcpv4.OptionDomainName, dhcpv4.OptionDNSDomainSearchList, dhcpv4.OptionInterfaceMTU,
			dhcpv4.OptionNTPServers, dhcpv4.OptionTFTPServerName, dhcpv4.OptionBootfileName, dhcpv4.OptionRootPath),
	}
	if d.hostname != "" {
		list = append(list, dhcpv4.WithOption(dhcpv4.OptHostName(d.hostname)))
	}
	if d.iface.infiniband {
		list = append(list, dhcpv4.WithHWType(iana.HWTypeInfiniband), dhcpv4.WithBroadcast(true))
	}
	return list
}

// jitter is d give or take a fifth: after a power cut a thousand nodes ask at once.
func jitter(d time.Duration) time.Duration {
	return d*4/5 + rand.N(d*2/5+1)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
