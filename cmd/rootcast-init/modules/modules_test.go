package modules

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// machine is a sysfs and a modules' directory in a temporary place, with a kernel
// that lets devices appear when modules are loaded.
type machine struct {
	*testing.T
	dir    string
	fails  map[string]error    // module → what the kernel says
	brings map[string][]string // module → modaliases of devices that it brings to light
	calls  []string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{T: t, dir: t.TempDir(), fails: map[string]error{}, brings: map[string][]string{}}
	m.write("modules/modules.dep", "pci_hub.ko:\nnic.ko: mii.ko\nmii.ko:\ndisk.ko: scsi.ko\nscsi.ko:\nlib.ko:\ntwin.ko:\n")
	m.write("modules/modules.alias", "alias pci:hub* pci_hub\nalias usb:nic* nic\nalias usb:nic* twin\nalias scsi:disk* disk\n")
	m.write("modules/modules.softdep", "softdep nic pre: lib\n")
	m.write("modules/modules.builtin", "kernel/fs/overlay.ko\n")
	m.write("sys/devices/pci0/uevent", "DRIVER=\n")
	return m
}

func (m *machine) write(name, text string) {
	m.Helper()
	path := filepath.Join(m.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		m.Fatal(err)
	}
}

func (m *machine) load(path, params string) error {
	name := strings.TrimSuffix(filepath.Base(path), ".ko")
	m.calls = append(m.calls, strings.TrimSpace(name+" "+params))
	for i, alias := range m.brings[name] {
		m.write(fmt.Sprintf("sys/devices/%s%d/modalias", name, i), alias+"\n")
	}
	return m.fails[name]
}

func (m *machine) loader(o Options) *Loader {
	m.Helper()
	o.Dir, o.Sys, o.Log = filepath.Join(m.dir, "modules"), filepath.Join(m.dir, "sys"), m.Logf
	l, err := New(o)
	if err != nil {
		m.Fatal(err)
	}
	l.kernel = m
	return l
}

func (m *machine) want(calls ...string) {
	m.Helper()
	if diff := cmp.Diff(calls, m.calls); diff != "" {
		m.Errorf("loaded (-want +got):\n%s", diff)
	}
}

// A bus behind a bus: each driver brings the next device to light.
func TestColdplugFollowsBuses(t *testing.T) {
	m := newMachine(t)
	m.write("sys/devices/pci0/0/modalias", "pci:hub1\n")
	m.brings["pci_hub"] = []string{"usb:nic7", "scsi:disk1"}
	loaded, err := m.loader(Options{Params: map[string]string{"nic": "speed=10"}}).Coldplug(t.Context())
	if err != nil {
		t.Error(err)
	}
	m.want("pci_hub", "scsi", "disk", "mii", "lib", "nic speed=10", "twin")
	if diff := cmp.Diff([]string{"pci_hub", "scsi", "disk", "mii", "lib", "nic", "twin"}, loaded); diff != "" {
		t.Errorf("said to be loaded (-want +got):\n%s", diff)
	}
}

func TestColdplugByUevent(t *testing.T) {
	m := newMachine(t)
	m.write("sys/devices/x/uevent", "MAJOR=1\nMODALIAS=usb:nic1\n")
	if _, err := m.loader(Options{Blacklist: []string{"twin"}}).Coldplug(t.Context()); err != nil {
		t.Error(err)
	}
	m.want("mii", "lib", "nic")
}

// One driver that fails keeps no other device from its own; a driver that finds
// nothing to drive is no fault.
func TestColdplugGoesOn(t *testing.T) {
	m := newMachine(t)
	m.write("sys/devices/a/modalias", "scsi:disk1\n")
	m.write("sys/devices/b/modalias", "usb:nic1\n")
	m.fails["scsi"], m.fails["twin"] = unix.ENOMEM, unix.ENODEV
	_, err := m.loader(Options{}).Coldplug(t.Context())
	if !errors.Is(err, unix.ENOMEM) || !strings.Contains(err.Error(), "disk") || strings.Contains(err.Error(), "twin") {
		t.Errorf("got %v", err)
	}
	m.want("scsi", "disk", "mii", "lib", "nic", "twin")
}

func TestLoad(t *testing.T) {
	tests := map[string]struct {
		names     []string
		blacklist []string
		fails     map[string]error
		want      []string
		err       string
	}{
		"with what it needs": {[]string{"nic"}, nil, nil, []string{"mii", "lib", "nic"}, ""},
		"there already":      {[]string{"mii"}, nil, map[string]error{"mii": unix.EEXIST}, []string{"mii"}, ""},
		"built in":           {[]string{"overlay"}, nil, nil, nil, ""},
		"twice":              {[]string{"mii", "mii"}, nil, nil, []string{"mii"}, ""},
		"missing":            {[]string{"btrfs", "mii"}, nil, nil, []string{"mii"}, "the initrd has no module btrfs: name it to convert by --add-module"},
		"soft one fails":     {[]string{"nic"}, nil, map[string]error{"lib": unix.EINVAL}, []string{"mii", "lib", "nic"}, ""},
		"hard one fails":     {[]string{"nic"}, nil, map[string]error{"mii": unix.EINVAL}, []string{"mii", "lib", "nic"}, "loading module nic: mii: invalid argument"},
		"another kernel's":   {[]string{"mii"}, nil, map[string]error{"mii": unix.ENOEXEC}, []string{"mii"}, "it was built for another kernel"},
		"blacklisted":        {[]string{"pci-hub"}, []string{"pci-hub"}, nil, nil, "the kernel command line says not to load it"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			if tt.fails != nil {
				m.fails = tt.fails
			}
			err := m.loader(Options{Blacklist: tt.blacklist}).Load(t.Context(), tt.names...)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
			m.want(tt.want...)
		})
	}
}

func TestCancelled(t *testing.T) {
	m := newMachine(t)
	m.write("sys/devices/a/modalias", "scsi:disk1\n")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.loader(Options{}).Coldplug(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	m.want()
}

func TestNoModules(t *testing.T) {
	if _, err := New(Options{Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "modules.dep") {
		t.Errorf("got %v", err)
	}
}

// The real kernel refuses what is no module, and says so.
func TestKernelRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "no.ko")
	if err := os.WriteFile(path, []byte("no module"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (linux{}).load(path, ""); err == nil {
		t.Error("a text was loaded as a module")
	}
}
