package qemu

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// fakeMode is set for the test binary when it is started in QEMU's place.
const fakeMode = "ROOTCAST_FAKE_QEMU"

func TestMain(m *testing.M) {
	if mode := os.Getenv(fakeMode); mode != "" {
		os.Exit(fakeQEMU(mode))
	}
	os.Exit(m.Run())
}

// fake returns a machine whose QEMU is this test binary behaving as mode says.
func fake(t *testing.T, mode string) Machine {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(fakeMode, mode)
	return Machine{Kernel: "kernel", Program: program}
}

func fakeQEMU(mode string) int {
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Println("QEMU emulator version 0.0.0")
		return 0
	}
	switch mode {
	case "login":
		for _, piece := range []string{"boot\r\n\x1b[1", ";32mnode\x1b[0m lo", "\x1b]0;ti", "tle\x07g", "in:", " "} {
			fmt.Print(piece) // a write each
		}
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			fmt.Printf("hello %s\r\n# ", lines.Text())
		}
	case "lines":
		for i := range 30 {
			fmt.Printf("line %d\r\n\r\n", i)
		}
	case "panic":
		fmt.Print("[    1.0] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n[    1.0] CPU: 0 login: \r\n")
		hang()
	case "panic=-1":
		fmt.Print("[    1.0] Kernel panic - not syncing: No working init found.\r\n")
	case "kernel":
		fmt.Print("[    0.0] Linux version 6.1.0\r\n[    1.0] Kernel panic - not syncing: VFS\r\n")
	case "stop":
		fmt.Print("reboot: Power down\r\n")
	case "silent":
	case "fail":
		fmt.Fprint(os.Stderr, "qemu: warning: something\nqemu: could not load kernel 'kernel'\n")
		return 1
	case "crash":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSEGV)
		hang()
	case "hang":
		fmt.Print("Booting\r\n")
		hang()
	case "mute":
		hang()
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		fmt.Print("Booting\r\n")
		hang()
	}
	return 0
}

// hang never returns: a signal ends the process.
func hang() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	for {
		_ = syscall.Pause()
	}
}

// unmet ends a test whose needs are not met: a failure where CI promises them.
func unmet(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
