package binfmt

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const qemuS390x = "/usr/bin/qemu-s390x-static"

// TestCheck has each way in which programs cannot run, by the files alone and
// with a program tried. Each error says what to do.
func TestCheck(t *testing.T) {
	a := arch(t, "s390x")
	if a.IsNative() {
		a = arch(t, "arm64")
	}
	const (
		handler = Dir + "/qemu-s390x"
		cannot  = "this machine cannot run s390x programs: "
		remedy  = "; as root: rootcast binfmt install s390x"
		who     = "the emulator /usr/bin/qemu-s390x-static of the handler qemu-s390x "
	)
	works := shown(a, "enabled", qemuS390x, "PF")
	tests := []struct {
		name string
		set  func(c *computer)
		err  string
	}{
		{name: "works", set: func(c *computer) { c.put(handler, works); c.emulators(qemuS390x) }},
		{name: "works by another name", set: func(c *computer) { c.put(Dir+"/big", works); c.emulators(qemuS390x) }},
		{name: "works with an emulator that is elsewhere", set: func(c *computer) { c.put(handler, works) }},
		{name: "works with a broken handler of another architecture", set: func(c *computer) {
			c.put(handler, works)
			c.put(Dir+"/qemu-arm", shown(arch(t, "arm"), "enabled", "/nonexistent", ""))
		}},
		{name: "not mounted", set: func(c *computer) { c.unmount() }, err: cannot + "binfmt_misc, which knows the emulators, is not mounted at /proc/sys/fs/binfmt_misc" + remedy},
		{
			name: "not in the kernel", set: func(c *computer) { c.unmount(); c.put("proc/filesystems", "nodev\tproc\n") },
			err: cannot + "its kernel has no binfmt_misc, or has not loaded it; as root: modprobe binfmt_misc && rootcast binfmt install s390x (the kernel needs CONFIG_BINFMT_MISC)",
		},
		{name: "all off", set: func(c *computer) { c.put(handler, works); c.put(Dir+"/status", "disabled\n") }, err: cannot + "binfmt_misc is switched off as a whole; as root: echo 1 >/proc/sys/fs/binfmt_misc/status"},
		{name: "no handler", err: cannot + "binfmt_misc has no handler for them" + remedy},
		{
			name: "no handler in a namespace of its own", set: func(c *computer) { c.put("proc/self/uid_map", "0 1000 1\n") },
			err: cannot + "binfmt_misc has no handler for them in this user namespace, which has its own; rootcast binfmt install s390x",
		},
		{
			name: "off", set: func(c *computer) { c.put(handler, shown(a, "disabled", qemuS390x, "PF")) },
			err: "the handler qemu-s390x for s390x programs is switched off; as root: echo 1 >/proc/sys/fs/binfmt_misc/qemu-s390x",
		},
		{
			name: "another's magic", set: func(c *computer) { c.put(handler, shown(arch(t, "ppc64le"), "enabled", qemuS390x, "PF")) },
			err: "the magic and mask of the handler qemu-s390x do not match s390x programs" + remedy,
		},
		{
			name: "narrow mask", set: func(c *computer) {
				c.put(handler, strings.Replace(works, "fffeffff\n", "ffffffff\n", 1))
				c.emulators(qemuS390x)
			},
			err: "the magic and mask of the handler qemu-s390x do not take all s390x programs, or also others" + remedy,
		},
		{
			name: "wrong path", set: func(c *computer) { c.put(handler, shown(a, "enabled", qemuS390x, "OC")) },
			err: who + "does not exist" + remedy,
		},
		{
			name: "no flag F", set: func(c *computer) { c.put(handler, shown(a, "enabled", qemuS390x, "OC")); c.emulators(qemuS390x) },
			err: "the handler qemu-s390x lacks the flag F, so that its emulator /usr/bin/qemu-s390x-static would have to be in every container" + remedy,
		},
		{
			name: "dynamic", set: func(c *computer) { c.put(handler, works); c.put(qemuS390x, dynamic(t)) },
			err: who + "is not a static program, and containers have not what it needs" + remedy,
		},
	}
	if a.Name != "s390x" {
		t.Skip("the table is about s390x, which is native here; CI has no such machine")
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newComputer(t, true)
			if tt.set != nil {
				tt.set(c)
			}
			wantError(t, c.machine().Check(t.Context(), a), tt.err)
			wantError(t, Machine{Files: os.DirFS(c.root)}.Check(t.Context(), a), tt.err)
		})
	}
}

func (c *computer) unmount() {
	for _, name := range []string{"/register", "/status"} {
		if err := os.Remove(c.root + Dir + name); err != nil {
			c.t.Fatal(err)
		}
	}
}

// TestCheckTried has what only a program that is tried can tell.
func TestCheckTried(t *testing.T) {
	a := foreign(t)
	const who = "the emulator /q of the handler qemu-ARCH "
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"crash", errors.New("it crashed: segmentation fault"), who + "does not run ARCH programs: it crashed: segmentation fault; as root: rootcast binfmt install --force ARCH, with a newer QEMU"},
		{"hangs", errHangs, who + "does not run ARCH programs: it does not end within 10s; as root: rootcast binfmt install --force ARCH, with a newer QEMU"},
		{"flag P", errShifted, who + "does not understand the flag P that it is registered with: arguments arrive one place too late; as root: rootcast binfmt install --force ARCH"},
		{"not permitted", &os.PathError{Op: "fork/exec", Err: syscall.EACCES}, who + "may not be run, or TMPDIR is on a file system mounted noexec: permission denied; chmod +x /q, or TMPDIR=/var/tmp"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newComputer(t, true)
			c.put(Dir+"/qemu-"+a.QEMU, shown(a, "enabled", "/q", "PF"))
			c.emulators("q")
			m := c.machine()
			m.try = func(context.Context, Arch, string) error { return tt.err }
			wantError(t, m.Check(t.Context(), a), strings.NewReplacer("qemu-ARCH", "qemu-"+a.QEMU, "ARCH", a.Name).Replace(tt.want))
		})
	}
}

