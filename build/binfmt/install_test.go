package binfmt

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// names are a's emulator, handler and files.
func names(a Arch) (qemu, own, conf string) {
	return "/usr/bin/qemu-" + a.QEMU + "-static", ownPrefix + a.QEMU, confOf(a)
}

func TestInstall(t *testing.T) {
	a := foreign(t)
	qemu, own, _ := names(a)
	theirs := "qemu-" + a.QEMU
	tests := []struct {
		name      string
		unmounted bool
		set       func(c *computer, in *Installer)
		want      Installed
		flags     string
	}{
		{
			name: "nothing there", unmounted: true,
			want: Installed{Handler: own, Interpreter: qemu, Changed: true, Mounted: true}, flags: "PF",
		},
		{
			name: "all off", set: func(c *computer, _ *Installer) { c.put(Dir+"/status", "disabled\n") },
			want: Installed{Handler: own, Interpreter: qemu, Changed: true}, flags: "PF",
		},
		{
			name: "an emulator without P", set: func(c *computer, _ *Installer) { c.broken[qemu] = errShifted },
			want: Installed{Handler: own, Interpreter: qemu, Changed: true}, flags: "F",
		},
		{
			name: "it runs already", set: func(c *computer, _ *Installer) { c.put(Dir+"/"+theirs, shown(a, "enabled", qemu, "OCF")) },
			want: Installed{Handler: theirs, Interpreter: qemu},
		},
		{
			name: "it runs already, but forced", set: func(c *computer, in *Installer) {
				c.put(Dir+"/"+theirs, shown(a, "enabled", qemu, "OCF"))
				in.Force = true
			},
			want: Installed{Handler: own, Interpreter: qemu, Changed: true}, flags: "PF",
		},
		{
			name: "beside one without F", set: func(c *computer, _ *Installer) { c.put(Dir+"/"+theirs, shown(a, "enabled", qemu, "OC")) },
			want: Installed{Handler: own, Interpreter: qemu, Changed: true}, flags: "PF",
		},
		{
			name: "in place of its own that is broken", set: func(c *computer, _ *Installer) { c.put(Dir+"/"+own, shown(a, "enabled", "/old", "")) },
			want: Installed{Handler: own, Interpreter: qemu, Changed: true}, flags: "PF",
		},
		{
			name: "path and suffix", set: func(c *computer, in *Installer) {
				in.QEMUPath, in.QEMUSuffix = "/opt/qemu", "-mine"
				c.emulators("/opt/qemu/qemu-" + a.QEMU + "-mine")
			},
			want: Installed{Handler: own, Interpreter: "/opt/qemu/qemu-" + a.QEMU + "-mine", Changed: true}, flags: "PF",
		},
		{
			name: "one without a suffix", set: func(c *computer, in *Installer) {
				in.QEMUPath = "/opt/qemu"
				c.put("/opt/qemu/qemu-"+a.QEMU+"-static", dynamic(t))
				c.emulators("/opt/qemu/qemu-" + a.QEMU)
			},
			want: Installed{Handler: own, Interpreter: "/opt/qemu/qemu-" + a.QEMU, Changed: true}, flags: "PF",
		},
		{
			name: "a namespace's own", set: func(c *computer, _ *Installer) { c.put("proc/self/uid_map", "0 1000 1\n") },
			want: Installed{Handler: own, Interpreter: qemu, Changed: true, Alone: true}, flags: "PF",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newComputer(t, !tt.unmounted)
			in := c.installer()
			c.emulators(qemu)
			if tt.set != nil {
				tt.set(c, &in)
			}
			got, err := in.Install(t.Context(), a)
			wantError(t, err, "")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			s, err := c.machine().read()
			if err != nil {
				t.Fatal(err)
			}
			if h, _ := s.serving(a); h.Name != tt.want.Handler || tt.flags != "" && h.Flags != tt.flags {
				t.Errorf("serving is %+v", h)
			}
			in.Force = false
			again, err := in.Install(t.Context(), a)
			want := tt.want
			want.Changed, want.Mounted = false, false
			if diff := cmp.Diff(want, again); err != nil || diff != "" {
				t.Errorf("the second time: %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestInstallErrors(t *testing.T) {
	a := foreign(t)
	qemu, own, conf := names(a)
	const advice = "; as root: apt-get install qemu-user-static, or say where one is with --qemu-path or --from-image"
	const host = "; as root on the machine itself, outside of any container: rootcast binfmt install "
	root := os.Geteuid() == 0
	tests := []struct {
		name      string
		unmounted bool
		needsRoot bool
		set       func(c *computer, in *Installer)
		err       string
	}{
		{
			name: "no emulator", set: func(c *computer, in *Installer) { in.QEMUPath = "/opt" },
			err: "there is no emulator for " + a.Name + " programs, neither /opt/qemu-" + a.QEMU + "-static nor /opt/qemu-" + a.QEMU + advice,
		},
		{
			name: "dynamic", set: func(c *computer, _ *Installer) { c.put(qemu, dynamic(t)) },
			err: "the emulator " + qemu + " is not a static program, and containers have not what it needs" + advice,
		},
		{
			name: "foreign", set: func(c *computer, _ *Installer) { c.put(qemu, string(a.program())) },
			err: "the emulator " + qemu + " is for another architecture than this machine's" + advice,
		},
		{name: "text", set: func(c *computer, _ *Installer) { c.put(qemu, "#!/bin/sh\n") }, err: "the emulator " + qemu + " is no program" + advice},
		{
			name: "crashes", set: func(c *computer, _ *Installer) { c.broken[qemu] = errors.New("it crashed: aborted") },
			err: "the emulator " + qemu + " does not run " + a.Name + " programs: it crashed: aborted" + advice,
		},
		{
			name: "a path that binfmt_misc does not take", set: func(c *computer, in *Installer) {
				in.QEMUPath = "/opt/a:b"
				c.emulators("/opt/a:b/qemu-" + a.QEMU)
			},
			err: "registering the emulator for " + a.Name + ` programs: the emulator's path "/opt/a:b/qemu-` + a.QEMU + `" has a character that binfmt_misc does not take`,
		},
		{
			name: "not in the kernel", unmounted: true, set: func(c *computer, _ *Installer) { c.denied = syscall.ENODEV },
			err: "mounting binfmt_misc: the kernel has no binfmt_misc; as root: modprobe binfmt_misc (CONFIG_BINFMT_MISC)",
		},
		{
			name: "a container that may not mount", unmounted: true, needsRoot: true, set: func(c *computer, _ *Installer) { c.denied = syscall.EPERM },
			err: "mounting binfmt_misc is not permitted here, even to root: operation not permitted" + host + a.Name,
		},
		{
			name: "a container that may only look", needsRoot: true, set: func(c *computer, _ *Installer) { c.denied = syscall.EROFS },
			err: "registering " + qemu + " is not permitted here, even to root: read-only file system" + host + a.Name,
		},
		{
			name: "a namespace that sees the machine's", needsRoot: true, set: func(c *computer, _ *Installer) {
				c.denied = syscall.EACCES
				c.put("proc/self/uid_map", "0 1000 1\n")
			},
			err: "registering " + qemu + " is not permitted here, even to root: permission denied" + host + a.Name +
				"; or, for this user namespace alone and from Linux 6.7 on: mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc",
		},
		{
			name: "no configuration", set: func(c *computer, in *Installer) { in.Persistent = true; c.put("etc/binfmt.d", "") },
			err: "reading " + conf + ": not a directory",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.needsRoot && !root {
				skip(t, "root is told otherwise than anyone else")
			}
			c := newComputer(t, !tt.unmounted)
			in := c.installer()
			c.emulators(qemu)
			tt.set(c, &in)
			_, err := in.Install(t.Context(), a)
			wantError(t, err, strings.ReplaceAll(tt.err, "ROOT", c.root))
			if errors.Is(err, ErrNoEmulator) != (tt.name == "no emulator") {
				t.Errorf("%v: no emulator is %v", err, errors.Is(err, ErrNoEmulator))
			}
			if strings.HasPrefix(tt.err, "reading") != c.has(Dir+"/"+own) {
				t.Errorf("registered: %v", c.has(Dir+"/"+own))
			}
		})
	}
}

func TestInstallNotRoot(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("as root, what it may not do is explained otherwise: see TestInstallErrors")
	}
	a := foreign(t)
	qemu, _, _ := names(a)
	c := newComputer(t, true)
	c.emulators(qemu)
	c.denied = syscall.EACCES
	_, err := c.installer().Install(t.Context(), a)
	wantError(t, err, "registering "+qemu+" is root's business: permission denied; run: sudo rootcast binfmt install "+a.Name)
}

// TestInstallKeepsFormer has an emulator that only fails once it is registered.
func TestInstallKeepsFormer(t *testing.T) {
	a := foreign(t)
	qemu, own, _ := names(a)
	c := newComputer(t, true)
	c.emulators(qemu, "/old")
	former := shown(a, "enabled", "/old", "F")
	c.put(Dir+"/"+own, former)
	in := c.installer()
	in.Force = true
	in.try = func(_ context.Context, _ Arch, emulator string) error {
		if emulator != "" {
			return nil
		}
		return errors.New("it crashed: aborted")
	}
	_, err := in.Install(t.Context(), a)
	if err == nil || !strings.Contains(err.Error(), "it crashed: aborted") {
		t.Errorf("error %v", err)
	}
	if text, err := os.ReadFile(c.root + Dir + "/" + own); err != nil || string(text) != former {
		t.Errorf("%v, the handler is now\n%s", err, text)
	}
}

func TestPersistent(t *testing.T) {
	a := foreign(t)
	qemu, own, conf := names(a)
	c := newComputer(t, true)
	c.emulators(qemu)
	in := c.installer()
	install := func(want Installed) {
		t.Helper()
		got, err := in.Install(t.Context(), a)
		wantError(t, err, "")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	install(Installed{Handler: own, Interpreter: qemu, Changed: true})
	if c.has(conf) {
		t.Errorf("%s is there", conf)
	}
	in.Persistent = true
	install(Installed{Handler: own, Interpreter: qemu, Persistent: true})
	text, err := os.ReadFile(c.root + conf)
	if err != nil {
		t.Fatal(err)
	}
	comment, rule, _ := strings.Cut(string(text), "\n")
	if !strings.HasPrefix(comment, "# ") || !strings.HasPrefix(rule, ":"+own+`:M:0:\x7f\x45\x4c\x46`) || !strings.HasSuffix(rule, ":"+qemu+":PF\n") {
		t.Errorf("%s holds\n%s", conf, text)
	}
	// What systemd-binfmt registers from it is the same handler.
	before, err := os.ReadFile(c.root + Dir + "/" + own)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.write(own, removeIt), c.write("register", strings.TrimSpace(rule))); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(c.root + Dir + "/" + own); err != nil || string(before) != string(after) {
		t.Errorf("%v, before\n%s\nafter\n%s", err, before, after)
	}
	// Another emulator changes the file, whether it is asked for or not.
	in.Persistent, in.Force, in.QEMUPath = false, true, "/opt"
	c.emulators("/opt/qemu-" + a.QEMU)
	install(Installed{Handler: own, Interpreter: "/opt/qemu-" + a.QEMU, Changed: true, Persistent: true})
	if text, err := os.ReadFile(c.root + conf); err != nil || !strings.Contains(string(text), ":/opt/qemu-"+a.QEMU+":PF\n") {
		t.Errorf("%v, the file holds\n%s", err, text)
	}
	if left, err := os.ReadDir(filepath.Dir(c.root + conf)); err != nil || len(left) != 1 {
		t.Errorf("%v, beside it: %v", err, left)
	}
}

func TestFromImage(t *testing.T) {
	a := foreign(t)
	_, own, _ := names(a)
	target := emulatorDir + "/qemu-" + a.QEMU
	c := newComputer(t, true)
	in := c.installer()
	in.Image = fstest.MapFS{}
	_, err := in.Install(t.Context(), a)
	if !errors.Is(err, ErrNoEmulator) || !strings.Contains(err.Error(), "programs in the image, neither /usr/bin/qemu-") {
		t.Errorf("error %v", err)
	}
	in.Image = fstest.MapFS{"usr/bin/qemu-" + a.QEMU: {Data: a.program(), Mode: 0o755}}
	_, err = in.Install(t.Context(), a)
	if err == nil || !strings.Contains(err.Error(), "/usr/bin/qemu-"+a.QEMU+" in the image is for another architecture than this machine's") {
		t.Errorf("error %v", err)
	}
	in.Image = fstest.MapFS{"usr/bin/qemu-" + a.QEMU: {Data: []byte(static(t)), Mode: 0o644}}
	in.try = func(context.Context, Arch, string) error { return errHangs }
	_, err = in.Install(t.Context(), a)
	if err == nil || !strings.Contains(err.Error(), "in the image does not run "+a.Name+" programs: it does not end within") {
		t.Errorf("error %v", err)
	}
	if left, err := os.ReadDir(c.root + emulatorDir); err != nil || len(left) > 0 {
		t.Errorf("%v, left behind: %v", err, left)
	}
	in.try = c.try
	got, err := in.Install(t.Context(), a)
	wantError(t, err, "")
	if diff := cmp.Diff(Installed{Handler: own, Interpreter: target, Changed: true}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	fi, err := os.Stat(c.root + target)
	if err != nil || fi.Mode() != 0o755 {
		t.Errorf("%v, mode %v", err, fi.Mode())
	}
	removed, err := in.Remove()
	if diff := cmp.Diff([]string{own, target}, removed); err != nil || diff != "" {
		t.Errorf("%v, removed (-want +got):\n%s", err, diff)
	}
}

func TestRemove(t *testing.T) {
	a, other := foreign(t), arch(t, "riscv64")
	qemu, own, conf := names(a)
	theirs := "qemu-" + a.QEMU
	tests := []struct {
		name string
		args []string
		set  func(c *computer)
		want []string
		err  string
	}{
		{name: "all of rootcast's", want: []string{ownPrefix + other.QEMU, own, conf}},
		{name: "one", args: []string{a.Name}, want: []string{own, conf}},
		{name: "one by QEMU's name", args: []string{a.QEMU}, want: []string{own, conf}},
		{name: "a handler of somebody else", args: []string{theirs}, want: []string{theirs}},
		{name: "one of rootcast's handlers", args: []string{own}, want: []string{own}},
		{
			name: "an architecture that somebody else serves", args: []string{"arm"},
			err: "the handler qemu-arm for arm programs is not rootcast's; if it shall go all the same: rootcast binfmt remove qemu-arm",
		},
		{
			name: "an architecture without", args: []string{other.Name, "ppc64le"}, want: []string{ownPrefix + other.QEMU},
			err: "there is no handler for ppc64le programs; rootcast binfmt status shows those that there are",
		},
		{name: "nothing", args: []string{"vax"}, err: `"vax" is no architecture and no handler; rootcast binfmt status shows those that there are`},
		{name: "register", args: []string{"register"}, err: `"register" is no architecture and no handler; rootcast binfmt status shows those that there are`},
		{
			name: "not permitted", args: []string{other.Name}, set: func(c *computer) { c.denied = syscall.EROFS },
			err: "removing the handler " + ownPrefix + other.QEMU + " is not permitted here, even to root: read-only file system; as root on the machine itself, outside of any container: rootcast binfmt remove " + ownPrefix + other.QEMU,
		},
	}
	if a.Name == other.Name || other.IsNative() {
		t.Skip("the table wants riscv64 to be foreign")
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newComputer(t, true)
			c.put(Dir+"/"+theirs, shown(a, "enabled", qemu, "F"))
			c.put(Dir+"/"+own, shown(a, "enabled", qemu, "F"))
			c.put(Dir+"/"+ownPrefix+other.QEMU, shown(other, "enabled", "/q", "F"))
			c.put(Dir+"/qemu-arm", shown(arch(t, "arm"), "enabled", "/q", "F"))
			c.put(conf, "# mine\n")
			if tt.set != nil {
				if os.Geteuid() != 0 {
					skip(t, "root is told otherwise than anyone else")
				}
				tt.set(c)
			}
			removed, err := c.installer().Remove(tt.args...)
			wantError(t, err, tt.err)
			if diff := cmp.Diff(tt.want, removed); diff != "" {
				t.Errorf("removed (-want +got):\n%s", diff)
			}
			for _, name := range removed {
				if c.has(name) || c.has(Dir+"/"+name) {
					t.Errorf("%s is still there", name)
				}
			}
			if !c.has(Dir + "/register") {
				t.Error("binfmt_misc is gone")
			}
		})
	}
}
