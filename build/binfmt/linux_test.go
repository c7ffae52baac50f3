package binfmt

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const inNamespace = "ROOTCAST_TEST_IN_NAMESPACE"

// TestLinux runs this test's parts in a user namespace with a binfmt_misc of its
// own: the real kernel and emulators, and nothing of the machine changes.
func TestLinux(t *testing.T) {
	if os.Getenv(inNamespace) == "" {
		a := foreign(t)
		qemu(t, a)
		enterNamespace(t)
		return
	}
	kernel := linux{}
	if err := kernel.mount(); err != nil {
		if errors.Is(err, syscall.EPERM) {
			skip(t, "a user namespace may have a binfmt_misc of its own from Linux 6.7 on")
		}
		t.Fatal(err)
	}
	t.Run("unmounted", testLinuxUnmounted)
	t.Run("all", testLinuxAll)
	t.Run("failures", testLinuxFailures)
	t.Run("order", testLinuxOrder)
}

// enterNamespace runs the test that calls it once more, as root of new
// namespaces for users and mounts.
func enterNamespace(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	t.Logf("in the namespace: %v\n%s", err, out)
	switch {
	case err != nil:
		t.Fail()
	case strings.Contains(string(out), "--- SKIP: "+t.Name()+" "):
		t.Skip("skipped in the namespace")
	case !strings.Contains(string(out), "--- PASS: "+t.Name()+" "):
		t.Error("the test did not run")
	}
}

