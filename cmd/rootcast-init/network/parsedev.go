package network

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Lengths of hardware addresses: Ethernet, an InfiniBand port's GUID, and IPoIB
// (RFC 4391: 4 bytes of flags and queue pair, 16 of the port's GID, which ends with
// the GUID).
const (
	macLen    = 6
	guidLen   = 8
	ibAddrLen = 20
)

var (
	errBootIF = errors.New("a hardware address is expected, as 01-52-54-00-12-34-56 (01 is Ethernet, 20 InfiniBand) or 52:54:00:12:34:56")
	errDevice = errors.New("an interface's name or its MAC address is expected, as eth0 or 52:54:00:12:34:56")
	errVLAN   = errors.New("NAME:INTERFACE is expected, where NAME ends with the VLAN's number from 1 to 4094, as eth0.100:eth0")
	errBond   = errors.New("NAME:INTERFACE,INTERFACE[:OPTION=VALUE,…[:MTU]] is expected, as bond0:eth0,eth1:mode=802.3ad,miimon=100")
)

// parseBootIF takes pxelinux's form, a hardware type of RFC 1700 and the address
// with dashes, or the address alone.
func parseBootIF(s string) (hwAddr, error) {
	b, err := parseBytes(s)
	if err != nil {
		return nil, errBootIF
	}
	switch len(b) {
	case macLen, guidLen:
		return b, nil
	case macLen + 1, guidLen + 1:
		return b[1:], nil
	case ibAddrLen, ibAddrLen + 1:
		return b[len(b)-guidLen:], nil
	default:
		return nil, errBootIF
	}
}

// parseBytes takes pairs of hexadecimal digits with colons or dashes between them.
func parseBytes(s string) ([]byte, error) {
	s = strings.ReplaceAll(s, "-", ":")
	for _, pair := range strings.Split(s, ":") {
		if len(pair) != 2 {
			return nil, errBootIF
		}
	}
	return hex.DecodeString(strings.ReplaceAll(s, ":", ""))
}

func parseDevice(s string) (Device, error) {
	if b, err := parseBytes(s); err == nil && len(b) > 1 {
		hw, err := parseBootIF(s)
		if err != nil {
			return Device{}, errDevice
		}
		return Device{HWAddr: hw}, nil
	}
	if !isName(s) {
		return Device{}, errDevice
	}
	return Device{Name: s}, nil
}

// isName follows dev_valid_name of the kernel's net/core/dev.c, and is stricter
// with what would have a meaning in a file that the name is written to.
func isName(s string) bool {
	return s != "" && len(s) < 16 && s != "." && s != ".." && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '.' && r != '_' && r != '-' && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z')
	})
}

func parseVLAN(s string) (VLAN, error) {
	name, parent, ok := strings.Cut(s, ":")
	if !ok || !isName(name) || !isName(parent) || name == parent {
		return VLAN{}, errVLAN
	}
	id, err := strconv.Atoi(name[len(strings.TrimRight(name, "0123456789")):])
	if err != nil || id < 1 || id > 4094 {
		return VLAN{}, errVLAN
	}
	return VLAN{Name: name, Parent: parent, ID: id}, nil
}

func parseBond(s string) (Bond, error) {
	fields := strings.Split(s, ":")
	if len(fields) < 2 || len(fields) > 4 || !isName(fields[0]) {
		return Bond{}, errBond
	}
	b := Bond{Name: fields[0], Slaves: strings.Split(fields[1], ","), Options: map[string]string{}}
	for _, slave := range b.Slaves {
		if !isName(slave) {
			return Bond{}, errBond
		}
	}
	if len(fields) > 2 && fields[2] != "" {
		for _, option := range strings.Split(fields[2], ",") {
			key, value, ok := strings.Cut(option, "=")
			if !ok || value == "" {
				return Bond{}, fmt.Errorf("the option %q has no value: %w", option, errBond)
			}
			b.Options[key] = value
		}
	}
	if len(fields) > 3 && fields[3] != "" {
		var err error
		if b.MTU, err = parseMTU(fields[3]); err != nil {
			return Bond{}, err
		}
	}
	if primary := b.Options["primary"]; primary != "" && !slices.Contains(b.Slaves, primary) {
		return Bond{}, fmt.Errorf("primary=%s is none of its interfaces %s", primary, strings.Join(b.Slaves, ", "))
	}
	_, err := bondLink(b, 0)
	return b, err
}

// parseMTU takes what IPv4 needs at least (RFC 791: 68) up to what a driver's limit
// could be.
func parseMTU(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 68 || n > 65535 {
		return 0, fmt.Errorf("the MTU %q is none: a number from 68 to 65535 is expected", s)
	}
	return n, nil
}
