// Command init is the first and only program of the machine that the boot
// tests start: it says that it runs and what it was given, answers what is
// typed on the console, and powers the machine off when told to.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

func main() {
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		fmt.Println("mounting /proc:", err)
	}
	cmdline, err := os.ReadFile("/proc/cmdline")
	fmt.Printf("init was given %q (%v)\n", strings.TrimSpace(string(cmdline)), err)
	fmt.Print("\x1b[1mnode \x1b[0mready\n> ")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		switch line := lines.Text(); line {
		case "poweroff":
			fmt.Println("powering off")
			powerOff()
		case "panic":
			os.Exit(1) // the kernel does not survive its first program
		default:
			fmt.Printf("you typed %q\n> ", line)
		}
	}
	fmt.Println("the console was closed:", lines.Err())
	powerOff()
}

func powerOff() {
	if err := syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Println("powering off:", err)
	}
}
