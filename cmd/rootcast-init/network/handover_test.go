package network

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func dhcpLease() *Lease {
	return &Lease{
		Interface: "eth0", Index: 2, MAC: hw0, Method: DHCP, Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.5/24")},
		Gateways: []netip.Addr{netip.MustParseAddr("10.0.0.1")}, DNS: []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.3")},
		NTP: []netip.Addr{netip.MustParseAddr("10.0.0.4")}, Hostname: "n1", Domain: "cluster.example", MTU: 1400,
		Obtained: time.Date(2026, 3, 1, 23, 0, 0, 0, time.UTC), LeaseTime: 2 * time.Hour, T1: time.Hour, T2: 105 * time.Minute, ServerID: netip.MustParseAddr("10.0.0.1"),
	}
}

func staticLease() *Lease {
	l := dhcpLease()
	l.Method, l.LeaseTime, l.T1, l.T2, l.ServerID = Static, 0, 0, 0, netip.Addr{}
	l.Gateways = []netip.Addr{netip.MustParseAddr("192.168.9.1")}
	l.Search = []string{"a.example", "b.example"}
	return l
}

func with(l *Lease, change func(*Lease)) *Lease {
	change(l)
	return l
}

// Images by what they have; "@target" is a link.
var (
	debian = map[string]string{
		"usr/sbin/ifup": "", "usr/sbin/dhclient": "", "sbin": "@usr/sbin", "etc/resolv.conf": "\n", "usr/lib/systemd/systemd-networkd": "",
		"usr/lib/systemd/systemd-udevd":                   "@/bin/udevadm",
		"usr/lib/systemd/network/80-container-ve.network": "[Match]\nName=ve-*\nDriver=veth\n",
	}
	alma   = map[string]string{"usr/sbin/NetworkManager": "", "etc/resolv.conf": "@/run/NetworkManager/resolv.conf"}
	udev   = map[string]string{"lib/systemd/systemd-udevd": ""}
	ubuntu = map[string]string{
		"usr/lib/systemd/systemd-networkd": "", "etc/resolv.conf": "@../run/systemd/resolve/stub-resolv.conf",
		"etc/systemd/network/20-wired.network":      "[Match]\nName=en*\n[Network]\nDHCP=yes\n",
		"etc/systemd/network/21-keep.network":       "[Match]\nMACAddress=52-54-00-00-00-10\n[Network]\nDHCP=yes\nKeepConfiguration=dhcp\n[DHCPv4]\nClientIdentifier=duid\n",
		"etc/systemd/network/22-other.network":      "[Match]\nMACAddress=52:54:00:00:00:77\n",
		"etc/systemd/network/23-wifi.network":       "[Match]\nType=wlan\n",
		"etc/systemd/network/24-masked.network":     "@/dev/null",
		"usr/lib/systemd/network/20-wired.network":  "[Match]\nName=wl*\n",
		"usr/lib/systemd/network/80-vm-vt.network":  "[Match]\nName=vt-*\n",
		"usr/lib/systemd/network/81-bridge.network": "[Match]\nKind=bridge\n",
	}
)

func merged(images ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, image := range images {
		for name, content := range image {
			all[name] = content
		}
	}
	return all
}

// oldKernel cannot rename an interface that is up.
const oldKernel = "6.1.0-44-amd64"