// testLinuxUnmounted has an empty directory where binfmt_misc was.
func testLinuxUnmounted(t *testing.T) {
	a := foreign(t)
	if err := unix.Mount("tmpfs", Dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	in := Installer{}
	defer func() {
		if _, err := in.Remove(ownPrefix + a.QEMU); err != nil {
			t.Error(err)
		}
		for range 2 { // what Install mounted, and the tmpfs
			if err := unix.Unmount(Dir, 0); err != nil {
				t.Error(err)
			}
		}
	}()
	wantError(t, Machine{}.Check(t.Context(), a), "this machine cannot run "+a.Name+" programs: binfmt_misc, which knows the emulators, is not mounted at "+Dir+"; "+install(a))
	done, err := in.Install(t.Context(), a)
	wantError(t, err, "")
	if !done.Mounted || !done.Alone || !done.Changed {
		t.Errorf("%+v", done)
	}
	wantError(t, Machine{}.Check(t.Context(), a), "")
}

// testLinuxAll installs every architecture, runs its programs and removes it.
func testLinuxAll(t *testing.T) {
	in := Installer{}
	status, err := Machine{}.Status(t.Context())
	wantError(t, err, "")
	for _, one := range status.Architectures {
		if one.Runs != one.Native || !status.UserNamespace {
			t.Errorf("before: %+v", one)
		}
		if one.Native {
			continue
		}
		done, err := in.Install(t.Context(), arch(t, one.Architecture))
		wantError(t, err, "")
		if !done.Changed || done.Handler != ownPrefix+arch(t, one.Architecture).QEMU {
			t.Errorf("%+v", done)
		}
		again, err := in.Install(t.Context(), arch(t, one.Architecture))
		if err != nil || again.Changed || again.Handler != done.Handler {
			t.Errorf("the second time: %v, %+v", err, again)
		}
	}
	status, err = Machine{}.Status(t.Context())
	wantError(t, err, "")
	for _, one := range status.Architectures {
		if !one.Runs || !one.Native && (len(one.Handlers) != 1 || !one.Handlers[0].MagicRight || one.Handlers[0].File != FileStatic) {
			t.Errorf("%+v", one)
		}
	}
	_, err = in.Remove()
	wantError(t, err, "")
	if left, err := filepath.Glob(Dir + "/*-*"); err != nil || len(left) > 0 {
		t.Errorf("%v, left behind: %v", err, left)
	}
}

// testLinuxFailures has each failure that a kernel lets one make.
func testLinuxFailures(t *testing.T) {
	a := foreign(t)
	emulator := qemu(t, a)
	temp := t.TempDir()
	script := func(name, text string) string {
		name = filepath.Join(temp, name)
		if err := os.WriteFile(name, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return name
	}
	// A program of this machine in an emulator's place runs in any container:
	// its exit code is the number of arguments that the kernel passes.
	counter := filepath.Join(temp, "counter")
	if err := os.WriteFile(counter, []byte(static(t)), 0o755); err != nil {
		t.Fatal(err)
	}
	name := "rootcast-test-" + a.QEMU
	tests := []struct {
		name     string
		change   func(h *Handler)
		switched string
		err      string
	}{
		{name: "works"},
		{name: "off", switched: "0", err: "the handler " + name + " for " + a.Name + " programs is switched off; as root: echo 1 >" + Dir + "/" + name},
		{
			name: "no flag F", change: func(h *Handler) { h.Flags = "P" },
			err: "the handler " + name + " lacks the flag F, so that its emulator " + emulator + " would have to be in every container; " + install(a),
		},
		{
			name: "wrong path", change: func(h *Handler) { h.Flags, h.Interpreter = "", "/nonexistent" },
			err: "the emulator /nonexistent of the handler " + name + " does not exist; " + install(a),
		},
		{
			name: "shifted", change: func(h *Handler) { h.Flags, h.Interpreter = "F", counter },
			err: "the emulator " + counter + " of the handler " + name + " does not understand the flag P that it is registered with: arguments arrive one place too late; as root: rootcast binfmt install --force " + a.Name,
		},
		{
			name: "a script", change: func(h *Handler) { h.Interpreter = script("false", "exit 1") },
			err: "the emulator " + filepath.Join(temp, "false") + " of the handler " + name + " does not run " + a.Name + " programs: no such file or directory; as root: rootcast binfmt install --force " + a.Name + ", with a newer QEMU",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := Handler{Name: name, Interpreter: emulator, Flags: "PF", Magic: a.magic(), Mask: a.mask()}
			if tt.change != nil {
				tt.change(&h)
			}
			rule, err := h.rule()
			wantError(t, err, "")
			wantError(t, linux{}.write("register", rule), "")
			defer func() { wantError(t, linux{}.write(name, removeIt), "") }()
			if tt.switched != "" {
				wantError(t, linux{}.write(name, tt.switched), "")
			}
			wantError(t, Machine{}.Check(t.Context(), a), tt.err)
			if tt.err == "" {
				return
			}
			_, err = Installer{}.Install(t.Context(), a)
			wantError(t, err, "")
			wantError(t, Machine{}.Check(t.Context(), a), "")
			_, err = Installer{}.Remove(a.Name)
			wantError(t, err, "")
			wantError(t, Machine{}.Check(t.Context(), a), tt.err)
		})
	}
	wantError(t, linux{}.write("status", "0"), "")
	wantError(t, Machine{}.Check(t.Context(), a), "this machine cannot run "+a.Name+" programs: binfmt_misc is switched off as a whole; as root: echo 1 >"+Dir+"/status")
	_, err := Installer{}.Install(t.Context(), a)
	wantError(t, err, "")
	_, err = Installer{}.Remove()
	wantError(t, err, "")
	_, err = Installer{QEMUPath: temp, QEMUSuffix: "-none"}.Install(t.Context(), a)
	if !errors.Is(err, ErrNoEmulator) {
		t.Errorf("error %v", err)
	}
}

// testLinuxOrder makes sure that of two handlers the newer one is asked, as
// this package says.
func testLinuxOrder(t *testing.T) {
	a := foreign(t)
	old := Handler{Name: "z-old", Interpreter: qemu(t, a), Flags: "PF", Magic: a.magic(), Mask: a.mask()}
	rule, err := old.rule()
	wantError(t, err, "")
	wantError(t, linux{}.write("register", rule), "")
	done, err := Installer{Force: true}.Install(t.Context(), a)
	wantError(t, err, "")
	s, err := Machine{}.read()
	wantError(t, err, "")
	if h, _ := s.serving(a); h.Name != done.Handler {
		t.Errorf("%s serves, not %s", h.Name, done.Handler)
	}
	// A handler that fails shows which one the kernel asks.
	broken := old
	broken.Name, broken.Interpreter, broken.Flags = "a-new", "/nonexistent", ""
	rule, err = broken.rule()
	wantError(t, err, "")
	wantError(t, linux{}.write("register", rule), "")
	if err := (Machine{}).Check(t.Context(), a); err == nil || !strings.Contains(err.Error(), "handler a-new does not exist") {
		t.Errorf("with a broken handler that is newer: %v", err)
	}
	for _, name := range []string{"a-new", "z-old", done.Handler} {
		wantError(t, linux{}.write(name, removeIt), "")
	}
}
