package fetch

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// explain adds to an error what the person at the console should check.
func (f *fetcher) explain(err error) error {
	if errors.Is(err, io.EOF) {
		// It must not look like the end of the file to whoever asks errors.Is.
		err = fmt.Errorf("the server closed the connection: %w", io.ErrUnexpectedEOF)
	}
	for _, hint := range []string{f.certificateHint(err), serverHint(err), networkHint(err)} {
		if hint != "" {
			return fmt.Errorf("%w: %s", err, hint)
		}
	}
	return err
}

// certificateHint is for what TLS does not accept.
func (f *fetcher) certificateHint(err error) string {
	var (
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		host      x509.HostnameError
		record    tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &authority) && f.noCA:
		return "certificate not trusted, for the initrd holds no CA certificate: give convert --ca-cert"
	case errors.As(err, &authority):
		return "certificate not trusted: give convert --ca-cert the certificate of the CA that signed the server's"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "certificate expired or not valid yet: the node's clock says " +
			time.Now().UTC().Format("2006-01-02 15:04:05 UTC") + ": check it, then the certificate"
	case errors.As(err, &invalid):
		return "certificate not accepted: check the server's certificate chain"
	case errors.As(err, &host):
		return "the certificate is another host's: use the name in imgurl that the certificate has"
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record):
		return "the port speaks no TLS: use http:// or the port of HTTPS"
	}
	return ""
}

// serverHint is for what a server answers.
func serverHint(err error) string {
	var (
		status *statusError
		tftp   *tftpError
	)
	switch {
	case errors.As(err, &status):
		return status.hint()
	case errors.As(err, &tftp):
		return tftp.hint()
	}
	return ""
}

// networkHint is for what never reaches a server, or breaks off.
func networkHint(err error) string {
	var (
		name *net.DNSError
		op   *net.OpError
		late net.Error
	)
	switch {
	case errors.As(err, &name):
		return fmt.Sprintf("the name %q was not resolved, by %s: use an address in imgurl, or check the name server",
			name.Name, nameServers("/etc/resolv.conf"))
	case errors.Is(err, syscall.ECONNREFUSED):
		return "check that the service runs, and the port in imgurl"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "check the node's address, netmask and gateway (ip=), and the server's address"
	case errors.As(err, &op) && op.Op == "dial" && op.Timeout():
		return "the server does not answer: check its address, the cabling, the VLAN and firewalls"
	case errors.As(err, &late) && late.Timeout(), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Sprintf("not a byte for %v: check the server's load and the network", stall)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection broke off: check the server and the network"
	}
	return ""
}

// nameServers says which servers a resolv.conf(5) names.
func nameServers(file string) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return "no name server, for there is no " + file
	}
	var servers []string
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "nameserver" {
			servers = append(servers, fields[1])
		}
	}
	if servers == nil {
		return "no name server, for " + file + " names none"
	}
	return "the name server " + strings.Join(servers, ", ")
}
