package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/netboot"
)

// fakeQEMU puts a program in QEMU's place for the test's duration.
func fakeQEMU(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "qemu-system-x86_64")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./testdata/qemu").CombinedOutput(); err != nil {
		t.Fatalf("building the stand-in for QEMU: %v\n%s", err, out)
	}
	for _, name := range []string{"qemu-system-aarch64", "qemu-system-ppc64", "qemu-system-riscv64", "qemu-system-s390x"} {
		if err := os.Symlink(program, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
}

// rootimgdir publishes a node of 1.1 GiB for amd64 and returns its directory.
func rootimgdir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "compute")
	stage, err := netboot.Begin(t.Context(), dir, netboot.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer stage.Abort() //nolint:errcheck // after Publish it only unlocks
	m := &netboot.Manifest{
		Version: netboot.ManifestVersion, Platform: "linux/amd64", Boot: "ramdisk",
		Arguments: "console=ttyS0 console=tty0 quiet", Memory: netboot.Memory{Peak: 1100 << 20},
	}
	for _, name := range []string{netboot.KernelName, netboot.RamdiskName} {
		f, err := stage.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, name); err != nil {
			t.Fatal(err)
		}
		file, err := f.Finish(t.Context())
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		m.Files = append(m.Files, file)
	}
	if err := stage.Publish(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return dir
}

// rootcastBoot runs rootcast boot in this process.
func rootcastBoot(ctx context.Context, args ...string) (stdout, stderr string, code int, err error) {
	var out, errs bytes.Buffer
	e := &env{stdin: strings.NewReader(""), stdout: &out, stderr: &errs}
	err = newApp(e).RunContext(ctx, append([]string{"rootcast", "boot"}, args...))
	return out.String(), errs.String(), exitCode(ctx, err), err
}

func TestBootExpect(t *testing.T) {
	fakeQEMU(t)
	dir := rootimgdir(t)
	version, err := filepath.EvalSymlinks(filepath.Join(dir, "current"))
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code, err := rootcastBoot(t.Context(), "--accel", "tcg", "--expect", "node login:", "--append", "fake=login", dir)
	if err != nil || code != 0 {
		t.Fatalf("exit code %d: %v\n%s", code, err, stderr)
	}
	if stdout != "" {
		t.Errorf("stdout is for a result, and holds %q", stdout)
	}
	for _, want := range []string{
		"booting amd64 with 1 CPU and 1.25GiB of memory by software emulation: as --accel says\n",
		"\nqemu: 1280M\n",
		"\nqemu: " + filepath.Join(version, "kernel") + "\n",
		"\nqemu: " + filepath.Join(version, "ramdisk.img") + "\n",
		"\nqemu: console=tty0 quiet fake=login console=ttyS0\n",
		"\nnode login: \n\"node login:\" appeared after ",
	} {
		if !strings.Contains(stderr, want) {
			t.Errorf("stderr lacks %q:\n%s", want, stderr)
		}
	}
}

func TestBootInteractive(t *testing.T) {
	fakeQEMU(t)
	dir := rootimgdir(t)
	stdout, stderr, code, err := rootcastBoot(t.Context(), "--accel", "tcg", "--memory", "2G", dir)
	if err != nil || code != 0 {
		t.Fatalf("exit code %d: %v\n%s", code, err, stderr)
	}
	for _, want := range []string{"qemu: mon:stdio\r\n", "qemu: 2048M\r\n"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the console lacks %q:\n%s", want, stdout)
		}
	}
}

