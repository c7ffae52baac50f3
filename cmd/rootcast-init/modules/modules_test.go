package modules

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// machine is a sysfs and a modules' directory in a temporary place, with a kernel
// that lets devices appear when modules are loaded.
type machine struct {
	*testing.T
	dir    string
	mu     sync.Mutex
	fails  map[string]error         // module → what the kernel says
	hangs  map[string]chan struct{} // module → until when its loading takes
	brings map[string][]string      // module → modaliases of devices that it brings to light
	calls  []string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{T: t, dir: t.TempDir(), fails: map[string]error{}, brings: map[string][]string{}}
	m.write("modules/modules.dep", "pci_hub.ko:\nkernel/drivers/net/eth1.ko:\nkernel/drivers/net/eth0.ko:\nnic.ko: mii.ko\nmii.ko:\ndisk.ko: scsi.ko\nscsi.ko:\nlib.ko:\ntwin.ko:\nkernel/drivers/scsi/hba.ko:\n")
	m.write("modules/modules.alias", "alias pci:hub* pci_hub\nalias usb:nic* nic\nalias usb:nic* twin\nalias scsi:disk* disk\nalias pci:eth0* eth0\nalias pci:eth1* eth1\nalias pci:hba* hba\n")
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
	if until := m.hangs[name]; until != nil {
		<-until
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, strings.TrimSpace(name+" "+params))
	for i, alias := range m.brings[name] {
		m.write(fmt.Sprintf("sys/devices/%s%d/modalias", name, i), alias+"\n")
	}
	return m.fails[name]
}

func (m *machine) loader(o Options) *Loader {
	m.Helper()
	o.Dir, o.Sys, o.Log, o.Warn = filepath.Join(m.dir, "modules"), filepath.Join(m.dir, "sys"), m.Logf, m.Logf
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

// wantAll compares without the order, and checks that what is needed came first.
func (m *machine) wantAll(calls ...string) {
	m.Helper()
	got := slices.Sorted(slices.Values(m.calls))
	if diff := cmp.Diff(calls, got); diff != "" {
		m.Errorf("loaded (-want +got):\n%s", diff)
	}
	for _, pair := range [][2]string{{"scsi", "disk"}, {"mii", "nic"}, {"lib", "nic"}} {
		first, then := slices.Index(m.calls, pair[0]), slices.Index(m.calls, pair[1])
		if then >= 0 && first > then {
			m.Errorf("%s was loaded before %s: %q", pair[1], pair[0], m.calls)
		}
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
	m.wantAll("disk", "lib", "mii", "nic speed=10", "pci_hub", "scsi", "twin")
	slices.Sort(loaded)
	if diff := cmp.Diff([]string{"disk", "lib", "mii", "nic", "pci_hub", "scsi", "twin"}, loaded); diff != "" {
		t.Errorf("said to be loaded (-want +got):\n%s", diff)
	}
}

func TestColdplugByUevent(t *testing.T) {
	m := newMachine(t)
	m.write("sys/devices/x/uevent", "MAJOR=1\nMODALIAS=usb:nic1\n")
	if _, err := m.loader(Options{Blacklist: []string{"twin"}}).Coldplug(t.Context()); err != nil {
		t.Error(err)
	}
	m.wantAll("lib", "mii", "nic")
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
	m.wantAll("lib", "mii", "nic", "scsi", "twin")
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
		"hard one fails":     {[]string{"nic"}, nil, map[string]error{"mii": unix.EINVAL}, []string{"mii", "lib"}, "loading module nic: mii: invalid argument"},
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

// Network adapters get their numbers in the same order each time, however slow
// the driver of one is.
func TestColdplugKeepsNetworkOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		m.write("sys/devices/a/modalias", "pci:eth1\n")
		m.write("sys/devices/b/modalias", "pci:eth0\n")
		m.write("sys/devices/c/modalias", "scsi:disk1\n")
		m.hangs = map[string]chan struct{}{"eth0": make(chan struct{})}
		time.AfterFunc(5*time.Second, func() { close(m.hangs["eth0"]) })
		if _, err := m.loader(Options{}).Coldplug(t.Context()); err != nil {
			t.Error(err)
		}
		m.want("scsi", "disk", "eth0", "eth1")
	})
}

// A driver that hangs keeps nobody from the rest, and the console tells which it is.
// Where no disk is waited for, a driver that looks for many of them holds up nothing,
// and what it brings to light is found later.
func TestColdplugDiskless(t *testing.T) {
	m := newMachine(t)
	m.write("sys/devices/a/modalias", "pci:hba1\n")
	m.write("sys/devices/b/modalias", "pci:eth0\n")
	m.brings["hba"] = []string{"scsi:disk1"}
	done := make(chan struct{})
	m.hangs = map[string]chan struct{}{"hba": done}
	l := m.loader(Options{Diskless: true})
	loaded, err := l.Coldplug(t.Context())
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"eth0"}, loaded); diff != "" {
		t.Errorf("loaded while the adapter looks for its disks (-want +got):\n%s", diff)
	}
	close(done)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go l.Follow(ctx)
	for l.count() < 4 { // hba, and for its disk scsi and disk
		if err := t.Context().Err(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.want("eth0", "hba", "scsi", "disk")
}

func TestHangingDriver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		m.write("sys/devices/a/modalias", "scsi:disk1\n")
		m.write("sys/devices/b/modalias", "usb:nic1\n")
		m.hangs = map[string]chan struct{}{"scsi": make(chan struct{})}
		defer close(m.hangs["scsi"])
		l := m.loader(Options{})
		var said []string
		l.o.Warn = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
		began := time.Now()
		_, err := l.Coldplug(t.Context())
		if err == nil || !strings.Contains(err.Error(), "scsi: its driver is still busy after 1m0s") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took > patience+time.Second {
			t.Errorf("it took %s", took)
		}
		m.wantAll("lib", "mii", "nic", "twin")
		if len(said) != 5 || said[0] != "waiting for the driver scsi, for 10s now" {
			t.Errorf("said %q", said)
		}
	})
}

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		ctx, cancel := context.WithCancel(t.Context())
		go m.loader(Options{}).Follow(ctx)
		time.Sleep(time.Minute)
		m.write("sys/devices/late/modalias", "scsi:disk1\n")
		time.Sleep(2 * followEvery)
		cancel()
		synctest.Wait()
		m.want("scsi", "disk")
	})
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
	for _, name := range []string{"no.ko", "no.ko.xz", "no.ko.zst"} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte("no module"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := (linux{}).load(path, ""); err == nil {
			t.Errorf("%s: a text was loaded as a module", name)
		}
	}
}
