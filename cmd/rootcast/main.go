// Command rootcast builds the operating-system images of diskless cluster
// nodes as OCI images and converts them into netboot ramdisks.
//
// It is the only package that knows both build and convert: each command is a
// struct that its flags fill and a run method that never sees the CLI library.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/rootcast/rootcast/build"
)

// gcPercent keeps the memory low at little cost: the large buffers of convert are
// few and live long.
const gcPercent = 50

func main() {
	if build.InitReexec() { // a child that the Buildah or storage library started
		return
	}
	debug.SetGCPercent(gcPercent)
	os.Exit(Main(os.Args))
}

// Main runs one command line and returns the exit code: 0 done, 1 it failed,
// 2 wrong usage, 130 interrupted.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	e := &env{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	err := newApp(e).RunContext(ctx, args)
	if cerr := e.close(); err == nil {
		err = cerr
	}
	code := exitCode(ctx, err)
	switch code {
	case 0:
	case exitInterrupted:
		fmt.Fprintln(os.Stderr, "rootcast: interrupted")
	default:
		fmt.Fprintln(os.Stderr, "rootcast: "+oneLine(err))
	}
	return code
}