func TestCheckOutsideOfContainers(t *testing.T) {
	// The program ran, but a container would lack the emulator: an ordinary user
	// cannot make the root of one.
	a := foreign(t)
	c := newComputer(t, true)
	c.put(Dir+"/x", shown(a, "enabled", "/q", ""))
	c.emulators("q")
	m := c.machine()
	m.try = func(context.Context, Arch, string) error { return nil }
	if err := m.Check(t.Context(), a); err == nil || !strings.Contains(err.Error(), "lacks the flag F") {
		t.Errorf("error %v", err)
	}
	c.unmount() // handlers work where binfmt_misc cannot be seen
	if err := os.Remove(c.root + Dir + "/x"); err != nil {
		t.Fatal(err)
	}
	wantError(t, m.Check(t.Context(), a), "")
}

func TestCheckNative(t *testing.T) {
	a, ok := host()
	if !ok {
		skip(t, "nothing is known of this machine's architecture")
	}
	m := Machine{Files: fstest.MapFS{}, try: func(context.Context, Arch, string) error { return errors.New("was tried") }}
	wantError(t, m.Check(t.Context(), a), "")
	if a.Name != "amd64" {
		return
	}
	wantError(t, Machine{Files: fstest.MapFS{}}.Check(t.Context(), arch(t, "386")), "")
	m.try = func(context.Context, Arch, string) error { return syscall.ENOEXEC } // without CONFIG_IA32_EMULATION
	m.Files = fstest.MapFS{Dir[1:] + "/status": {Data: []byte("enabled\n")}}
	wantError(t, m.Check(t.Context(), arch(t, "386")),
		"this machine cannot run 386 programs: binfmt_misc has no handler for them; as root: rootcast binfmt install 386")
}

func TestCheckStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (Machine{}).Check(ctx, foreign(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestServing is about which of several handlers is asked first.
func TestServing(t *testing.T) {
	a := arch(t, "arm64")
	at := func(text string, second int64) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(text), ModTime: time.Unix(second, 0)}
	}
	m := Machine{Files: fstest.MapFS{
		Dir[1:] + "/status":   at("enabled\n", 0),
		Dir[1:] + "/register": at("", 0),
		Dir[1:] + "/old":      at(shown(a, "enabled", "/old", "F"), 1),
		Dir[1:] + "/second":   at(shown(a, "enabled", "/second", "F"), 2),
		Dir[1:] + "/off":      at(shown(a, "disabled", "/off", "F"), 3),
		Dir[1:] + "/jar":      at("enabled\ninterpreter /jar\nflags: \nextension .jar\n", 4),
	}}
	s, err := m.read()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, h := range s.handlers {
		names = append(names, h.Name)
	}
	if diff := cmp.Diff([]string{"off", "second", "old"}, names); diff != "" {
		t.Errorf("handlers (-want +got):\n%s", diff)
	}
	if h, ok := s.serving(a); !ok || h.Name != "second" {
		t.Errorf("%s is asked", h.Name)
	}
}

func TestStatus(t *testing.T) {
	a := foreign(t)
	c := newComputer(t, true)
	c.put(Dir+"/qemu-"+a.QEMU, shown(a, "enabled", "/q", "F"))
	c.put(Dir+"/"+ownPrefix+a.QEMU, shown(a, "disabled", "/nonexistent", "PF"))
	c.put("q", dynamic(t))
	status, err := c.machine().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !status.Mounted || !status.Enabled || status.UserNamespace || len(status.Architectures) != len(Architectures()) {
		t.Errorf("%+v", status)
	}
	for _, one := range status.Architectures {
		switch {
		case one.Architecture == a.Name:
			kinds := map[string]FileKind{}
			for _, h := range one.Handlers {
				kinds[h.Name] = h.File
				if h.Own != (h.Name == ownPrefix+a.QEMU) || !h.MagicRight || !h.Fixed {
					t.Errorf("%+v", h)
				}
			}
			if diff := cmp.Diff(map[string]FileKind{"qemu-" + a.QEMU: FileDynamic, ownPrefix + a.QEMU: FileMissing}, kinds); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if one.Runs || one.Native || one.Handler != "" || one.Problem == nil || one.Problem.Remedy != install(a) || !strings.Contains(one.Problem.What, "is not a static program") {
				t.Errorf("%+v", one)
			}
		case one.Native && (!one.Runs || one.Handler != ""):
			t.Errorf("%+v", one)
		}
	}
	text, err := json.Marshal(status)
	if err != nil {
		t.Fatal(err)
	}
	var back Status
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(status, &back); diff != "" {
		t.Errorf("through JSON (-want +got):\n%s", diff)
	}
}

func TestKindOf(t *testing.T) {
	a := arch(t, "arm64")
	if _, native := host(); native && a.IsNative() {
		a = arch(t, "ppc64le")
	}
	c := newComputer(t, false)
	for name, text := range map[string]string{"static": static(t), "dynamic": dynamic(t), "foreign": string(a.program()), "order": otherOrder(a), "text": "#!/bin/sh\n", "empty": ""} {
		c.put(name, text)
	}
	for name, want := range map[string]FileKind{
		"static": FileStatic, "dynamic": FileDynamic, "foreign": FileForeign, "order": FileForeign,
		"text": FileOther, "empty": FileOther, "proc": FileOther, "nonexistent": FileMissing, "static/x": FileMissing,
	} {
		if got := kindOf(os.DirFS(c.root), "/"+name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
