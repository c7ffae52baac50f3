package statelite

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// nfsPort is where a server listens unless port= says otherwise.
const nfsPort = "2049"

// answerTime is how long a server may take to take a connection.
const answerTime = 10 * time.Second

// export is a directory of a server.
type export struct{ server, dir string }

// String is the export as mount(2) takes it.
func (e export) String() string {
	if strings.Contains(e.server, ":") {
		return "[" + e.server + "]:" + e.dir
	}
	return e.server + ":" + e.dir
}

// parseExport reads SERVER:/DIR; the server may be an IPv6 address in brackets.
func parseExport(source string) (e export, ok bool) {
	if rest, found := strings.CutPrefix(source, "["); found {
		e.server, e.dir, ok = strings.Cut(rest, "]:")
		address, err := netip.ParseAddr(e.server)
		ok = ok && err == nil && address.Is6()
	} else {
		e.server, e.dir, ok = strings.Cut(source, ":")
	}
	ok = ok && e.server != "" && !strings.ContainsAny(e.server, "/=[]") && strings.HasPrefix(e.dir, "/")
	return e, ok
}

// nfs mounts an export by mount(2) alone. What mount.nfs(8) does beyond that is to
// look the server up, and to try one version after the other (nfs(5); the kernel
// reads the options in fs/nfs/fs_context.c).
type nfs struct {
	export
	flags   uintptr
	options []string
	log     func(format string, args ...any)
}

func (n nfs) mount(ctx context.Context, target string) error {
	server, client, err := n.dial(ctx)
	if err != nil {
		return err
	}
	versions := n.versions()
	var tried []string
	for _, v := range versions {
		if err := ctx.Err(); err != nil {
			return err
		}
		n.log("statelite: mounting %s (%s, NFS %s)", n.export, server, v)
		err = unix.Mount(n.String(), target, "nfs", n.flags, n.data(v, server, client))
		if err == nil {
			return nil
		}
		tried = append(tried, v)
		if !tryOlder(err) {
			break
		}
	}
	return fmt.Errorf("mounting it by NFS %s: %w; %s", strings.Join(tried, ", "), err, nfsAdvice(err))
}

// dial finds the server's address and the node's own on the way there, and sees
// that somebody listens: the kernel would try for minutes.
func (n nfs) dial(ctx context.Context) (server, client netip.Addr, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	network, port := "tcp", nfsPort
	for _, o := range n.options {
		switch name, value, _ := strings.Cut(o, "="); {
		case name == "port":
			port = value
		case o == "udp", o == "rdma", o == "proto=udp", o == "proto=udp6", o == "proto=rdma", o == "proto=rdma6":
			network = "udp" // which sends nothing by itself
		}
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(n.server, port))
	if err != nil {
		return server, client, fmt.Errorf("reaching the server: %w; check its name, that it serves NFS on port %s, and its firewall", err, port)
	}
	defer conn.Close() //nolint:errcheck // nothing was written
	server, err = address(conn.RemoteAddr())
	if err == nil {
		client, err = address(conn.LocalAddr())
	}
	return server, client, err
}

func address(a net.Addr) (netip.Addr, error) {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}, fmt.Errorf("reading the address %s: %w", a, err)
	}
	return ap.Addr().Unmap(), nil
}

// versions are those to try: the one that the options ask for, or the newest first.
func (n nfs) versions() []string {
	for _, o := range n.options {
		name, value, _ := strings.Cut(o, "=")
		if name == "vers" || name == "nfsvers" {
			return []string{value}
		}
	}
	return []string{"4.2", "4.1", "3"}
}

// data are the options for one version.
func (n nfs) data(version string, server, client netip.Addr) string {
	options := []string{"vers=" + version, "addr=" + server.String()}
	has := func(names ...string) bool {
		return slices.ContainsFunc(n.options, func(o string) bool {
			name, _, _ := strings.Cut(o, "=")
			return slices.Contains(names, name)
		})
	}
	proto := "tcp"
	if server.Is6() {
		proto = "tcp6"
	}
	if !has("proto", "tcp", "udp", "rdma") {
		options = append(options, "proto="+proto)
	}
	if strings.HasPrefix(version, "4") {
		options = append(options, "clientaddr="+client.String())
	} else {
		// No lock daemon runs in the initrd, and none could take over later.
		if !has("lock", "nolock", "local_lock") {
			options = append(options, "nolock")
		}
		if !has("mountproto") {
			options = append(options, "mountproto="+proto)
		}
		if !has("mountaddr") {
			options = append(options, "mountaddr="+server.String())
		}
	}
	for _, o := range n.options {
		if name, _, _ := strings.Cut(o, "="); name != "vers" && name != "nfsvers" {
			options = append(options, o)
		}
	}
	return strings.Join(options, ",")
}

// tryOlder tells whether an error may mean that the server, the kernel, or the
// server's tree for version 4 does not have it.
func tryOlder(err error) bool {
	for _, e := range []error{unix.EPROTONOSUPPORT, unix.EPROTO, unix.EINVAL, unix.EOPNOTSUPP, unix.ENOENT} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func nfsAdvice(err error) string {
	switch {
	case errors.Is(err, unix.ENODEV):
		return "this kernel has no NFS: the image's kernel lacks the module nfs, or convert left it out (--add-module nfs)"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return "the server does not let this node in: check its exports (rw,no_root_squash)"
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return "the server exports no such directory"
	case errors.Is(err, unix.EINVAL):
		return "check the mount options (MNTOPTS=)"
	case errors.Is(err, unix.ETIMEDOUT), errors.Is(err, unix.ECONNREFUSED), errors.Is(err, unix.EHOSTUNREACH):
		return "check that NFS runs there, for version 3 also rpcbind and mountd, and the firewall"
	}
	return "check the server's log"
}
