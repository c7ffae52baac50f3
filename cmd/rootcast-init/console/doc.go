// Package console is how the first stage speaks: plain lines with the time since
// the kernel started, on the console and in a log that the booted system finds.
//
//	log := console.New(os.Stdout, debug)
//	log.Printf("fetching %s", url)
//	log.Save("/run/rootcast/init.log")
package console
