// Command qemu stands in for QEMU in the tests of rootcast boot: it prints its
// arguments on the serial console and then does what the kernel argument
// fake=… says.
package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	for _, arg := range os.Args[1:] {
		fmt.Printf("qemu: %s\r\n", arg)
	}
	switch line := os.Args[len(os.Args)-1]; {
	case strings.Contains(line, "fake=login"):
		fmt.Print("\x1b[1mnode\x1b[0m login: ")
		hang()
	case strings.Contains(line, "fake=panic"):
		for i := range 30 {
			fmt.Printf("[    0.%d] line\r\n", i)
		}
		fmt.Print("[    1.0] Kernel panic - not syncing: Out of memory\r\n")
	case strings.Contains(line, "fake=deaf"):
		signal.Ignore(syscall.SIGTERM)
		fmt.Print("ready\r\n")
		hang()
	case strings.Contains(line, "fake=hang"):
		hang()
	case strings.Contains(line, "fake=broken"):
		fmt.Fprintln(os.Stderr, "qemu: out of order")
		os.Exit(1)
	}
}

func hang() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	for {
		_ = syscall.Pause()
	}
}
