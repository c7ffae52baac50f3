package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/rootcast/rootcast/cmd/rootcast-init/fetch"
	"github.com/rootcast/rootcast/cmd/rootcast-init/network"
)

// caFile is where convert --ca-cert puts certificates.
const caFile = "/etc/rootcast/ca.pem"

// fetchedRoot brings the network up and fetches the root.
func (b *boot) fetchedRoot(ctx context.Context) error {
	if b.options.ImgURL == "" {
		return fmt.Errorf("no imgurl= on the kernel command line: it says where the root is, such as imgurl=http://boot.example/compute/%s: %w", b.spec.Root.Name, errForGood)
	}
	urls, err := fetch.Parse(b.options.ImgURL)
	if err != nil {
		return fmt.Errorf("%w: %w", err, errForGood)
	}
	if err := b.networkUp(ctx); err != nil {
		return err
	}
	return b.fetch(ctx, urls)
}

func (b *boot) networkUp(ctx context.Context) (err error) {
	if len(b.options.Bond) > 0 {
		b.need(ctx, "bonding")
	}
	if len(b.options.VLAN) > 0 {
		b.need(ctx, "8021q")
	}
	config := network.Config{
		BootIF: b.options.BootIF, NetDev: b.options.NetDev, IP: b.options.IP, VLAN: b.options.VLAN, Bond: b.options.Bond,
		Nameserver: b.options.Nameserver, LinkWait: b.options.LinkWait, DHCPWait: b.options.DHCPWait, Log: b.log.Printf,
	}
	if _, err := network.Parse(config); err != nil {
		return fmt.Errorf("%w: %w", err, errForGood)
	}
	if b.lease, err = network.Up(ctx, config); err != nil {
		return err
	}
	if err := os.MkdirAll("/etc", 0o755); err != nil {
		return err
	}
	return os.WriteFile("/etc/resolv.conf", b.lease.ResolvConf(), 0o644)
}

func (b *boot) fetch(ctx context.Context, urls []string) error {
	ca, err := certificates()
	if err != nil {
		return err
	}
	if b.options.Digest == "" {
		b.log.Printf("warning: no rootcast.digest= on the kernel command line: nothing proves that the root is the right one")
	}
	s, err := fetch.Open(ctx, fetch.Options{URLs: urls, SHA256: b.options.Digest, CA: ca, Attempts: fetchRounds, Log: b.log.Printf})
	if err != nil {
		return err
	}
	defer s.Close() //nolint:errcheck // it was only read
	stream := rootStream{Reader: s, root: b.spec.Root, check: func() error {
		_, err := io.Copy(io.Discard, s) // its end is where the digest is checked
		return err
	}}
	need := b.spec.Peak
	if b.options.Digest != b.spec.Root.SHA256 { // another root than the one that was made with this initrd
		if stream, err = identify(s, urls[0]); err != nil {
			return err
		}
		need = s.Size // it takes more once it is unpacked, but how much is not known
	}
	if err := tooSmall(need); err != nil {
		return err
	}
	stream.root.Size = s.Size
	return b.makeRoot(ctx, stream)
}

// fetchRounds is how often all URLs are tried before the network is brought up
// anew: a switch port or an address may be what is wrong.
const fetchRounds = 5

// certificates are those that the servers of an https:// root are checked by;
// nil: there are none.
func certificates() (*x509.CertPool, error) {
	text, err := os.ReadFile(caFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate that can be read: %w", caFile, errForGood)
	}
	return pool, nil
}
