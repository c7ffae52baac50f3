// Command list runs as /init: it prints on the console what the kernel made of
// the archive that it came in, and turns the machine off.
package main

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

func main() {
	lines, err := rootfstest.ListDir("/")
	if err != nil {
		lines = append(lines, err.Error())
	}
	fmt.Printf("\nBEGIN\n%s\nEND\n", strings.Join(lines, "\n"))
	const drain = 1
	_ = unix.IoctlSetInt(1, unix.TCSBRK, drain) // the console is slower than the end
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}
