package network

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/vishvananda/netlink"
)

const networkd = "/usr/lib/systemd/systemd-networkd"

// A booted system's networkd, with the node's network and the files of a root.
const bootNetworkd = `mount --make-rprivate / && mount -t sysfs -o ro sysfs /sys && mkdir -p "$0/run/systemd/netif/links" "$0/run/systemd/netif/leases" "$0/run/systemd/netif/lldp" "$0/run/dbus" &&
chown -R systemd-network "$0/run/systemd/netif" && mount --bind "$0/etc/systemd/network" /etc/systemd/network && mount --bind "$0/run" /run && exec ` + networkd

// TestNetworkdGoesOn starts networkd where Up and HandOver have been: it must ask as
// the same client, for the same address, which is there all the time.
func TestNetworkdGoesOn(t *testing.T) {
	t.Run("own", func(t *testing.T) { networkdGoesOn(t, "") })
	t.Run("image", func(t *testing.T) {
		networkdGoesOn(t, "[Match]\nName=eth*\n[Network]\nDHCP=ipv4\n")
	})
}

func networkdGoesOn(t *testing.T, file string) {
	if _, err := os.Stat(networkd); err != nil {
		t.Skip("systemd-networkd is not installed")
	}
	l := newLab(t)
	if l == nil {
		return
	}
	l.wire("eth0", mac0)
	l.plug("eth0", "10.0.0.1/24")
	answer := pool("10.0.0.5", "10.0.0.1", mask24(), router("10.0.0.1"), dhcpv4.WithLeaseTime(3600))
	var others, requests atomic.Int32
	id := (&dhcp4{iface: iface{hw: hw0}}).clientID()
	l.serve4("eth0", func(m *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		if !bytes.Equal(m.Options.Get(dhcpv4.OptionClientIdentifier), id) {
			others.Add(1)
		}
		if m.MessageType() == dhcpv4.MessageTypeRequest {
			requests.Add(1)
		}
		return answer(m)
	})
	lease := l.mustUp(Config{IP: []string{"dhcp"}})
	root := image(t, map[string]string{"usr/lib/systemd/systemd-networkd": "", "etc/systemd/network/.keep": ""})
	if file != "" {
		if err := os.WriteFile(filepath.Join(root, "etc/systemd/network/50-image.network"), []byte(file), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := lease.HandOver(root, filepath.Join(root, "run")); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(root, "run/systemd/network/zz-rootcast-eth0.network")
	b, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	// A cable between namespaces is no hardware.
	if err := os.WriteFile(own, bytes.Replace(b, []byte("Kind=!*\n"), nil, 1), 0o644); err != nil {
		t.Fatal(err)
	}
	l.watchNetworkd(root)
	equal(t, "requests for the address", requests.Load(), 2)
	equal(t, "requests with another client identifier", others.Load(), 0)
}

// watchNetworkd waits until networkd has set the address, as it does when the server
// gave it the same.
func (l *lab) watchNetworkd(root string) {
	l.t.Helper()
	changes, done := make(chan netlink.AddrUpdate, 64), make(chan struct{})
	defer close(done)
	if err := netlink.AddrSubscribe(changes, done); err != nil {
		l.t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(l.t.Context(), "/bin/sh", "-c", bootNetworkd, root)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if l.t.Failed() {
			l.t.Logf("networkd says:\n%s", &out)
		}
	}()
	limit := time.After(20 * time.Second)
	for {
		select {
		case c := <-changes:
			if c.LinkAddress.IP.To4() == nil {
				continue
			}
			if !c.NewAddr {
				l.t.Error("the address was taken away")
			}
			equal(l.t, "address", c.LinkAddress.String(), "10.0.0.5/24")
			return
		case <-limit:
			l.t.Error("networkd has not taken over the address")
			return
		}
	}
}
