// Package network brings up the boot interface of a diskless node before there is
// a root file system: by the kernel's netlink, without any program of an image.
//
//	lease, err := network.Up(ctx, network.Config{BootIF: "01-52-54-00-12-34-56", Log: log})
//	…
//	err = os.WriteFile("/etc/resolv.conf", lease.ResolvConf(), 0o644)
//	…
//	err = lease.HandOver("/newroot", "/run") // the root is mounted, /run will be moved into it
//
// # Which interface
//
// Bonds (bond=) and VLANs (vlan=) are made first. The boot interface is then, the
// first that is given: the devices that ip= names, the last VLAN, the last bond,
// netdev=, BOOTIF=. Without any of them every interface that has a link asks for an
// address, and the first complete answer wins; the others are set down again.
//
// # Addresses
//
// ip= decides how: dhcp, dhcp6, auto6 (router advertisements, and DHCPv6 where they
// say so), a static address, or any, which is also the default: DHCPv4 and IPv6 side
// by side, where IPv4 is preferred. Addresses are set for ever, as the kernel's
// own ip=dhcp does it, so that a root that needs the network outlives a lease that
// nobody renews yet; renewing is the work of the booted system.
//
// # Handing over
//
// [Lease.HandOver] writes what systemd-networkd, NetworkManager, or ifupdown with
// dhclient of the booted system need to go on with the same address. What an
// administrator configured in the image wins; see the method for how.
//
// The package loads no modules: bonding, 8021q and drivers are the caller's work.
package network
