package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// inLab marks the process that a test runs itself in.
const inLab = "ROOTCAST_TEST_LAB"

// lab is a node's network, that of the whole process, and a second namespace at
// the other ends of its cables, where servers are.
type lab struct {
	t          *testing.T
	node, peer netns.NsHandle

	mu    sync.Mutex
	lines []string // that were logged
}

// newLab returns nil in the test's first process, after the test has run in a
// process of its own with a network namespace of its own: so all goroutines
// of the package are in it. Tests run side by side like this.
func newLab(t *testing.T) *lab {
	t.Helper()
	if os.Geteuid() != 0 {
		skip(t, "only root can make network namespaces")
	}
	if os.Getenv(inLab) == "" {
		t.Parallel()
		rerun(t)
		return nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l := &lab{t: t}
	var err error
	if l.node, err = netns.Get(); err != nil {
		t.Fatal(err)
	}
	if l.peer, err = netns.New(); err != nil {
		t.Fatal(err)
	}
	if err := netns.Set(l.node); err != nil {
		t.Fatal(err)
	}
	return l
}

func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("in CI this test must run: " + why)
	}
	t.Skip(why)
}

func rerun(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), inLab+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		skip(t, "network namespaces cannot be made here")
	}
	if err != nil || testing.Verbose() {
		t.Logf("%s", out)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, why, ok := bytes.Cut(out, []byte("SKIPPED: ")); ok {
		t.Skip(string(bytes.SplitN(why, []byte("\n"), 2)[0]))
	}
}

// lacks skips the test where the machine's kernel has no such device.
func (l *lab) lacks(what string) {
	l.t.Helper()
	fmt.Println("SKIPPED: the kernel of this machine has no " + what)
	l.t.SkipNow()
}

// atPeer runs f among the servers.
func (l *lab) atPeer(f func()) {
	l.t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := netns.Set(l.peer); err != nil {
		l.t.Fatal(err)
	}
	defer func() {
		if err := netns.Set(l.node); err != nil {
			l.t.Fatal(err)
		}
	}()
	f()
}

// wire makes a cable from the node's interface to the peer's of the same name. The
// other end is down: without set no carrier.
func (l *lab) wire(name, mac string) {
	l.t.Helper()
	hw, err := net.ParseMAC(mac)
	if err != nil {
		l.t.Fatal(err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr = name, hw
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: name, PeerNamespace: netlink.NsFd(l.peer)}); err != nil {
		l.t.Fatal(err)
	}
}

// plug sets the far end up, with an address if that is not "".
func (l *lab) plug(name, cidr string) {
	l.t.Helper()
	l.atPeer(func() {
		link := l.link(name)
		if cidr != "" {
			a, err := netlink.ParseAddr(cidr)
			if err != nil {
				l.t.Fatal(err)
			}
			a.Flags |= unix.IFA_F_NODAD
			if err := netlink.AddrAdd(link, a); err != nil {
				l.t.Fatal(err)
			}
		}
		if err := netlink.LinkSetUp(link); err != nil {
			l.t.Fatal(err)
		}
	})
}

func (l *lab) link(name string) netlink.Link {
	l.t.Helper()
	link, err := netlink.LinkByName(name)
	if err != nil {
		l.t.Fatal(err)
	}
	return link
}

// serve4 answers DHCPv4 on the far end. An answer of nil is none.
func (l *lab) serve4(name string, answer func(*dhcpv4.DHCPv4) *dhcpv4.DHCPv4) {
	l.t.Helper()
	l.atPeer(func() {
		conn, err := server4.NewIPv4UDPConn(name, &net.UDPAddr{Port: dhcpv4.ServerPort})
		if err != nil {
			l.t.Fatal(err)
		}
		handler := func(conn net.PacketConn, to net.Addr, m *dhcpv4.DHCPv4) {
			if reply := answer(m); reply != nil {
				_, _ = conn.WriteTo(reply.ToBytes(), to)
			}
		}
		server, err := server4.NewServer(name, nil, handler, server4.WithConn(conn))
		if err != nil {
			l.t.Fatal(err)
		}
		go func() { _ = server.Serve() }()
		l.t.Cleanup(func() { _ = server.Close() })
	})
}

// pool is a DHCP server that gives everybody one address.
func pool(ip, server string, options ...dhcpv4.Modifier) func(*dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	return func(m *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		kind := dhcpv4.MessageTypeOffer
		if m.MessageType() == dhcpv4.MessageTypeRequest {
			kind = dhcpv4.MessageTypeAck
		}
		return reply(m, kind, ip, server, options...)
	}
}

func reply(m *dhcpv4.DHCPv4, kind dhcpv4.MessageType, ip, server string, options ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	r, err := dhcpv4.NewReplyFromRequest(m, append([]dhcpv4.Modifier{
		dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(net.ParseIP(ip)),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.ParseIP(server))),
	}, options...)...)
	if err != nil {
		panic(err)
	}
	return r
}

// up calls Up with what the lab logs and short limits where there are none.
func (l *lab) up(c Config) (*Lease, error) {
	c.Log = func(format string, args ...any) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lines = append(l.lines, fmt.Sprintf(format, args...))
	}
	if c.LinkWait == 0 {
		c.LinkWait = 10 * time.Second
	}
	if c.DHCPWait == 0 {
		c.DHCPWait = 20 * time.Second
	}
	lease, err := Up(l.t.Context(), c)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.t.Logf("log:\n%s\nlease: %v\nerror: %v", strings.Join(l.lines, "\n"), lease, err)
	return lease, err
}

func (l *lab) mustUp(c Config) *Lease {
	l.t.Helper()
	lease, err := l.up(c)
	if err != nil {
		l.t.Fatal(err)
	}
	return lease
}

// fails wants an error with all the parts.
func (l *lab) fails(c Config, parts ...string) {
	l.t.Helper()
	_, err := l.up(c)
	if err == nil {
		l.t.Fatal("there is no error")
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			l.t.Errorf("the error is %q, which lacks %q", err, p)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		l.t.Errorf("the error %q has more than one line", err)
	}
}

// addresses of an interface as the kernel has them, without link-local ones.
func (l *lab) addresses(name string) string {
	l.t.Helper()
	list, err := netlink.AddrList(l.link(name), netlink.FAMILY_ALL)
	if err != nil {
		l.t.Fatal(err)
	}
	var s []string
	for _, a := range list {
		if !a.IP.IsLinkLocalUnicast() {
			s = append(s, a.IPNet.String())
		}
	}
	return strings.Join(s, " ")
}

// routes of an interface as the kernel has them, without those that addresses bring.
func (l *lab) routes(name string, family int) string {
	l.t.Helper()
	list, err := netlink.RouteListFiltered(family, &netlink.Route{LinkIndex: l.link(name).Attrs().Index}, netlink.RT_FILTER_OIF)
	if err != nil {
		l.t.Fatal(err)
	}
	var s []string
	for _, r := range list {
		if r.Protocol == unix.RTPROT_KERNEL {
			continue
		}
		line := r.Dst.String()
		if r.Gw != nil {
			line += " via " + r.Gw.String()
		}
		if r.Flags&int(netlink.FLAG_ONLINK) != 0 {
			line += " onlink"
		}
		s = append(s, line)
	}
	return strings.Join(s, ", ")
}

func (l *lab) isUp(name string) bool {
	l.t.Helper()
	return l.link(name).Attrs().RawFlags&unix.IFF_UP != 0
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
