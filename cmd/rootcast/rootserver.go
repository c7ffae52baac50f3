package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rootcast/rootcast/convert/netboot"
	"github.com/rootcast/rootcast/convert/qemu"
)

// hostInGuest is this machine's loopback interface as QEMU's user network shows it to the guest.
const hostInGuest = "10.0.2.2"

// rootServer serves the root of a node that this program boots, on the loopback interface.
type rootServer struct{ http *http.Server }

// serve offers one file of dir and returns the port.
func (s *rootServer) serve(ctx context.Context, dir, name string) (port int, err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("serving the root: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join(dir, name))
	})
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go s.http.Serve(l) //nolint:errcheck // it ends when it is closed
	_, text, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

func (s *rootServer) close() error {
	if s.http == nil {
		return nil
	}
	return s.http.Close()
}

// offerRoot lets the node fetch its root from this program.
func (c *bootCmd) offerRoot(ctx context.Context, m *qemu.Machine, dir string, made *netboot.Manifest) error {
	root, ok := made.Root()
	if !ok {
		return errors.New("its manifest names no root")
	}
	if _, err := bootFile(dir, made, root.Name); err != nil {
		return err
	}
	if m.Network == qemu.Isolated {
		return usageErrorf("--network isolated: the node fetches its root from this host; leave it out, or convert with --boot ramdisk")
	}
	port, err := c.server.serve(ctx, dir, root.Name)
	if err != nil {
		return err
	}
	m.Network = qemu.User
	m.CommandLine = fmt.Sprintf("imgurl=http://%s/%s %s", net.JoinHostPort(hostInGuest, strconv.Itoa(port)), root.Name, m.CommandLine)
	return nil
}