func TestBootFails(t *testing.T) {
	fakeQEMU(t)
	dir := rootimgdir(t)
	short := rootimgdir(t)
	if err := os.Truncate(filepath.Join(short, netboot.RamdiskName), 3); err != nil {
		t.Fatal(err)
	}
	absent := filepath.Join(t.TempDir(), "absent")
	tests := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"panic", []string{"--accel", "tcg", "--append", "fake=panic", "--expect", "login:", dir}, 1, `booting DIR: waiting for "login:" on the console: the kernel panicked: Out of memory`},
		{"no QEMU that works", []string{"--accel", "tcg", "--append", "fake=broken", dir}, 1, `booting DIR: qemu: out of order (exit status 1)`},
		{"time runs out", []string{"--accel", "tcg", "--append", "fake=hang", "--timeout", "300ms", dir}, 1, `booting DIR: stopped the machine after 300ms, as --timeout says`},
		{"too little memory", []string{"--memory", "1024", dir}, 1, "--memory 1024 is too small: DIR needs 1.074GiB while it boots"},
		{"another architecture", []string{"--arch", "aarch64", dir}, 1, "booting DIR: it is for linux/amd64, not for arm64"},
		{"no rootimgdir", []string{absent}, 1, absent + " is no rootimgdir: it has no manifest.json; make one with rootcast convert --rootimgdir " + absent + " IMAGE"},
		{"truncated", []string{short}, 1, "booting " + short + ": ramdisk.img has 3 bytes and its manifest says 11; make it anew with rootcast convert"},
		{"bad architecture", []string{"--arch", "vax", dir}, 2, `--arch: no QEMU machine for architecture "vax"; there are amd64, arm64, ppc64le, riscv64, s390x`},
		{"bad size", []string{"--memory", "much", dir}, 2, `--memory "much" is no size such as 4G or 2048M`},
		{"no memory", []string{"--memory", "0", dir}, 2, `--memory "0" is no size such as 4G or 2048M`},
		{"bad port", []string{"--ssh-port", "70000", dir}, 2, "--ssh-port 70000: ports are 1 to 65535"},
		{"bad network", []string{"--network", "bridge", dir}, 2, `--network "bridge": there are isolated and user`},
		{"bad accelerator", []string{"--accel", "xen", dir}, 2, `--accel "xen": there are auto, kvm and tcg`},
		{"bad timeout", []string{"--timeout", "-1s", dir}, 2, "--timeout -1s: it cannot have run out before the start"},
		{"processors", []string{"--cpus", "-1", dir}, 2, "--cpus -1: at least 1"},
		{"packing a directory", []string{"--kernel", "6.1", dir}, 2, "DIR is made already; --platform, --kernel and how to pack go with an IMAGE"},
		{"nothing to boot", nil, 2, "boot needs DIR|IMAGE; see rootcast boot --help"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, code, err := rootcastBoot(t.Context(), tt.args...)
			if err == nil {
				t.Fatal("it worked")
			}
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if diff := cmp.Diff(tt.want, strings.ReplaceAll(err.Error(), dir, "DIR")); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// With -q the console is silent, and its last lines come with the error.
func TestBootQuietShowsLastLines(t *testing.T) {
	fakeQEMU(t)
	_, stderr, code, err := rootcastBoot(t.Context(), "-q", "--accel", "tcg", "--append", "fake=panic", "--expect", "login:", rootimgdir(t))
	if code != 1 || err == nil {
		t.Fatalf("exit code %d, %v", code, err)
	}
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	if len(lines) != lastLines || lines[0] != "[    0.11] line" || lines[len(lines)-1] != "[    1.0] Kernel panic - not syncing: Out of memory" {
		t.Errorf("%d last lines:\n%s", len(lines), stderr)
	}
}

// An interrupt ends the machine within two seconds, whatever it does.
func TestBootInterrupted(t *testing.T) {
	fakeQEMU(t)
	dir := rootimgdir(t)
	for name, args := range map[string][]string{
		"interactive": {"--accel", "tcg", "--append", "fake=deaf", dir},
		"expecting":   {"--accel", "tcg", "--append", "fake=deaf", "--expect", "never", dir},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var interrupted time.Time
			onReady := &trigger{text: "ready", do: func() { interrupted = time.Now(); cancel() }}
			e := &env{stdin: strings.NewReader(""), stdout: onReady, stderr: onReady}
			err := newApp(e).RunContext(ctx, append([]string{"rootcast", "boot"}, args...))
			if code := exitCode(ctx, err); code != exitInterrupted {
				t.Errorf("exit code %d: %v", code, err)
			}
			if d := time.Since(interrupted); d > 2*time.Second {
				t.Errorf("took %s", d)
			}
		})
	}
}

// trigger calls do once, when text was written to it.
type trigger struct {
	text string
	do   func()
	seen []byte
}

func (w *trigger) Write(p []byte) (int, error) {
	w.seen = append(w.seen, p...)
	if w.do != nil && bytes.Contains(w.seen, []byte(w.text)) {
		w.do()
		w.do = nil
	}
	return len(p), nil
}

func TestBootPortIsTaken(t *testing.T) {
	fakeQEMU(t)
	l, port := listen(t)
	defer l.Close()
	_, _, code, err := rootcastBoot(t.Context(), "--ssh-port", port, rootimgdir(t))
	want := "--ssh-port " + port + " cannot be used: listen tcp 127.0.0.1:" + port + ": bind: address already in use"
	if code != 1 || err == nil || err.Error() != want {
		t.Errorf("exit code %d, %v", code, err)
	}
}

// listen takes a free port of the loopback interface.
func listen(t *testing.T) (l net.Listener, port string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return l, port
}

func TestIsRootimgdir(t *testing.T) {
	dir := rootimgdir(t)
	t.Chdir(filepath.Dir(dir))
	for arg, want := range map[string]bool{
		dir: true, "compute": true, "./compute": true, "./absent": true, "/absent": true, "../absent": true,
		"localhost/compute:1": false, "compute:1": false, "oci:compute": false, "docker://compute": false,
	} {
		if got := isRootimgdir(arg); got != want {
			t.Errorf("isRootimgdir(%q) = %v", arg, got)
		}
	}
}

// The probe's verdict is said in any case, whatever it is on this host.
func TestBootChoosesAccelerator(t *testing.T) {
	fakeQEMU(t)
	_, stderr, code, err := rootcastBoot(t.Context(), "--append", "fake=login", "--expect", "login:", rootimgdir(t))
	if code != 0 {
		t.Fatalf("exit code %d: %v", code, err)
	}
	// The stand-in never runs a kernel, so nothing proves KVM.
	if !strings.Contains(stderr, " by software emulation: ") {
		t.Errorf("on %s:\n%s", runtime.GOARCH, stderr)
	}
}
