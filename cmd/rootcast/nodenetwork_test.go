package main

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"testing"

	"github.com/rootcast/rootcast/convert/qemu"
)

// deafNetwork is a switch with nobody else in it.
func deafNetwork(_ *testing.T, m *qemu.Machine) {
	m.Network = qemu.None
	m.More = []string{"-netdev", "hubport,id=net0,hubid=0", "-device", "virtio-net-pci,netdev=net0,romfile="}
}

// onVLAN gives a machine two cards in a switch that knows one VLAN only. Behind
// it is QEMU's user network, which knows none.
func onVLAN(id uint16) func(*testing.T, *qemu.Machine) {
	return func(t *testing.T, m *qemu.Machine) {
		uplink, first, second := newPort(t), newPort(t), newPort(t)
		m.Network = qemu.None
		m.More = []string{
			"-netdev", "user,id=net", "-netdev", "socket,id=up,connect=" + uplink.address,
			"-netdev", "hubport,id=hub0,hubid=0,netdev=net", "-netdev", "hubport,id=hub1,hubid=0,netdev=up",
			"-netdev", "socket,id=net0,connect=" + first.address, "-device", "virtio-net-pci,netdev=net0,romfile=",
			"-netdev", "socket,id=net1,connect=" + second.address, "-device", "virtio-net-pci,netdev=net1,romfile=",
		}
		tag := binary.BigEndian.AppendUint16([]byte{0x81, 0x00}, id) // IEEE 802.1Q
		for _, p := range []*port{first, second} {
			go p.forward(func(frame []byte) {
				if string(frame[addresses:tagged]) == string(tag) {
					uplink.send(slices.Delete(frame, addresses, tagged))
				}
			})
		}
		go uplink.forward(func(frame []byte) {
			frame = slices.Insert(frame, addresses, tag...)
			first.send(frame)
			second.send(frame)
		})
	}
}

// Where an Ethernet header has its two addresses, and then the tag of its VLAN.
const (
	addresses = 12
	tagged    = 16
)

// port is what one -netdev socket of QEMU connects to: frames, each after its
// length in four bytes.
type port struct {
	address  string
	listener net.Listener
	plugged  chan struct{} // closed when conn is there
	conn     net.Conn
}

func newPort(t *testing.T) *port {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() }) //nolint:errcheck // it has served its purpose
	return &port{address: l.Addr().String(), listener: l, plugged: make(chan struct{})}
}

// forward calls each for every frame that comes in, until the machine ends.
func (p *port) forward(each func(frame []byte)) {
	conn, err := p.listener.Accept()
	if err != nil {
		return // no machine came
	}
	defer conn.Close() //nolint:errcheck // QEMU has gone
	p.conn = conn
	close(p.plugged)
	in := bufio.NewReader(conn)
	for {
		var size uint32
		if binary.Read(in, binary.BigEndian, &size) != nil {
			return
		}
		frame := make([]byte, size)
		if _, err := io.ReadFull(in, frame); err != nil {
			return
		}
		if size > tagged {
			each(frame)
		}
	}
}

func (p *port) send(frame []byte) {
	<-p.plugged
	_, _ = p.conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)) // a machine that has ended hears nothing
}