func TestHandOver(t *testing.T) {
	ib := with(dhcpLease(), func(l *Lease) { l.Interface, l.MAC = "ib0", ib0 })
	bond := with(dhcpLease(), func(l *Lease) { l.Interface, l.Slaves = "bond0", []string{"eth0", "eth1"} })
	for _, c := range []struct {
		name  string
		image map[string]string
		lease *Lease
	}{
		{"debian-dhcp", debian, dhcpLease()},
		{"debian-dhcp-forever", debian, with(dhcpLease(), func(l *Lease) { l.LeaseTime, l.T1, l.T2 = 0, 0, 0 })},
		{"debian-static", debian, staticLease()},
		{"ifup-without-dhclient", map[string]string{"sbin/ifup": ""}, dhcpLease()},
		{"ubuntu-dhcp", ubuntu, dhcpLease()},
		{"networkd-dhcp6", map[string]string{"lib/systemd/systemd-networkd": ""}, with(dhcpLease(), func(l *Lease) { l.Method = DHCP6 })},
		{"networkd-auto6", map[string]string{"lib/systemd/systemd-networkd": ""}, with(dhcpLease(), func(l *Lease) { l.Method = Auto6 })},
		{"networkd-vlan", map[string]string{"lib/systemd/systemd-networkd": ""}, with(dhcpLease(), func(l *Lease) { l.Interface, l.Parent = "eth0.5", "eth0" })},
		{"networkd-bond", map[string]string{
			"lib/systemd/systemd-networkd": "", "etc/systemd/network/10-other.netdev": "[NetDev]\nName=bond1\nKind=bond\n",
			"etc/systemd/network/80-all.network": "[Match]\nType=ether\n[Network]\nDHCP=yes\n",
		}, bond},
		{"networkd-own-bond", map[string]string{
			"lib/systemd/systemd-networkd": "", "etc/systemd/network/10-bond0.netdev": "[NetDev]\nName=bond0\nKind=bond\n",
		}, bond},
		{"networkd-infiniband", map[string]string{"lib/systemd/systemd-networkd": ""}, ib},
		{"alma-dhcp", alma, dhcpLease()},
		{"alma-static", alma, staticLease()},
		{"alma-dhcp6", alma, with(dhcpLease(), func(l *Lease) { l.Method = DHCP6 })},
		{"alma-infiniband", alma, ib},
		{"alma-bond", alma, bond},
		{"alma-own-profile", merged(alma, map[string]string{
			"etc/NetworkManager/system-connections/a.nmconnection": "[connection]\nuuid=11111111-0000-0000-0000-000000000000\ntype=ethernet\n",
			"etc/NetworkManager/system-connections/b.nmconnection": "[connection]\nuuid=22222222-0000-0000-0000-000000000000\ntype=ethernet\n[ethernet]\nmac-address=52:54:00:00:00:10\n",
			"etc/NetworkManager/system-connections/c.nmconnection": "[connection]\nuuid=33333333-0000-0000-0000-000000000000\ntype=wifi\n",
		}), dhcpLease()},
		{"udev-bond", udev, bond},
		{"udev-vlan", udev, with(dhcpLease(), func(l *Lease) { l.Interface, l.Parent = "eth0.5", "eth0" })},
		{"udev-vlan-of-bond", udev, with(dhcpLease(), func(l *Lease) {
			l.Interface, l.Parent, l.Slaves = "bond0.5", "bond0", []string{"eth0", "eth1"}
		})},
		{"resolv-missing", nil, dhcpLease()},
		{"resolv-link-to-nowhere", map[string]string{"etc/resolv.conf": "@/nowhere"}, dhcpLease()},
		{"resolv-no-servers", nil, with(dhcpLease(), func(l *Lease) { l.DNS = nil })},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := image(t, c.image)
			before := listing(t, root)
			if err := c.lease.handOver(root, filepath.Join(root, "run"), oldKernel); err != nil {
				t.Fatal(err)
			}
			golden(t, c.name, news(before, listing(t, root)))
		})
	}
}

// TestHandOverRenamesLive leaves the name to udev where it can change it.
func TestHandOverRenamesLive(t *testing.T) {
	for release, keeps := range map[string]bool{
		oldKernel: true, "5.14.0-570.el9.x86_64": true, "6.2.0": false, "6.12.48+deb13-amd64": false, "10.0-rc1": false, "unknown": true,
	} {
		root := image(t, udev)
		if err := dhcpLease().handOver(root, filepath.Join(root, "run"), release); err != nil {
			t.Fatal(err)
		}
		_, err := os.Stat(filepath.Join(root, "run/udev/rules.d/79-rootcast.rules"))
		equal(t, release+" keeps the name", err == nil, keeps)
	}
}

// TestHandOverEscape has links out of the root where files are to be written: the
// outside stays as it is.
func TestHandOverEscape(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "resolv.conf"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	root := image(t, map[string]string{
		"sbin/ifup": "", "sbin/dhclient": "", "usr/lib/systemd/systemd-networkd": "", "usr/sbin/NetworkManager": "",
		"var/lib/dhcp": "@" + outside, "etc/resolv.conf": "@" + outside + "/resolv.conf", "run": "@" + outside,
	})
	run := t.TempDir()
	if err := dhcpLease().HandOver(root, run); err == nil || !strings.Contains(err.Error(), "handing the network over: writing /var/lib/dhcp/dhclient.eth0.leases") {
		t.Errorf("the error is %v", err)
	}
	if got := listing(t, outside); got["resolv.conf"] != "-rw-r--r--\n" || len(got) != 1 {
		t.Errorf("outside there is %q", got)
	}
	if err := dhcpLease().HandOver(filepath.Join(root, "none"), run); err == nil {
		t.Error("a root that is not there is taken")
	}
	// The file itself is a link: it is replaced.
	root = image(t, map[string]string{"sbin/ifup": "", "sbin/dhclient": "", "var/lib/dhcp/dhclient.eth0.leases": "@" + outside + "/resolv.conf"})
	if err := dhcpLease().HandOver(root, run); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(outside, "resolv.conf")); err != nil || len(b) > 0 {
		t.Errorf("outside there is %q, %v", b, err)
	}
}

// image makes a root, with an empty /run.
func image(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	if _, ok := files["run"]; !ok {
		if err := os.Mkdir(filepath.Join(root, "run"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(content, "@"); ok {
			err = os.Symlink(target, name)
		} else {
			err = os.WriteFile(name, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// listing is every file's mode and content.
func listing(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, name)
		content := ""
		if d.Type().IsRegular() {
			b, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			content = string(b)
		} else if content, err = os.Readlink(name); err != nil {
			return err
		}
		all[rel] = fmt.Sprintf("%s\n%s", info.Mode(), content)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// news is what is new or has changed, in one text.
func news(before, after map[string]string) []byte {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if after[name] != before[name] {
			mode, content, _ := strings.Cut(after[name], "\n")
			fmt.Fprintf(&b, "-- %s %s --\n%s", name, mode, content)
		}
	}
	return b.Bytes()
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", "handover", name+".txt")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
