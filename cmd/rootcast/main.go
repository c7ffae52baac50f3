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
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/rootcast/rootcast/build"
)

const (
	// gcPercent keeps the memory low at little cost once there is much of it.
	gcPercent = 50
	// ballast is memory that is never touched, and so takes none: below it there
	// is no garbage worth collecting.
	ballast = 96 << 20
)

func main() {
	if build.InitReexec() { // a child that the Buildah or storage library started
		return
	}
	debug.SetGCPercent(gcPercent)
	untouched := make([]byte, ballast)
	code := Main(os.Args)
	runtime.KeepAlive(untouched)
	os.Exit(code)
}

// Main runs one command line and returns the exit code: 0 done, 1 it failed,
// 2 wrong usage, 130 interrupted.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// A pipe or a connection whose other end is gone is an error, after which there
	// is something to clean up. To ignore the signal would make RUN steps ignore it too.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	e := &env{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	err := newApp(e).RunContext(ctx, byLink(args))
	if cerr := e.close(); err == nil {
		err = cerr
	}
	code := exitCode(ctx, err)
	switch {
	case code == 0 || nobodyReads(err):
	case code == exitInterrupted:
		fmt.Fprintln(os.Stderr, "rootcast: interrupted")
	default:
		fmt.Fprintln(os.Stderr, "rootcast: "+oneLine(err))
	}
	return code
}
